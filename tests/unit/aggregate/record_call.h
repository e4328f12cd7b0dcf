/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One call at a time into a series table. */
#pragma once

#include "aggregate/series_table.h"

static inline void record_weighed(struct series_table *table, struct series_key key,
                                  uint64_t latency_ns, bool error, uint32_t weight, uint64_t now_ns)
{
    const struct series_sample sample = {key, latency_ns, weight, error};
    series_table_record(table, &sample, 1, now_ns);
}

static inline void record_call(struct series_table *table, struct series_key key,
                               uint64_t latency_ns, bool error, uint64_t now_ns)
{
    record_weighed(table, key, latency_ns, error, 1, now_ns);
}
