/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sparse quantile sketch over the shared bucket layout, with a stated relative error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/sketch_page.h"
#include "base/ownership.h"
#include "loris/sketch.h"

#define SKETCH_HALVINGS_MAX 6

/*
 * Only touched powers of two hold memory: one page of 64 counters each, 8 bits wide at first and
 * widened when a counter would overflow; 64-bit counters saturate. Halving the resolution adds
 * neighbours, so a page of a sketch halved h times holds 64 >> h counters.
 *
 * The estimate of a bucket (lo, hi] is 2*lo*hi/(lo+hi): its relative error is the same at both
 * ends and nowhere larger (DDSketch, Masson et al. 2019): (2^(2^h/64) - 1) / (2^(2^h/64) + 1),
 * 0.542 % for h = 0. Zero and one are exact at every resolution.
 *
 * All zero is an empty sketch that owns nothing.
 */
struct sketch {
    uint64_t touched;           /* bit p: page p + 1 (values (2^p, 2^(p+1)]) has memory */
    uint64_t zeros;             /* calls of 0 ns */
    uint64_t ones;              /* calls of 1 ns */
    struct sketch_page **pages; /* one per set bit, in order; owned */
    uint32_t heap_bytes;        /* see sketch_heap_bytes */
    uint8_t pages_capacity;
    uint8_t halvings;
};

void sketch_done(struct sketch *sketch);

/* How many pages come before the page of this bit. */
static inline unsigned sketch_page_position(uint64_t touched, uint64_t bit)
{
    uint64_t below = touched & (bit - 1);
#ifdef __POPCNT__
    return (unsigned)__builtin_popcountll(below);
#else
    /* Without the instruction the builtin is a call into libgcc. */
    below -= (below >> 1) & 0x5555555555555555ULL;
    below = (below & 0x3333333333333333ULL) + ((below >> 2) & 0x3333333333333333ULL);
    below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return (unsigned)((below * 0x0101010101010101ULL) >> 56);
#endif
}

/* Counts values of 2 ns or more whose page is there and whose counter has room; false: did
 * nothing, sketch_record has to. */
static inline bool sketch_try_record(struct sketch *sketch, uint32_t bucket, uint32_t count)
{
    if (bucket < LORIS_PAGE_BUCKETS || bucket >= LORIS_SKETCH_BUCKETS)
        return false;
    uint64_t bit = 1ULL << (bucket / LORIS_PAGE_BUCKETS - 1);
    if (!(sketch->touched & bit))
        return false;

    struct sketch_page *page = sketch->pages[sketch_page_position(sketch->touched, bit)];
    return sketch_page_try_count(page, (bucket % LORIS_PAGE_BUCKETS) >> sketch->halvings, count);
}

/* Asks for all pages to be brought into the cache. They lie scattered: fetching them together costs
 * little more than fetching one. */
static inline void sketch_prefetch(const struct sketch *sketch)
{
    struct sketch_page *const *page = sketch->pages;
    for (uint64_t rest = sketch->touched; rest; rest &= rest - 1, page++) {
        __builtin_prefetch(*page, 1);
        __builtin_prefetch((const char *)*page + LORIS_PAGE_BUCKETS, 1);
    }
}

/* Counts values, one of each bucket, up to the first for which sketch_try_record would be false.
 * Returns how many it counted. */
unsigned sketch_try_record_each(struct sketch *sketch, const uint16_t *buckets, unsigned count);

/* The rest of sketch_record: new pages, wider counters, many at once. */
int sketch_record_many(struct sketch *sketch, uint32_t bucket, uint64_t count) _must_check_;

/* Adds `count` values to a bucket of loris_sketch_bucket(); the layout's unused buckets 1 .. 62
 * count as 1 ns. -ENOMEM leaves the sketch unchanged. */
static inline int _must_check_ sketch_record(struct sketch *sketch, uint32_t bucket, uint64_t count)
{
    if (count <= UINT32_MAX && sketch_try_record(sketch, bucket, (uint32_t)count))
        return 0;
    return sketch_record_many(sketch, bucket, count);
}

/* Adds all of `from`; the coarser resolution of the two wins. -ENOMEM leaves `into` unchanged as
 * to its values (its resolution may have been halved). */
int sketch_merge(struct sketch *into, const struct sketch *from) _must_check_;
/* Takes an earlier state of the same sketch out of it, bucket by bucket and never below 0, at the
 * coarser resolution of the two. Allocates nothing; always 0. */
int sketch_subtract(struct sketch *from, const struct sketch *earlier);
void sketch_clear(struct sketch *sketch); /* frees the pages, keeps the resolution */
/* Halves the resolution; never fails, never grows. No-op at SKETCH_HALVINGS_MAX. */
void sketch_halve(struct sketch *sketch);

uint64_t sketch_count(const struct sketch *sketch);
/* Beyond the struct itself, with what the allocator (glibc's chunks) adds. O(1). */
static inline size_t sketch_heap_bytes(const struct sketch *sketch)
{
    return sketch->heap_bytes;
}
double sketch_relative_error(const struct sketch *sketch);

/*
 * Nearest-rank quantiles: the value of rank ceil(q * count) for each q of `quantiles`, which
 * ascend in (0, 1]. One pass. 0 for an empty sketch.
 *
 * Values are whole ns, from the least and greatest whole number of the bucket. A bucket with one
 * of them (all below 92 ns at full resolution) answers exactly that. Rounding adds up to half a
 * nanosecond to the relative error: at full resolution 62 values between 92 and 2714 ns, which
 * lie in buckets of 2, 4, ... whole numbers, are answered up to 0.98 % off, all the rest
 * within 0.55 %.
 */
void sketch_quantiles(const struct sketch *sketch, const double *quantiles, size_t n,
                      uint64_t *ret_values_ns);

/* The least value that the lowest non-empty bucket can hold and the greatest that the highest can:
 * what is known of minimum and maximum. False, and nothing set, when the sketch is empty. */
bool sketch_extremes(const struct sketch *sketch, uint64_t *ret_low_ns, uint64_t *ret_high_ns);

/* Walks non-empty buckets in ascending order, (lower, upper] at the sketch's resolution; zeros
 * come as (0, 0]. upper_ns is the inclusive upper bound (double: the last one is 2^64). */
typedef void (*sketch_bucket_fn)(double lower_ns, double upper_ns, uint64_t count, void *context);
void sketch_walk(const struct sketch *sketch, sketch_bucket_fn on_bucket, void *context);

/* Bounds of a bucket at full resolution: (lower, upper]; bucket 0 is (0, 0]. */
void sketch_bucket_bounds(uint32_t bucket, double *ret_lower_ns, double *ret_upper_ns);
