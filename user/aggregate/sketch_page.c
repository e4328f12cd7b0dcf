/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/sketch_page.h"

#include <errno.h>
#include <string.h>

/* Several counters at a time, whatever their width. */
typedef uint64_t __attribute__((may_alias)) page_word;

static unsigned words_of(unsigned slots, unsigned width_log2)
{
    unsigned bytes = slots << width_log2;
    return bytes < sizeof(page_word) ? 1 : bytes / (unsigned)sizeof(page_word);
}

static size_t block_bytes(unsigned slots, unsigned width_log2)
{
    return sizeof(struct sketch_page) + words_of(slots, width_log2) * sizeof(page_word);
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

struct sketch_page *sketch_page_new(unsigned slots, unsigned width_log2)
{
    size_t bytes = block_bytes(slots, width_log2);
    struct sketch_page *page = calloc(1, bytes);
    if (!page)
        return NULL;
    page->capacity_bytes = (uint16_t)bytes;
    page->width_log2 = (uint8_t)width_log2;
    return page;
}

bool sketch_page_try_carry(struct sketch_page *page, unsigned slot, uint32_t times)
{
    void *counters = page->counters;
    if (page->width_log2 == 1) {
        uint16_t *counter = (uint16_t *)counters + slot;
        bool fits = times <= (uint32_t)UINT16_MAX - *counter;
        *counter = (uint16_t)(*counter + (fits ? times : 0));
        return fits;
    }
    if (page->width_log2 == 2) {
        uint32_t *counter = (uint32_t *)counters + slot;
        bool fits = times <= UINT32_MAX - *counter;
        *counter += fits ? times : 0;
        return fits;
    }
    if (page->width_log2 == 3) {
        uint64_t *counter = (uint64_t *)counters + slot;
        bool fits = times <= UINT64_MAX - *counter;
        *counter += fits ? times : 0;
        return fits;
    }
    return false; /* a byte, which is full */
}

uint32_t sketch_page_chunk_bytes(size_t bytes)
{
    /* 8 bytes of its own, multiples of 16, at least 32. */
    size_t chunk = (bytes + 8 + 15) & ~(size_t)15;
    return (uint32_t)(chunk < 32 ? 32 : chunk);
}

uint32_t sketch_page_heap_bytes(const struct sketch_page *page)
{
    return sketch_page_chunk_bytes(page->capacity_bytes);
}

unsigned sketch_page_width_log2(uint64_t value)
{
    return value > UINT32_MAX ? 3 : value > UINT16_MAX ? 2 : value > UINT8_MAX ? 1 : 0;
}

static int resize(struct sketch_page **page, size_t bytes)
{
    struct sketch_page *moved = realloc(*page, bytes);
    if (!moved)
        return -ENOMEM;
    moved->capacity_bytes = (uint16_t)bytes;
    *page = moved;
    return 0;
}

int sketch_page_widen(struct sketch_page **page, unsigned slots, unsigned width_log2)
{
    if (width_log2 <= (*page)->width_log2)
        return 0;
    size_t bytes = block_bytes(slots, width_log2);
    if (bytes > (*page)->capacity_bytes) {
        int status = resize(page, bytes);
        if (status < 0)
            return status;
    }
    uint64_t counts[LORIS_PAGE_BUCKETS];
    sketch_page_load(*page, slots, counts);
    (*page)->width_log2 = (uint8_t)width_log2;
    sketch_page_store(*page, slots, counts);
    return 0;
}

void sketch_page_halve_counts(uint64_t *counts, unsigned slots)
{
    for (unsigned i = 0; i < slots / 2; i++)
        counts[i] = saturating_add(counts[2 * i], counts[2 * i + 1]);
}

void sketch_page_halve(struct sketch_page **page, unsigned slots)
{
    uint64_t counts[LORIS_PAGE_BUCKETS], all = 0;
    sketch_page_load(*page, slots, counts);
    sketch_page_halve_counts(counts, slots);
    slots /= 2;
    for (unsigned i = 0; i < slots; i++)
        all |= counts[i];
    /* A sum needs one bit more at most, and half as many counters of twice the width take the
     * same room: this cannot fail. */
    (*page)->width_log2 = (uint8_t)sketch_page_width_log2(all);
    sketch_page_store(*page, slots, counts);
    size_t bytes = block_bytes(slots, (*page)->width_log2);
    if (bytes < (*page)->capacity_bytes && resize(page, bytes) < 0)
        return; /* a block too large does no harm */
}

void sketch_page_load(const struct sketch_page *page, unsigned slots, uint64_t *ret_counts)
{
    const void *counters = page->counters;
    switch (page->width_log2) {
    case 0:
        for (unsigned i = 0; i < slots; i++)
            ret_counts[i] = ((const uint8_t *)counters)[i];
        break;
    case 1:
        for (unsigned i = 0; i < slots; i++)
            ret_counts[i] = ((const uint16_t *)counters)[i];
        break;
    case 2:
        for (unsigned i = 0; i < slots; i++)
            ret_counts[i] = ((const uint32_t *)counters)[i];
        break;
    default:
        memcpy(ret_counts, counters, slots * sizeof(uint64_t));
    }
}

void sketch_page_store(struct sketch_page *page, unsigned slots, const uint64_t *counts)
{
    void *counters = page->counters;
    *(page_word *)counters = 0; /* for what the slots leave of it */
    switch (page->width_log2) {
    case 0:
        for (unsigned i = 0; i < slots; i++)
            ((uint8_t *)counters)[i] = (uint8_t)counts[i];
        break;
    case 1:
        for (unsigned i = 0; i < slots; i++)
            ((uint16_t *)counters)[i] = (uint16_t)counts[i];
        break;
    case 2:
        for (unsigned i = 0; i < slots; i++)
            ((uint32_t *)counters)[i] = (uint32_t)counts[i];
        break;
    default:
        memcpy(counters, counts, slots * sizeof(uint64_t));
    }
}

uint64_t sketch_page_sum(const struct sketch_page *page, unsigned slots)
{
    const page_word *words = (const page_word *)page->counters;
    unsigned n = words_of(slots, page->width_log2);
    uint64_t sum = 0;
    /* Neighbouring counters are added in lanes of twice their width, which 64 of them cannot fill
     * (8 bits: 8 words with two of at most 255 each), and the lanes at the end. */
    switch (page->width_log2) {
    case 0:
        for (unsigned i = 0; i < n; i++)
            sum += (words[i] & 0x00ff00ff00ff00ffULL) + (words[i] >> 8 & 0x00ff00ff00ff00ffULL);
        return sum * 0x0001000100010001ULL >> 48;
    case 1:
        for (unsigned i = 0; i < n; i++)
            sum += (words[i] & 0x0000ffff0000ffffULL) + (words[i] >> 16 & 0x0000ffff0000ffffULL);
        return (sum & UINT32_MAX) + (sum >> 32);
    case 2:
        for (unsigned i = 0; i < n; i++)
            sum += (words[i] & UINT32_MAX) + (words[i] >> 32);
        return sum;
    default:
        for (unsigned i = 0; i < n; i++)
            sum = saturating_add(sum, words[i]);
        return sum;
    }
}

bool sketch_page_can_add(const struct sketch_page *into, const struct sketch_page *from,
                         unsigned slots)
{
    static const uint64_t half_full[] = {0x8080808080808080ULL, 0x8000800080008000ULL,
                                         0x8000000080000000ULL, 0x8000000000000000ULL};
    if (into->width_log2 != from->width_log2)
        return false;
    const page_word *a = (const page_word *)into->counters;
    const page_word *b = (const page_word *)from->counters;
    unsigned n = words_of(slots, into->width_log2);
    uint64_t all = 0;
    for (unsigned i = 0; i < n; i++)
        all |= a[i] | b[i];
    return !(all & half_full[into->width_log2]);
}

void sketch_page_add(struct sketch_page *into, const struct sketch_page *from, unsigned slots)
{
    page_word *a = (page_word *)into->counters;
    const page_word *b = (const page_word *)from->counters;
    unsigned n = words_of(slots, into->width_log2);
    for (unsigned i = 0; i < n; i++)
        a[i] += b[i]; /* no counter carries into the next */
}
