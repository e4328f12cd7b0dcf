/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `loris top` knows and where its user is: rows with their history, order, filter, selection,
 * the way from probe to unit to process. It knows neither a terminal nor a socket nor a clock.
 */
#pragma once

#include "cli/top_row.h"

#define TOP_ROWS_MAX     2000 /* asked for, the busiest first, and remembered */
#define TOP_FILTER_BYTES 128
#define TOP_DEPTH_MAX    3

enum top_by {
    TOP_BY_NONE,
    TOP_BY_UNIT,
    TOP_BY_PROCESS,
    TOP_GROUPS,
};

enum top_page {
    TOP_PAGE_TABLE,
    TOP_PAGE_DETAILS,
    TOP_PAGE_HELP,
};

enum top_link {
    TOP_CONNECTED,
    TOP_SLOW, /* an answer is overdue */
    TOP_GONE,
};

/* A table on the way down: all rows, those of one probe, those of one unit in it. */
struct top_level {
    enum top_by by;
    char *probe; /* owned; NULL: all that were asked for at the start */
    char *unit;  /* owned; NULL: all units; "": what has none */
    char *name;  /* owned: the last step of the way here; NULL at the start */
    char filter[TOP_FILTER_BYTES];
    struct top_row **rows; /* owned; by identity; those absent for a while too */
    size_t row_count;
    struct top_row **shown; /* the present ones that pass the filter, in order; borrowed */
    size_t shown_count, present_count;
    struct top_row *selected; /* borrowed; NULL: there is none */
    size_t cursor;            /* its place in `shown` */
    size_t first;             /* the first one on the screen */
    bool is_chosen;           /* by the user: the cursor follows the row, else it stays on top */
};

/* What Status says of the agent. */
struct top_agent {
    char health[16];
    double probes_cost, budget, agent_cost; /* shares of one CPU; budget 0: none */
    uint64_t probes_attached;
};

/* Plain data: screens read it. */
struct top_model {
    const char *title;
    const char *probe_glob; /* borrowed; NULL: all */
    struct top_level levels[TOP_DEPTH_MAX];
    size_t depth; /* the level shown */
    enum top_sort sort;
    bool is_reversed;
    uint64_t window_ns; /* 0: since the start */
    uint64_t interval_ns;
    bool is_paused;
    bool is_typing; /* the filter */
    enum top_page page;
    size_t page_first; /* the first line of help or details on the screen */
    struct top_agent agent;
    bool has_agent;
    enum top_link link;
    char said[640]; /* why there are no news */
    char time[32];  /* of the last answer */
    double window_s;
    double rate_per_s; /* of all rows together */
    uint64_t lost, truncated;
};

/* As --by takes it, which must be one of them. */
enum top_by top_by_find(const char *name);

void top_model_init(struct top_model *model, const char *probe_glob, enum top_by by);
void top_model_done(struct top_model *model);

static inline struct top_level *top_model_level(struct top_model *model)
{
    return &model->levels[model->depth];
}

/* Parameters of Stats for the level shown: a new reference, NULL without memory. */
json_t *top_model_question(const struct top_model *model);
/* The answer to it, and when it came. -ENOMEM: nothing has changed. */
int top_model_update(struct top_model *model, const json_t *reply, const char *time) _must_check_;
/* Status' answer. */
void top_model_set_agent(struct top_model *model, const json_t *reply);

/* After the sort key, its direction or the filter have changed. */
void top_model_order(struct top_model *model);
/* Moves the cursor by so many rows, as far as there are any. */
void top_model_move(struct top_model *model, long rows);
/* To the top, where it stays while the order changes. */
void top_model_move_top(struct top_model *model);
/* Keeps the cursor among the `lines` rows on the screen. */
void top_model_scroll(struct top_model *model, size_t lines);

/* Into the selected row: 1 when there is a level of which nothing is known yet, 0 when a row has
 * nothing below it, -ENOMEM. */
int top_model_enter(struct top_model *model) _must_check_;
/* Back: false at the start. */
bool top_model_leave(struct top_model *model);
/* Starts anew with other groups; keeps the filter that it began with. */
void top_model_group(struct top_model *model, enum top_by by);
