/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much BPF runs on this machine, ours and others'. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ownership.h"

#define BPF_CENSUS_MAX 10000 /* links that are looked at */

struct bpf_census {
    uint32_t programs;
    uint32_t links;
    uint32_t probing_links; /* of them, those to functions, marks and tracepoints */
    bool is_cut;            /* there are more than BPF_CENSUS_MAX of one of them */
};

/* -EPERM: needs CAP_SYS_ADMIN. Takes about 1 us a program or link. */
int bpf_census_take(struct bpf_census *ret_census) _must_check_;
