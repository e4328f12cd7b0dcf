/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_screen.h"

#include <string.h>

#include "base/quantity.h"

#define MARKER       2 /* columns before the names */
#define COLUMN_GAP   2
#define NAME_MIN     10
#define TREND_MAX    60
#define TALL         12 /* lines from which the totals have one */
#define FIGURE_BYTES 32
#define CLOCK_BYTES  sizeof("HH:MM:SS")

enum figure {
    FIGURE_TREND,
    FIGURE_P50,
    FIGURE_P90,
    FIGURE_P99,
    FIGURE_P999,
    FIGURE_MAX,
    FIGURE_RATE,
    FIGURE_ERRORS,
    FIGURE_TIME,
    FIGURE_COUNT,
    FIGURES,
};

/* giving: where it is too narrow the highest goes first; 0: stays. */
static const struct {
    const char *title;
    unsigned width, giving;
    enum top_sort sort; /* TOP_SORTS: none */
} figure_columns[FIGURES] = {
    [FIGURE_TREND] = {"P99 TREND", 9, 3, TOP_SORTS},
    [FIGURE_P50] = {"P50", 7, 5, TOP_BY_P50},
    [FIGURE_P90] = {"P90", 7, 8, TOP_SORTS},
    [FIGURE_P99] = {"P99", 7, 0, TOP_BY_P99},
    [FIGURE_P999] = {"P99.9", 7, 9, TOP_SORTS},
    [FIGURE_MAX] = {"MAX", 7, 6, TOP_BY_MAX},
    [FIGURE_RATE] = {"RATE", 8, 1, TOP_BY_RATE},
    [FIGURE_ERRORS] = {"ERR%", 5, 4, TOP_BY_ERRORS},
    [FIGURE_TIME] = {"TIME%", 5, 7, TOP_BY_TIME},
    [FIGURE_COUNT] = {"COUNT", 7, 10, TOP_BY_COUNT},
};

struct row_layout {
    bool is_shown[FIGURES];
    unsigned trend_width;
    unsigned probe_width, who_width; /* 0: not shown */
};

unsigned top_screen_rows(unsigned height)
{
    unsigned frame = height < TALL ? 4 : 5; /* title, totals, way and order, heads; keys */
    return height > frame ? height - frame : 1;
}

/* --- layout ---------------------------------------------------------------------------------- */

static unsigned columns_width(const struct row_layout *layout)
{
    unsigned width = 0;
    for (unsigned i = 0; i < FIGURES; i++)
        if (layout->is_shown[i])
            width += COLUMN_GAP + figure_columns[i].width;
    return width;
}

static bool drop_one(struct row_layout *layout, enum top_sort sort)
{
    unsigned chosen = FIGURES;
    for (unsigned i = 0; i < FIGURES; i++)
        if (layout->is_shown[i] && figure_columns[i].giving > 0 && figure_columns[i].sort != sort &&
            (chosen == FIGURES || figure_columns[i].giving > figure_columns[chosen].giving))
            chosen = i;
    if (chosen < FIGURES)
        layout->is_shown[chosen] = false;
    return chosen < FIGURES;
}

/* By all rows, not by those on the screen: columns must not move while one scrolls. */
static void measure_names(const struct top_level *level, const struct top_grid *grid,
                          unsigned *probe_width, unsigned *who_width)
{
    size_t probe = strlen("PROBE"), who = strlen("WHO");
    for (size_t i = 0; i < level->row_count; i++) {
        size_t own = top_grid_measure(grid, level->rows[i]->probe);
        probe = own > probe ? own : probe;
        own = top_grid_measure(grid, level->rows[i]->who);
        who = own > who ? own : who;
    }
    *probe_width = level->probe ? 0 : probe < grid->width ? (unsigned)probe : grid->width;
    *who_width = level->by == TOP_BY_NONE ? 0 : who < grid->width ? (unsigned)who : grid->width;
}

static unsigned names_width(const struct row_layout *layout)
{
    return layout->probe_width + layout->who_width +
           (layout->probe_width && layout->who_width ? COLUMN_GAP : 0);
}

