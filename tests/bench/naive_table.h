/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one would write first: a chained hash table, a strict LRU list, a stat per entry. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "aggregate/latency_stat.h"
#include "aggregate/series_table.h"
#include "base/hash.h"

struct naive_entry {
    struct naive_entry *next; /* of the same bucket */
    struct naive_entry *newer, *older;
    struct series_key key;
    struct latency_stat stat;
};

struct naive_table {
    struct naive_entry **buckets;
    uint64_t mask;
    struct naive_entry *newest, *oldest;
};

static inline void naive_table_init(struct naive_table *table, uint32_t entries)
{
    uint64_t buckets = 1;
    while (buckets < entries)
        buckets *= 2;
    *table = (struct naive_table){.mask = buckets - 1};
    table->buckets = calloc(buckets, sizeof(*table->buckets));
}

static inline void naive_unlink(struct naive_table *table, struct naive_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
}

static inline void naive_link_newest(struct naive_table *table, struct naive_entry *entry)
{
    entry->newer = NULL;
    entry->older = table->newest;
    *(table->newest ? &table->newest->newer : &table->oldest) = entry;
    table->newest = entry;
}

static inline bool naive_is_key(struct series_key a, struct series_key b)
{
    return a.who == b.who && a.probe == b.probe && a.level == b.level;
}

static inline int naive_table_record(struct naive_table *table, struct series_key key,
                                     uint64_t latency_ns, bool error)
{
    struct naive_entry **bucket = &table->buckets[hash_bytes(&key, sizeof(key), 1) & table->mask];
    struct naive_entry *entry = *bucket;
    while (entry && !naive_is_key(entry->key, key))
        entry = entry->next;
    if (entry) {
        naive_unlink(table, entry);
    } else {
        entry = calloc(1, sizeof(*entry));
        if (!entry)
            return -1;
        entry->key = key;
        latency_stat_init(&entry->stat);
        entry->next = *bucket;
        *bucket = entry;
    }
    naive_link_newest(table, entry);
    return latency_stat_record(&entry->stat, latency_ns, error, 1);
}

static inline void naive_table_done(struct naive_table *table)
{
    for (struct naive_entry *entry = table->newest, *older; entry; entry = older) {
        older = entry->older;
        latency_stat_done(&entry->stat);
        free(entry);
    }
    free(table->buckets);
}
