/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Series lie in blocks of 16 without holes: removing one moves the last into its place, so that
 * memory goes back as soon as there are fewer series and the hand finds one at every step. An
 * open-addressing index of 32-bit slots (linear probing, backward-shift deletion) leads to them.
 */
#include "aggregate/series_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SLOTS_MIN     64u
#define CHUNKS_MIN    8u
#define CHUNK_BYTES   (SERIES_CHUNK * sizeof(struct series))
#define CHUNK_ALIGN   SERIES_LINE_BYTES
#define SERIES_ID_MAX (SERIES_ID_MASK - 1)

/* An aligned block costs up to its alignment more. */
static const uint64_t chunk_cost = CHUNK_BYTES + CHUNK_ALIGN + 16;

/* --- hash --------------------------------------------------------------------------------------
 */

static void derive_hash_keys(struct series_table *table)
{
    uint64_t seed = table->config.hash_seed;
    table->hash_keys[0] = series_multiply_fold(seed ^ 0xa0761d6478bd642fULL, 0xe7037ed1a0b428dbULL);
    table->hash_keys[1] = series_multiply_fold(seed ^ 0x8ebc6af09c88c6e3ULL, 0x589965cc75374cc3ULL);
}

/* --- index -------------------------------------------------------------------------------------
 */

static void insert_slot(uint32_t *slots, uint32_t mask, uint32_t hash, uint32_t entry)
{
    uint32_t at = hash & mask;
    while (slots[at])
        at = (at + 1) & mask;
    slots[at] = entry;
}

static int resize_index(struct series_table *table, uint32_t capacity)
{
    uint32_t *slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    series_charge(table, series_block_bytes(capacity * sizeof(*slots)));
    if (table->slots) {
        for (uint32_t at = 0; at <= table->slot_mask; at++) {
            uint32_t entry = table->slots[at];
            if (entry)
                insert_slot(slots, capacity - 1,
                            series_at(table, (entry & SERIES_ID_MASK) - 1)->hash, entry);
        }
        free(table->slots);
        series_discharge(table,
                         series_block_bytes(((size_t)table->slot_mask + 1) * sizeof(*slots)));
    }
    table->slots = slots;
    table->slot_mask = capacity - 1;
    return 0;
}

static bool index_is_full(const struct series_table *table)
{
    /* At most three eighths full: nearly always one of the first two slots is the right one. */
    return ((uint64_t)table->count + 1) * 8 > ((uint64_t)table->slot_mask + 1) * 3;
}

/* The slot of a series that is there. */
static uint32_t slot_of(const struct series_table *table, uint32_t id)
{
    uint32_t at = series_at(table, id)->hash & table->slot_mask;
    while ((table->slots[at] & SERIES_ID_MASK) != id + 1) {
        assert(table->slots[at]);
        at = (at + 1) & table->slot_mask;
    }
    return at;
}

static void remove_slot(struct series_table *table, uint32_t hole)
{
    uint32_t mask = table->slot_mask;
    for (uint32_t at = (hole + 1) & mask; table->slots[at]; at = (at + 1) & mask) {
        uint32_t home = series_at(table, (table->slots[at] & SERIES_ID_MASK) - 1)->hash & mask;
        /* It may move back when its home is not after the hole. */
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        table->slots[hole] = table->slots[at];
        hole = at;
    }
    table->slots[hole] = 0;
}

uint32_t series_store_find(const struct series_table *table, struct series_key key)
{
    uint64_t hash = series_hash_key(table, key);
    uint32_t tag = series_tag_of(hash), at = (uint32_t)hash & table->slot_mask;
    for (uint32_t entry; (entry = table->slots[at]); at = (at + 1) & table->slot_mask) {
        if ((entry & ~SERIES_ID_MASK) != tag)
            continue;
        uint32_t id = (entry & SERIES_ID_MASK) - 1;
        if (series_keys_equal(series_at(table, id)->key, key))
            return id;
    }
    return SERIES_NONE;
}