static void plan_row(const struct top_model *model, const struct top_grid *grid,
                     struct row_layout *layout)
{
    const struct top_level *level = &model->levels[model->depth];
    measure_names(level, grid, &layout->probe_width, &layout->who_width);
    unsigned both = layout->probe_width && layout->who_width;
    unsigned floor = grid->width * (both ? 4 : 3) / 10;
    if (floor < NAME_MIN)
        floor = NAME_MIN;
    if (floor > names_width(layout))
        floor = names_width(layout);
    for (unsigned i = 0; i < FIGURES; i++)
        layout->is_shown[i] = true;
    while (MARKER + floor + columns_width(layout) > grid->width && drop_one(layout, model->sort))
        ;
    unsigned taken = MARKER + columns_width(layout);
    unsigned room = grid->width > taken ? grid->width - taken : 0;
    while (names_width(layout) > room && names_width(layout) > both + 1) {
        unsigned *wider =
            layout->probe_width >= layout->who_width ? &layout->probe_width : &layout->who_width;
        --*wider;
    }
    unsigned left = room > names_width(layout) ? room - names_width(layout) : 0;
    unsigned trend = figure_columns[FIGURE_TREND].width + left;
    layout->trend_width = trend < TREND_MAX ? trend : TREND_MAX;
}

static unsigned width_of(const struct row_layout *layout, unsigned column)
{
    return column == FIGURE_TREND ? layout->trend_width : figure_columns[column].width;
}

/* --- cells ----------------------------------------------------------------------------------- */

void top_trend_put(struct top_grid *grid, unsigned line, unsigned column, unsigned width,
                   enum top_style style, const struct top_row *row)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    const unsigned levels = sizeof(blocks) / sizeof(blocks[0]) - 1;
    if (width > TOP_HISTORY)
        width = TOP_HISTORY;
    const float *samples = row->p99_ns + TOP_HISTORY - width;
    float highest = 0;
    for (unsigned i = 0; i < width; i++)
        highest = samples[i] > highest ? samples[i] : highest;
    for (unsigned i = 0; i < width; i++) {
        unsigned level = 0;
        if (samples[i] > 0) /* never without a trace */
            level = 1 + (unsigned)((float)(levels - 1) * samples[i] / highest + 0.5f);
        top_grid_put(grid, line, column + i, style, (grid->is_utf8 ? blocks : letters)[level]);
    }
}

static void format_percent(double ratio, char out[FIGURE_BYTES])
{
    double percent = 100 * ratio;
    if (ratio <= 0)
        snprintf(out, FIGURE_BYTES, "0");
    else if (percent < 0.01)
        snprintf(out, FIGURE_BYTES, "<0.01");
    else
        snprintf(out, FIGURE_BYTES, "%.*f", percent < 9.995 ? 2 : percent < 99.95, percent);
}

static void format_cell(const struct top_figures *figures, unsigned column, char out[FIGURE_BYTES])
{
    static const enum top_latency latency_of[FIGURES] = {
        [FIGURE_P50] = TOP_P50,   [FIGURE_P90] = TOP_P90, [FIGURE_P99] = TOP_P99,
        [FIGURE_P999] = TOP_P999, [FIGURE_MAX] = TOP_MAX,
    };
    switch (column) {
    case FIGURE_RATE:
        format_count(figures->rate_per_s, out);
        strcat(out, "/s");
        return;
    case FIGURE_ERRORS:
        format_percent(figures->error_ratio, out);
        return;
    case FIGURE_TIME:
        format_percent(figures->time_share, out);
        return;
    case FIGURE_COUNT:
        format_count((double)figures->count, out);
        return;
    default:
        break;
    }
    if (figures->count == 0) {
        snprintf(out, FIGURE_BYTES, "-");
        return;
    }
    /* the mark of what is not counted call by call */
    char *at = column == FIGURE_P99 && figures->is_estimated ? stpcpy(out, "~") : out;
    format_duration(figures->latency_ns[latency_of[column]], at);
}

/* --- table ----------------------------------------------------------------------------------- */

