/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One row of `loris top`: a series as the agent gave it last, and what its p99 was before. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"

#define TOP_HISTORY 120 /* refreshes that a row remembers */

enum top_sort {
    TOP_BY_P50,
    TOP_BY_P99,
    TOP_BY_MAX,
    TOP_BY_RATE,
    TOP_BY_COUNT,
    TOP_BY_ERRORS,
    TOP_BY_TIME,
    TOP_BY_NAME,
    TOP_SORTS,
};

enum top_latency {
    TOP_MIN,
    TOP_MEAN,
    TOP_P50,
    TOP_P90,
    TOP_P95,
    TOP_P99,
    TOP_P999,
    TOP_MAX,
    TOP_LATENCIES,
};

struct top_figures {
    uint64_t count, errors;
    uint64_t latency_ns[TOP_LATENCIES]; /* all 0 without calls */
    double rate_per_s, error_ratio, concurrency, time_share;
    double total_ns; /* time spent in all calls */
    double window_s;
    double relative_error, rank_error, count_error; /* 0: none */
    double observed;                                /* the part of the time that was watched */
    uint64_t in_flight, oldest_ns, waiting, lost;   /* of the probe, not of the row */
    bool is_estimated;
};

/* Names are as the agent gave them, so they are not to be trusted. */
struct top_row {
    char *names; /* owned: the four below, NUL-terminated; together they tell rows apart */
    size_t names_bytes;
    const char *probe, *kind, *unit, *who;
    struct top_figures figures;
    float p99_ns[TOP_HISTORY]; /* the latest last; 0: no calls, or not asked then */
    unsigned absent;           /* answers that it was missing from, in a row */
};

const char *top_latency_name(enum top_latency latency); /* "P99.9" */
const char *top_sort_name(enum top_sort sort);          /* as --sort takes it */
/* TOP_SORTS: no such name. */
enum top_sort top_sort_find(const char *name);

/* series: an element of Stats' answer. */
int top_row_new(const json_t *series, struct top_row **ret_row) _must_check_;
void top_row_free(struct top_row *row);
DEFINE_CLEANUP(struct top_row *, top_row_free);

/* The same row in the next answer: takes its figures. */
void top_row_update(struct top_row *row, const struct top_row *next);
/* Nothing is known of it this time. */
void top_row_skip(struct top_row *row);

/* By identity: probe first. */
int top_row_compare(const struct top_row *left, const struct top_row *right);
/* As a sort key wants it: the largest first, names by alphabet; then by identity. */
int top_row_rank(const struct top_row *left, const struct top_row *right, enum top_sort sort);
/* A glob over probe or who, else a part of one of them in whatever case; "" matches. */
bool top_row_matches(const struct top_row *row, const char *filter);
