/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filling sketches from distributions and comparing all that they hold. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/sketch.h"
#include "distributions.h"

static inline void record(struct sketch *sketch, uint64_t value_ns, uint64_t count)
{
    assert_int_equal(sketch_record(sketch, loris_sketch_bucket(value_ns), count), 0);
}

static inline void record_all(struct sketch *sketch, const uint64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        record(sketch, values[i], 1);
}

static inline uint64_t *values_of(const struct distribution *distribution, size_t n)
{
    uint64_t *values = malloc(n * sizeof(*values));
    assert_non_null(values);
    distribution_fill(distribution, values, (uint32_t)n);
    return values;
}

static inline const struct distribution *distribution_named(const char *name)
{
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++)
        if (strcmp(distributions[i].name, name) == 0)
            return &distributions[i];
    fail_msg("no distribution %s", name);
    return NULL;
}

/* What a sketch holds, as its walk tells. */
struct contents {
    size_t n;
    double bounds[LORIS_SKETCH_BUCKETS][2];
    uint64_t counts[LORIS_SKETCH_BUCKETS];
};

static inline void add_to_contents(double lower_ns, double upper_ns, uint64_t count, void *context)
{
    struct contents *contents = context;
    assert_true(contents->n < LORIS_SKETCH_BUCKETS);
    contents->bounds[contents->n][0] = lower_ns;
    contents->bounds[contents->n][1] = upper_ns;
    contents->counts[contents->n++] = count;
}

static inline struct contents *contents_of(const struct sketch *sketch)
{
    struct contents *contents = calloc(1, sizeof(*contents));
    assert_non_null(contents);
    sketch_walk(sketch, add_to_contents, contents);
    return contents;
}

static inline bool same_contents(const struct contents *x, const struct contents *y)
{
    return x->n == y->n && memcmp(x->bounds, y->bounds, x->n * sizeof(x->bounds[0])) == 0 &&
           memcmp(x->counts, y->counts, x->n * sizeof(x->counts[0])) == 0;
}

static inline void assert_same(const struct sketch *a, const struct sketch *b)
{
    _cleanup_free_ struct contents *x = contents_of(a), *y = contents_of(b);
    assert_true(same_contents(x, y));
    assert_true(sketch_count(a) == sketch_count(b));
}

/* The books agree with the blocks. */
static inline void assert_bytes_add_up(const struct sketch *sketch)
{
    size_t bytes =
        sketch->pages ? sketch_page_chunk_bytes(sketch->pages_capacity * sizeof(void *)) : 0;
    unsigned pages = (unsigned)__builtin_popcountll(sketch->touched);
    for (unsigned i = 0; i < pages; i++)
        bytes += sketch_page_heap_bytes(sketch->pages[i]);
    assert_int_equal(sketch_heap_bytes(sketch), bytes);
}