static void put_heads(const struct top_model *model, const struct row_layout *layout,
                      struct top_grid *grid, unsigned line)
{
    const char *down = grid->is_utf8 ? "▼" : "v", *up = grid->is_utf8 ? "▲" : "^";
    const char *arrow = model->is_reversed ? up : down;
    bool by_name = model->sort == TOP_BY_NAME;
    unsigned at = MARKER;
    char title[FIGURE_BYTES];
    top_grid_paint(grid, line, TOP_HEAD);
    if (layout->probe_width) {
        unsigned next = top_grid_put(grid, line, at, TOP_HEAD, "PROBE");
        if (by_name)
            top_grid_put(grid, line, next, TOP_HEAD, arrow);
        at += layout->probe_width + (layout->who_width ? COLUMN_GAP : 0);
    }
    if (layout->who_width) {
        unsigned next = top_grid_put(grid, line, at, TOP_HEAD, "WHO");
        if (by_name && !layout->probe_width)
            top_grid_put(grid, line, next, TOP_HEAD, arrow);
        at += layout->who_width;
    }
    for (unsigned i = 0; i < FIGURES; i++) {
        if (!layout->is_shown[i])
            continue;
        snprintf(title, sizeof(title), "%s%s", figure_columns[i].sort == model->sort ? arrow : "",
                 figure_columns[i].title);
        if (i == FIGURE_TREND)
            top_grid_put(grid, line, at + COLUMN_GAP, TOP_HEAD, title);
        else
            top_grid_put_right(grid, line, at + COLUMN_GAP + width_of(layout, i), TOP_HEAD, title);
        at += COLUMN_GAP + width_of(layout, i);
    }
}

static enum top_style style_of_cell(const struct top_figures *figures, unsigned column,
                                    enum top_style style)
{
    if (style != TOP_PLAIN)
        return style;
    if (column == FIGURE_ERRORS)
        return figures->errors ? TOP_BAD : TOP_FAINT;
    return column == FIGURE_P99 ? TOP_STRONG : TOP_PLAIN;
}

static void put_row(const struct top_row *row, const struct row_layout *layout,
                    struct top_grid *grid, unsigned line, enum top_style style)
{
    char cell[FIGURE_BYTES];
    unsigned at = MARKER;
    if (layout->probe_width) {
        top_grid_put_cut(grid, line, at, layout->probe_width, style, row->probe);
        at += layout->probe_width + (layout->who_width ? COLUMN_GAP : 0);
    }
    if (layout->who_width) {
        top_grid_put_cut(grid, line, at, layout->who_width, style, row->who);
        at += layout->who_width;
    }
    for (unsigned i = 0; i < FIGURES; i++) {
        if (!layout->is_shown[i])
            continue;
        unsigned width = width_of(layout, i);
        at += COLUMN_GAP;
        if (i == FIGURE_TREND) {
            top_trend_put(grid, line, at, width, style, row);
        } else {
            format_cell(&row->figures, i, cell);
            top_grid_put_right(grid, line, at + width, style_of_cell(&row->figures, i, style),
                               cell);
        }
        at += width;
    }
}

static const char *why_empty(const struct top_model *model)
{
    const struct top_level *level = &model->levels[model->depth];
    if (level->filter[0] && level->present_count)
        return "nothing matches the filter; Esc clears it";
    if (!level->shown)
        return model->link == TOP_GONE ? "" : "asking the agent ...";
    if (model->has_agent && model->agent.probes_attached == 0)
        return "no probe is attached; loris status says why";
    return "no calls in this time";
}

static void put_table(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end)
{
    struct top_level *level = top_model_level(model);
    struct row_layout layout;
    unsigned lines = end > from + 1 ? end - from - 1 : 1;
    plan_row(model, grid, &layout);
    put_heads(model, &layout, grid, from);
    top_model_scroll(model, lines);
    if (level->shown_count == 0)
        top_grid_put(grid, from + 1, MARKER, TOP_FAINT, why_empty(model));
    for (unsigned i = 0; i < lines && level->first + i < level->shown_count; i++) {
        const struct top_row *row = level->shown[level->first + i];
        bool is_selected = row == level->selected;
        enum top_style style = is_selected               ? TOP_SELECTED
                               : model->link == TOP_GONE ? TOP_FAINT
                                                         : TOP_PLAIN;
        unsigned line = from + 1 + i;
        if (is_selected) {
            top_grid_paint(grid, line, style);
            top_grid_put(grid, line, 0, style, ">");
        }
        put_row(row, &layout, grid, line, style);
    }
}

/* --- frame ----------------------------------------------------------------------------------- */

