/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters of one power of two in a sketch, as wide as the greatest of them needs. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"
#include "loris/sketch.h"

/* Counters of 8, 16, 32 or 64 bits, LORIS_PAGE_BUCKETS >> halvings of them (`slots`, which the
 * owner knows); what is left of the last word is zero. */
struct sketch_page {
    uint16_t capacity_bytes; /* of the whole block */
    uint8_t width_log2;      /* a counter has 1 << width_log2 bytes */
    uint64_t counters[];
};

/* The rest of sketch_page_try_count. */
bool sketch_page_try_carry(struct sketch_page *page, unsigned slot, uint32_t times);

/* Adds to the counter where it has room; false: it has not, and stays. */
static inline bool sketch_page_try_count(struct sketch_page *page, unsigned slot, uint32_t times)
{
    /* Mostly the lowest byte has room, and where that lies needs no branch on the width. */
    unsigned at = slot << page->width_log2;
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        at += (1u << page->width_log2) - 1;
    uint8_t *lowest = (uint8_t *)(void *)page->counters + at;
    if (times > (uint32_t)UINT8_MAX - *lowest)
        return sketch_page_try_carry(page, slot, times);
    *lowest = (uint8_t)(*lowest + times);
    return true;
}

/* All zero; NULL when out of memory. Freed with free(). */
struct sketch_page *sketch_page_new(unsigned slots, unsigned width_log2);
/* What the block takes, with what the allocator (glibc's chunks) adds. */
uint32_t sketch_page_heap_bytes(const struct sketch_page *page);
uint32_t sketch_page_chunk_bytes(size_t bytes);

/* The least width that holds a value, or an OR of values. */
unsigned sketch_page_width_log2(uint64_t value);
/* Counts stay, the block may move. -ENOMEM changes nothing. No-op when it is as wide already. */
int sketch_page_widen(struct sketch_page **page, unsigned slots, unsigned width_log2) _must_check_;
/* Adds neighbours, so that slots / 2 are left, and gives back what that saves. */
void sketch_page_halve(struct sketch_page **page, unsigned slots);
/* The same for counts that were loaded. */
void sketch_page_halve_counts(uint64_t *counts, unsigned slots);

void sketch_page_load(const struct sketch_page *page, unsigned slots, uint64_t *ret_counts);
/* Every count fits the page's width. */
void sketch_page_store(struct sketch_page *page, unsigned slots, const uint64_t *counts);
uint64_t sketch_page_sum(const struct sketch_page *page, unsigned slots); /* saturates */

/* Whether sketch_page_add may be used: the widths agree and no counter is half full. */
bool sketch_page_can_add(const struct sketch_page *into, const struct sketch_page *from,
                         unsigned slots);
void sketch_page_add(struct sketch_page *into, const struct sketch_page *from, unsigned slots);