/* --- store -------------------------------------------------------------------------------------
 */

int series_store_init(struct series_table *table)
{
    derive_hash_keys(table);
    return resize_index(table, SLOTS_MIN);
}

void series_store_done(struct series_table *table)
{
    for (uint32_t i = 0; i < table->chunk_count; i++)
        free(table->chunks[i]);
    free(table->chunks);
    free(table->slots);
}

static bool store_is_full(const struct series_table *table)
{
    return table->count == table->chunk_count * SERIES_CHUNK;
}

static uint32_t grown_chunk_capacity(const struct series_table *table)
{
    return table->chunk_capacity ? table->chunk_capacity * 2 : CHUNKS_MIN;
}

uint64_t series_store_growth(const struct series_table *table)
{
    uint64_t bytes = 0;
    if (index_is_full(table))
        bytes += series_block_bytes(((size_t)table->slot_mask + 1) * 2 * sizeof(*table->slots));
    if (store_is_full(table))
        bytes += chunk_cost;
    if (store_is_full(table) && table->chunk_count == table->chunk_capacity)
        bytes += series_block_bytes(grown_chunk_capacity(table) * sizeof(*table->chunks));
    return bytes;
}

static int add_chunk(struct series_table *table)
{
    if (table->chunk_count == table->chunk_capacity) {
        uint32_t capacity = grown_chunk_capacity(table);
        struct series **chunks = reallocarray(table->chunks, capacity, sizeof(*chunks));
        if (!chunks)
            return -ENOMEM;
        series_charge(table, series_block_bytes(capacity * sizeof(*chunks)));
        if (table->chunks)
            series_discharge(table, series_block_bytes(table->chunk_capacity * sizeof(*chunks)));
        table->chunks = chunks;
        table->chunk_capacity = capacity;
    }
    struct series *chunk = aligned_alloc(CHUNK_ALIGN, CHUNK_BYTES);
    if (!chunk)
        return -ENOMEM;
    table->chunks[table->chunk_count++] = chunk;
    series_charge(table, chunk_cost);
    return 0;
}

int series_store_add(struct series_table *table, struct series_key key, uint32_t *ret_id)
{
    if (table->count >= SERIES_ID_MAX)
        return -ENOMEM;
    if (index_is_full(table)) {
        int status = resize_index(table, (table->slot_mask + 1) * 2);
        if (status < 0)
            return status;
    }
    if (store_is_full(table)) {
        int status = add_chunk(table);
        if (status < 0)
            return status;
    }
    uint64_t hash = series_hash_key(table, key);
    uint32_t id = table->count++;
    struct series *series = series_at(table, id);
    *series = (struct series){
        .key = key,
        .hash = (uint32_t)hash,
        .serial = ++table->next_serial,
    };
    series_pending_clear(&series->pending);
    latency_stat_init(&series->open);
    latency_stat_init(&series->settled);
    insert_slot(table->slots, table->slot_mask, series->hash, series_tag_of(hash) | (id + 1));
    table->moves++;
    *ret_id = id;
    return 0;
}

void series_store_remove(struct series_table *table, uint32_t id)
{
    remove_slot(table, slot_of(table, id));
    uint32_t last = table->count - 1;
    if (id != last) {
        uint32_t at = slot_of(table, last);
        *series_at(table, id) = *series_at(table, last);
        table->slots[at] = (table->slots[at] & ~SERIES_ID_MASK) | (id + 1);
    }
    table->count--;
    table->moves++;

    while (table->chunk_count * SERIES_CHUNK >= table->count + SERIES_CHUNK) {
        free(table->chunks[--table->chunk_count]);
        series_discharge(table, chunk_cost);
    }
    uint32_t capacity = table->slot_mask + 1;
    if (capacity > SLOTS_MIN && (uint64_t)table->count * 8 < capacity) {
        int status = resize_index(table, capacity / 2);
        (void)status; /* an index too large does no harm */
    }
}
