/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_model.h"

#include <errno.h>
#include <string.h>

#include "cli/json_field.h"

#define NS_PER_S (uint64_t)1000000000

static const char *const by_names[TOP_GROUPS] = {"none", "unit", "process"};

enum top_by top_by_find(const char *name)
{
    unsigned by = 0;
    while (by + 1 < TOP_GROUPS && strcmp(by_names[by], name) != 0)
        by++;
    return (enum top_by)by;
}

static void level_done(struct top_level *level)
{
    for (size_t i = 0; i < level->row_count; i++)
        top_row_free(level->rows[i]);
    free(level->rows);
    free(level->shown);
    free(level->probe);
    free(level->unit);
    free(level->name);
    *level = (struct top_level){0};
}

void top_model_init(struct top_model *model, const char *probe_glob, enum top_by by)
{
    *model = (struct top_model){
        .title = "loris top",
        .probe_glob = probe_glob,
        .levels = {{.by = by}},
        .sort = TOP_BY_TIME,
        .window_ns = 10 * NS_PER_S,
        .interval_ns = NS_PER_S,
    };
}

void top_model_done(struct top_model *model)
{
    for (size_t i = 0; i <= model->depth; i++)
        level_done(&model->levels[i]);
    model->depth = 0;
}

/* A glob that matches the name and nothing else. */
static char *exact_glob(const char *name)
{
    char *glob = malloc(3 * strlen(name) + 1), *at = glob;
    for (; glob && *name; name++) {
        bool is_special = strchr("*?[", *name);
        if (is_special)
            *at++ = '[';
        *at++ = *name;
        if (is_special)
            *at++ = ']';
    }
    if (glob)
        *at = '\0';
    return glob;
}

json_t *top_model_question(const struct top_model *model)
{
    const struct top_level *level = &model->levels[model->depth];
    _cleanup_free_ char *exact = level->probe ? exact_glob(level->probe) : NULL;
    _cleanup_json_ json_t *question = json_object();
    if ((level->probe && !exact) ||
        !json_field_set_string(question, "probe", exact ? exact : model->probe_glob) ||
        !json_field_set_string(question, "by", by_names[level->by]) ||
        !json_field_set_u64(question, "window_ns", model->window_ns) ||
        !json_field_set_u64(question, "limit", TOP_ROWS_MAX))
        return NULL;
    return take_ptr(question);
}

/* --- answers --------------------------------------------------------------------------------- */

static int compare_identities(const void *left_at, const void *right_at)
{
    return top_row_compare(*(struct top_row *const *)left_at, *(struct top_row *const *)right_at);
}

/* Calls that the kernel only counted: nobody knows whose they are. */
static bool is_unattributed(const struct top_row *row)
{
    return strcmp(row->kind, "unattributed") == 0;
}

static bool belongs(const struct top_level *level, const struct top_row *row)
{
    if (level->probe && strcmp(level->probe, row->probe) != 0)
        return false;
    return !level->unit || (strcmp(level->unit, row->unit) == 0 && !is_unattributed(row));
}

static void free_rows(struct top_row **rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        top_row_free(rows[i]);
    free(rows);
}

/* The rows of an answer that belong to the level, by identity. */
static int read_rows(const struct top_level *level, const json_t *series,
                     struct top_row ***ret_rows, size_t *ret_count)
{
    size_t given = json_array_size(series), count = 0;
    struct top_row **rows = calloc(given + 1, sizeof(struct top_row *));
    if (!rows)
        return -ENOMEM;
    for (size_t i = 0; i < given && count < TOP_ROWS_MAX; i++) {
        struct top_row *row = NULL;
        int r = top_row_new(json_array_get(series, i), &row);
        if (r < 0) {
            free_rows(rows, count);
            return r;
        }
        if (belongs(level, row))
            rows[count++] = row;
        else
            top_row_free(row);
    }
    qsort(rows, count, sizeof(struct top_row *), compare_identities);
    *ret_rows = rows;
    *ret_count = count;
    return 0;
}

