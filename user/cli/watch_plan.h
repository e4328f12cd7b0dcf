/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a `loris watch` command line asks for, checked. */
#pragma once

#include "cli/invocation.h"
#include "cli/json_field.h"

struct watch_plan {
    json_t *targets; /* of Attach; owned */
    json_t *filter;  /* of Attach; owned */
    const char *by;
    uint64_t limit;       /* 0: none */
    uint64_t duration_ns; /* 0: until stopped */
    uint64_t interval_ns; /* 0: totals only */
};

/* 0 or an exit code; says what is wrong. */
int watch_plan_make(const struct invocation *invocation, struct watch_plan *ret_plan);
void watch_plan_done(struct watch_plan *plan);
#define _cleanup_watch_plan_ _cleanup_(watch_plan_done)

/* Only this process and what it forks. */
bool watch_plan_follow(struct watch_plan *plan, pid_t pid);
