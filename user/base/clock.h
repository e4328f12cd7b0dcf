/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks, read only by agent, cli and gateway; every stage takes time as an argument. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* RFC 3339 UTC with milliseconds: "2026-11-20T07:00:00.123Z". */
void clock_format_utc(uint64_t realtime_ns, char out[32]);