/* What is missing keeps its history for as long as there is something in it. */
static void keep_absent(struct top_level *level, struct top_row *row, struct top_row **merged,
                        size_t *count, size_t room)
{
    top_row_skip(row);
    if (++row->absent < TOP_HISTORY && *count < room) {
        merged[(*count)++] = row;
        return;
    }
    if (level->selected == row)
        level->selected = NULL;
    top_row_free(row);
}

/* Known rows stay where they are in memory and take the new figures. Takes `next`. */
static int merge_rows(struct top_level *level, struct top_row **next, size_t next_count)
{
    struct top_row **merged = calloc(level->row_count + next_count + 1, sizeof(struct top_row *));
    struct top_row **shown = calloc(next_count + 1, sizeof(struct top_row *));
    if (!merged || !shown) {
        free(merged);
        free(shown);
        free_rows(next, next_count);
        return -ENOMEM;
    }
    size_t known = 0, fresh = 0, count = 0;
    while (known < level->row_count || fresh < next_count) {
        int order = known == level->row_count ? 1
                    : fresh == next_count     ? -1
                                              : top_row_compare(level->rows[known], next[fresh]);
        if (order < 0) {
            keep_absent(level, level->rows[known++], merged, &count,
                        TOP_ROWS_MAX - (next_count - fresh));
        } else if (order > 0) {
            merged[count++] = next[fresh++];
        } else {
            top_row_update(level->rows[known], next[fresh]);
            top_row_free(next[fresh++]);
            merged[count++] = level->rows[known++];
        }
    }
    free(next);
    free(level->rows);
    free(level->shown);
    level->rows = merged;
    level->row_count = count;
    level->shown = shown;
    level->shown_count = 0;
    level->present_count = next_count;
    return 0;
}

/* Losses belong to a probe and stand in each of its rows, which follow each other. */
static void sum_up(struct top_model *model, const struct top_level *level)
{
    const struct top_row *before = NULL;
    model->rate_per_s = model->window_s = 0;
    model->lost = 0;
    for (size_t i = 0; i < level->row_count; i++) {
        const struct top_row *row = level->rows[i];
        if (row->absent)
            continue;
        model->rate_per_s += row->figures.rate_per_s;
        if (row->figures.window_s > model->window_s)
            model->window_s = row->figures.window_s;
        if (!before || strcmp(before->probe, row->probe) != 0)
            model->lost += row->figures.lost;
        before = row;
    }
}

int top_model_update(struct top_model *model, const json_t *reply, const char *time)
{
    struct top_level *level = top_model_level(model);
    const json_t *series = json_object_get(reply, "series");
    struct top_row **next = NULL;
    size_t next_count = 0;
    int r = read_rows(level, series, &next, &next_count);
    if (r == 0)
        r = merge_rows(level, next, next_count);
    if (r < 0)
        return r;
    model->truncated = json_field_u64(reply, "truncated");
    snprintf(model->time, sizeof(model->time), "%s", time);
    sum_up(model, level);
    top_model_order(model);
    return 0;
}

void top_model_set_agent(struct top_model *model, const json_t *reply)
{
    const json_t *overhead = json_object_get(reply, "overhead");
    struct top_agent *agent = &model->agent;
    snprintf(agent->health, sizeof(agent->health), "%s", json_field_string(reply, "health"));
    agent->probes_cost = json_field_number(overhead, "probes");
    agent->budget = json_field_number(overhead, "budget");
    agent->agent_cost = json_field_number(overhead, "agent");
    agent->probes_attached = json_field_u64(reply, "probes_attached");
    model->has_agent = true;
}

/* --- order and place ------------------------------------------------------------------------- */

static int compare_ranks(const void *left_at, const void *right_at, void *context)
{
    const struct top_model *model = context;
    const struct top_row *left = *(struct top_row *const *)left_at;
    const struct top_row *right = *(struct top_row *const *)right_at;
    return model->is_reversed ? top_row_rank(right, left, model->sort)
                              : top_row_rank(left, right, model->sort);
}