static enum top_style style_of_health(const char *health)
{
    return strcmp(health, "ok") == 0         ? TOP_GOOD
           : strcmp(health, "degraded") == 0 ? TOP_WARNING
                                             : TOP_BAD;
}

/* "1 s", "500 ms" */
static void format_interval(uint64_t interval_ns, char out[16])
{
    format_duration(interval_ns, out);
    char *zeros = strstr(out, ".00 ");
    if (zeros)
        memmove(zeros, zeros + 3, strlen(zeros + 3) + 1);
}

/* "last 10.0 s", "all 3.00 h" */
static void format_covered(const struct top_model *model, char out[FIGURE_BYTES])
{
    char duration[16];
    bool is_known = model->window_s > 0 && model->window_s < 1e9;
    format_duration(is_known ? (uint64_t)(model->window_s * 1e9) : model->window_ns, duration);
    snprintf(out, FIGURE_BYTES, model->window_ns ? "last %s" : "all %s", duration);
}

static void put_title(const struct top_model *model, struct top_grid *grid)
{
    char window[FIGURE_BYTES], interval[16], clock[CLOCK_BYTES + 1] = "";
    const size_t clock_at = strlen("YYYY-MM-DDT");
    unsigned end = grid->width;
    if (strlen(model->time) > clock_at + CLOCK_BYTES) {
        snprintf(clock, sizeof(clock), "%.8sZ", model->time + clock_at);
        end -= (unsigned)strlen(clock) + 1;
        top_grid_put_right(grid, 0, grid->width, TOP_PLAIN, clock);
    }
    unsigned at = top_grid_put(grid, 0, 0, TOP_STRONG, model->title) + COLUMN_GAP;
    if (model->link != TOP_CONNECTED) {
        top_grid_put_cut(grid, 0, at, end > at ? end - at : 0, TOP_BAD, model->said);
        return;
    }
    if (model->has_agent)
        at = top_grid_put(grid, 0, at, style_of_health(model->agent.health), model->agent.health) +
             COLUMN_GAP;
    if (model->is_paused) {
        at = top_grid_put(grid, 0, at, TOP_SELECTED, "PAUSED") + COLUMN_GAP;
    } else if (model->said[0]) {
        top_grid_put_cut(grid, 0, at, end > at ? end - at : 0, TOP_WARNING, model->said);
        return;
    }
    format_covered(model, window);
    format_interval(model->interval_ns, interval);
    char rest[3 * FIGURE_BYTES];
    snprintf(rest, sizeof(rest), "%s, every %s", window, interval);
    if (at + strlen(rest) < end)
        top_grid_put(grid, 0, at, TOP_PLAIN, rest);
}

/* One thing after the other, as long as there is room for it as a whole. */
static unsigned put_total(struct top_grid *grid, unsigned line, unsigned at, enum top_style style,
                          const char *total)
{
    unsigned next = at ? at + COLUMN_GAP + 1 : 0;
    if (next + top_grid_measure(grid, total) > grid->width)
        return at;
    return top_grid_put(grid, line, next, style, total);
}

static void put_totals(const struct top_model *model, struct top_grid *grid, unsigned line)
{
    const struct top_agent *agent = &model->agent;
    char total[3 * FIGURE_BYTES], number[16];
    format_count(model->rate_per_s, number);
    snprintf(total, sizeof(total), "%s calls/s", number);
    unsigned at = put_total(grid, line, 0, TOP_PLAIN, total);
    format_count((double)model->lost, number);
    snprintf(total, sizeof(total), "%s lost", number);
    at = put_total(grid, line, at, model->lost ? TOP_WARNING : TOP_PLAIN, total);
    if (!model->has_agent)
        return;
    bool is_over = agent->budget > 0 && agent->probes_cost > agent->budget;
    char budget[FIGURE_BYTES] = "";
    if (agent->budget > 0)
        snprintf(budget, sizeof(budget), " of %.2f %%", 100 * agent->budget);
    snprintf(total, sizeof(total), "%llu probes cost %.2f %%%s CPU",
             (unsigned long long)agent->probes_attached, 100 * agent->probes_cost, budget);
    at = put_total(grid, line, at, is_over ? TOP_WARNING : TOP_PLAIN, total);
    snprintf(total, sizeof(total), "agent %.2f %%", 100 * agent->agent_cost);
    put_total(grid, line, at, TOP_PLAIN, total);
}

