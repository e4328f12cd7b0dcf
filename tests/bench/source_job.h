/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one run of the record source shall write, and what came of it. */
#pragma once

#include <linux/types.h>

struct source_job {
    __u32 probe;
    __u32 generation;
    __u32 processes; /* records are spread over so many, scattered */
    __u32 records;   /* of this run */
    __u64 sequence;  /* of all runs: the next record's number */
    __u64 submitted;
    __u64 log_full;
};

/* Process ids of the records: above what the kernel gives out (PID_MAX_LIMIT). */
#define SOURCE_PID_FIRST 0x00800000u