/* On the selected row, wherever it went; when it is not shown any more, where it was. */
static void place_cursor(struct top_level *level)
{
    size_t place = 0;
    while (level->is_chosen && place < level->shown_count && level->shown[place] != level->selected)
        place++;
    if (level->is_chosen && place == level->shown_count)
        place = level->cursor < level->shown_count ? level->cursor
                : level->shown_count               ? level->shown_count - 1
                                                   : 0;
    level->cursor = place;
    level->selected = level->shown_count ? level->shown[place] : NULL;
}

void top_model_order(struct top_model *model)
{
    struct top_level *level = top_model_level(model);
    level->shown_count = 0;
    for (size_t i = 0; i < level->row_count; i++)
        if (!level->rows[i]->absent && top_row_matches(level->rows[i], level->filter))
            level->shown[level->shown_count++] = level->rows[i];
    if (level->shown_count)
        qsort_r(level->shown, level->shown_count, sizeof(struct top_row *), compare_ranks, model);
    if (model->page == TOP_PAGE_DETAILS && level->selected)
        return; /* they stay with their row, even while it is absent */
    if (model->page == TOP_PAGE_DETAILS)
        model->page = TOP_PAGE_TABLE;
    place_cursor(level);
}

void top_model_move(struct top_model *model, long rows)
{
    struct top_level *level = top_model_level(model);
    if (level->shown_count == 0)
        return;
    long last = (long)level->shown_count - 1, to = (long)level->cursor;
    to = rows < -to ? 0 : rows > last - to ? last : to + rows;
    level->cursor = (size_t)to;
    level->selected = level->shown[to];
    level->is_chosen = true;
}

void top_model_move_top(struct top_model *model)
{
    top_model_level(model)->is_chosen = false;
    place_cursor(top_model_level(model));
}

void top_model_scroll(struct top_model *model, size_t lines)
{
    struct top_level *level = top_model_level(model);
    if (level->first + lines > level->shown_count)
        level->first = level->shown_count > lines ? level->shown_count - lines : 0;
    if (level->cursor >= level->first + lines)
        level->first = level->cursor + 1 - lines;
    if (level->cursor < level->first)
        level->first = level->cursor;
}

/* --- the way down ---------------------------------------------------------------------------- */

int top_model_enter(struct top_model *model)
{
    struct top_level *level = top_model_level(model);
    const struct top_row *row = level->selected;
    if (!row || level->by == TOP_BY_PROCESS || is_unattributed(row))
        return 0;
    bool into_unit = level->by == TOP_BY_UNIT;
    struct top_level next = {
        .by = into_unit ? TOP_BY_PROCESS : TOP_BY_UNIT,
        .probe = strdup(row->probe),
        .unit = into_unit ? strdup(row->unit) : NULL,
        .name = strdup(into_unit ? row->who : row->probe),
    };
    if (!next.probe || !next.name || (into_unit && !next.unit)) {
        level_done(&next);
        return -ENOMEM;
    }
    level->is_chosen = true; /* to come back to it */
    model->levels[++model->depth] = next;
    return 1;
}

bool top_model_leave(struct top_model *model)
{
    if (model->depth == 0)
        return false;
    level_done(top_model_level(model));
    model->depth--;
    struct top_level *level = top_model_level(model);
    for (size_t i = 0; i < level->row_count; i++)
        top_row_skip(level->rows[i]); /* nobody asked for it meanwhile */
    sum_up(model, level);
    top_model_order(model);
    return true;
}

void top_model_group(struct top_model *model, enum top_by by)
{
    char filter[TOP_FILTER_BYTES];
    strcpy(filter, model->levels[0].filter);
    top_model_done(model);
    model->levels[0].by = by;
    strcpy(model->levels[0].filter, filter);
}