/* The way here, and on the right how much of it is shown. */
static void put_way(const struct top_model *model, struct top_grid *grid, unsigned line)
{
    const struct top_level *level = &model->levels[model->depth];
    char rows[FIGURE_BYTES + 2 * TOP_FILTER_BYTES], shown[16], all[16];
    format_count((double)level->shown_count, shown);
    format_count((double)(level->present_count + model->truncated), all);
    int length = snprintf(rows, sizeof(rows), "%s", all);
    if (level->shown_count != level->present_count + model->truncated)
        length = snprintf(rows, sizeof(rows), "%s of %s", shown, all);
    snprintf(rows + length, sizeof(rows) - (size_t)length, " row%s%s%s",
             strcmp(all, "1") == 0 ? "" : "s", level->filter[0] ? ", filter " : "", level->filter);
    unsigned end = grid->width, wanted = (unsigned)top_grid_measure(grid, rows);
    if (wanted > grid->width / 2)
        wanted = grid->width / 2;
    top_grid_put_cut(grid, line, end - wanted, wanted, TOP_FAINT, rows);
    end -= wanted + COLUMN_GAP;
    const char *start = model->probe_glob ? model->probe_glob : "all probes";
    const char *step = grid->is_utf8 ? " › " : " > ";
    unsigned steps = (unsigned)model->depth + 1, at = 0;
    for (size_t i = 0; i < steps; i++) {
        unsigned left = end > at ? end - at : 0, share = left / (steps - (unsigned)i);
        enum top_style style = i + 1 == steps ? TOP_STRONG : TOP_PLAIN;
        const char *name = i == 0 ? start : model->levels[i].name;
        if (i > 0 && share > 4) {
            at = top_grid_put(grid, line, at, TOP_FAINT, step);
            share -= 3;
        }
        at = top_grid_put_cut(grid, line, at, share, style, name);
    }
}

static void put_keys(const struct top_model *model, struct top_grid *grid, unsigned line)
{
    static const char *const table_keys[] = {
        "? help", "q quit", "Enter into", "/ filter", "s sort", "d details", "p pause", "w window",
    };
    static const char *const page_keys[] = {"Esc back", "q quit", "PgDn more"};
    bool on_table = model->page == TOP_PAGE_TABLE;
    unsigned at = 0;
    if (model->is_typing) {
        const struct top_level *level = &model->levels[model->depth];
        at = top_grid_put(grid, line, 0, TOP_STRONG, "filter: ");
        unsigned room = grid->width > at + 1 ? grid->width - at - 1 : 0;
        at = top_grid_put_cut(grid, line, at, room, TOP_STRONG, level->filter);
        top_grid_put(grid, line, at, TOP_SELECTED, "_");
        return;
    }
    if (on_table && model->depth > 0)
        at = put_total(grid, line, at, TOP_FAINT, "Esc back");
    const char *const *keys = on_table ? table_keys : page_keys;
    size_t count = on_table ? sizeof(table_keys) / sizeof(table_keys[0])
                            : sizeof(page_keys) / sizeof(page_keys[0]);
    for (size_t i = 0; i < count; i++)
        at = put_total(grid, line, at, TOP_FAINT, keys[i]);
}

void top_screen_draw(struct top_model *model, struct top_grid *grid)
{
    if (grid->width < TOP_WIDTH_MIN || grid->height < TOP_HEIGHT_MIN) {
        char small[64];
        snprintf(small, sizeof(small), "too small: %ux%u", TOP_WIDTH_MIN, TOP_HEIGHT_MIN);
        top_grid_put(grid, 0, 0, TOP_PLAIN, small);
        top_grid_put(grid, 1, 0, TOP_PLAIN, "are needed");
        return;
    }
    unsigned line = 0, last = grid->height - 1;
    put_title(model, grid);
    if (grid->height >= TALL)
        put_totals(model, grid, ++line);
    if (model->page == TOP_PAGE_HELP) {
        top_page_help(model, grid, line + 1, last);
    } else {
        put_way(model, grid, ++line);
        if (model->page == TOP_PAGE_DETAILS)
            top_page_details(model, grid, line + 1, last);
        else
            put_table(model, grid, line + 1, last);
    }
    put_keys(model, grid, last);
}
