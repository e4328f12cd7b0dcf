/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Divides the memory budget between kernel maps, rings, processes and series. */
#pragma once

#include "agent/config.h"
#include "probe/kernel_side.h"

struct sizing {
    struct kernel_side_config kernel;
    uint32_t processes_max;
    uint32_t names_max; /* of processes, and as many of units */
    uint32_t cgroups_max;
    uint64_t series_min_bytes; /* the table gets its share of what is left, at least this */
    uint32_t answer_rows_max;  /* of one answer: about 600 bytes each while it is sent */
    uint64_t queued_bytes_max; /* of answers that wait until their clients read */
};

/* Pure. A ring counts three times: its pages are the kernel's, and are mapped twice here; a sample
 * log is the kernel's and mapped once, which counts once. */
struct sizing sizing_of(const struct config *config, uint32_t cpus);
