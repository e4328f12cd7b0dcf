/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/clock.h"

#include <stdio.h>

void clock_format_utc(uint64_t realtime_ns, char out[32])
{
    time_t seconds = (time_t)(realtime_ns / 1000000000u);
    unsigned milliseconds = (unsigned)(realtime_ns / 1000000u % 1000u);
    struct tm utc = {0}; /* 2^64 ns end in 2554, so gmtime_r cannot fail */
    gmtime_r(&seconds, &utc);
    size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, 32 - length, ".%03uZ", milliseconds);
}
