/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sparse quantile sketch over the shared bucket layout, with a stated relative error. */
#pragma once

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"
#include "loris/sketch.h"

#define SKETCH_HALVINGS_MAX 6

/*
 * Only touched powers of two hold memory: one page of 64 counters each, 8 bits wide at first and
 * widened when a counter would overflow. Halving the resolution adds neighbours, so a page of a
 * sketch halved h times holds 64 >> h counters.
 *
 * The estimate of a bucket (lo, hi] is 2*lo*hi/(lo+hi): its relative error is the same at both
 * ends and nowhere larger (DDSketch, Masson et al. 2019): (2^(2^h/64) - 1) / (2^(2^h/64) + 1),
 * 0.542 % for h = 0. Zero and one are exact.
 */
struct sketch {
    uint64_t touched; /* bit p: page p + 1 (values (2^p, 2^(p+1)]) has memory */
    uint64_t zeros;   /* calls of 0 ns */
    uint64_t ones;    /* calls of 1 ns */
    struct sketch_page **pages; /* one per set bit, in order; owned */
    uint8_t pages_capacity;
    uint8_t halvings;
};

void sketch_done(struct sketch *sketch);
/* Adds `count` values to a bucket of loris_sketch_bucket(). -ENOMEM leaves the sketch unchanged. */
int sketch_record(struct sketch *sketch, uint32_t bucket, uint64_t count) _must_check_;
/* Adds all of `from`; the coarser resolution of the two wins. -ENOMEM leaves `into` unchanged as
 * to its values (its resolution may have been halved). */
int sketch_merge(struct sketch *into, const struct sketch *from) _must_check_;
void sketch_clear(struct sketch *sketch); /* frees the pages, keeps the resolution */
/* Halves the resolution; never fails, never grows. No-op at SKETCH_HALVINGS_MAX. */
void sketch_halve(struct sketch *sketch);

uint64_t sketch_count(const struct sketch *sketch);
size_t sketch_heap_bytes(const struct sketch *sketch); /* beyond the struct itself */
double sketch_relative_error(const struct sketch *sketch);

/* Nearest-rank quantiles: the value of rank ceil(q * count) for each q of `quantiles`, which
 * ascend in (0, 1]. One pass. Values are rounded to the nearest ns; 0 for an empty sketch. */
void sketch_quantiles(const struct sketch *sketch, const double *quantiles, size_t n,
                      uint64_t *ret_values_ns);

/* Walks non-empty buckets in ascending order. upper_ns is the inclusive upper bound (double:
 * the last one is 2^64). */
typedef void (*sketch_bucket_fn)(double lower_ns, double upper_ns, uint64_t count, void *context);
void sketch_walk(const struct sketch *sketch, sketch_bucket_fn on_bucket, void *context);

/* Bounds of a bucket at full resolution: (lower, upper]. */
void sketch_bucket_bounds(uint32_t bucket, double *ret_lower_ns, double *ret_upper_ns);
