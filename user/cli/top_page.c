/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Help, and everything that is known of one row. */
#include <string.h>

#include "base/quantity.h"
#include "cli/series_view.h"
#include "cli/top_screen.h"

#define LABEL_WIDTH 12
#define WIDE        60 /* columns from which figures stand two in a line */

/* Lines of a text of any length, of which the grid shows some. */
struct page {
    struct top_grid *grid;
    unsigned from, end;
    size_t first; /* line of the text at the top */
    size_t line;
};

static bool is_on_screen(const struct page *page, unsigned *line)
{
    if (page->line < page->first || page->line - page->first >= page->end - page->from)
        return false;
    *line = page->from + (unsigned)(page->line - page->first);
    return true;
}

static void put(const struct page *page, unsigned column, enum top_style style, const char *string)
{
    unsigned line;
    if (is_on_screen(page, &line))
        top_grid_put(page->grid, line, column, style, string);
}

/* Scrolls back what was scrolled past its end. */
static void show(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end,
                 void (*write)(const struct top_model *model, struct page *page))
{
    struct page page = {.grid = grid, .from = end, .end = end};
    write(model, &page); /* nowhere: to learn how long it is */
    size_t room = end > from ? end - from : 0;
    size_t last_first = page.line > room ? page.line - room : 0;
    if (model->page_first > last_first)
        model->page_first = last_first;
    page = (struct page){.grid = grid, .from = from, .end = end, .first = model->page_first};
    write(model, &page);
}

/* --- help ------------------------------------------------------------------------------------ */

static void write_help(const struct top_model *model, struct page *page)
{
    (void)model;
    static const struct {
        const char *keys, *what;
    } lines[] = {
        {"Up Down k j", "select a row; PgUp PgDn Home End (Home stays on top)"},
        {"Enter Right", "from a probe to its units, from a unit to its processes"},
        {"Esc Bksp Left", "back; at the start Esc clears the filter"},
        {"d", "everything about the selected row"},
        {"/", "filter: part of a name, or a glob; Enter keeps, Esc clears"},
        {"s S", "next sort key, the one before; r turns the order around"},
        {"1 .. 8", "sort by p50 p99 max rate count errors time name"},
        {"b", "one row for each probe, unit, process"},
        {"w", "figures of the last 10 s, 60 s, since the start"},
        {"+ -", "refresh more, less often"},
        {"p Space", "pause; sorting and filters go on working"},
        {"Ctrl-L", "draw everything anew"},
        {"q Ctrl-C", "end"},
        {"", ""},
        {"P99", "99 of 100 calls took at most so long; ~ is estimated (see d)"},
        {"P99 TREND", "a mark for each refresh, from 0 to the row's highest"},
        {"ERR% TIME%", "calls that failed; share of the time spent in all rows"},
        {"cost", "what all probes take, and their budget; agent: its own"},
        {"lost", "calls that are in no figure"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        put(page, 1, TOP_STRONG, lines[i].keys);
        put(page, 16, TOP_PLAIN, lines[i].what);
        page->line++;
    }
}

void top_page_help(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end)
{
    show(model, grid, from, end, write_help);
}

/* --- details --------------------------------------------------------------------------------- */

/* A name at full length, over as many lines as it takes. */
static void write_name(struct page *page, const char *label, const char *name)
{
    put(page, 0, TOP_FAINT, label);
    do {
        put(page, LABEL_WIDTH, TOP_STRONG, name);
        name += top_grid_fit(page->grid, name, page->grid->width - LABEL_WIDTH);
        page->line++;
    } while (*name);
}

/* Two pairs in a line where there is room: the second one of a line ends it. */
static void write_pair(struct page *page, bool is_second, const char *label, const char *value)
{
    unsigned at = is_second && page->grid->width >= WIDE ? page->grid->width / 2 : 0;
    if (is_second && at == 0)
        page->line++;
    put(page, at, TOP_FAINT, label);
    put(page, at + LABEL_WIDTH, TOP_PLAIN, value);
    page->line += is_second;
}

static void write_latency(struct page *page, bool is_second, const struct top_figures *figures,
                          enum top_latency latency)
{
    char value[16] = "-";
    if (figures->count > 0)
        format_duration(figures->latency_ns[latency], value);
    write_pair(page, is_second, top_latency_name(latency), value);
}

static void write_latencies(struct page *page, const struct top_figures *figures)
{
    static const enum top_latency pairs[][2] = {
        {TOP_P50, TOP_MIN}, {TOP_P90, TOP_MEAN}, {TOP_P99, TOP_P95}, {TOP_P999, TOP_MAX}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        write_latency(page, false, figures, pairs[i][0]);
        write_latency(page, true, figures, pairs[i][1]);
    }
}

static void write_calls(struct page *page, const struct top_figures *figures)
{
    char value[96], number[32], duration[16];
    series_view_format_exact(figures->count, value);
    write_pair(page, false, "calls", value);
    format_count(figures->rate_per_s, value);
    strcat(value, "/s");
    write_pair(page, true, "rate", value);
    series_view_format_exact(figures->errors, number);
    snprintf(value, sizeof(value), "%s (%.3g %%)", number, 100 * figures->error_ratio);
    write_pair(page, false, "errors", value);
    format_duration(figures->total_ns < 9e18 ? (uint64_t)figures->total_ns : 0, duration);
    snprintf(value, sizeof(value), "%s (%.1f %% of all)", duration, 100 * figures->time_share);
    write_pair(page, true, "total time", value);
    series_view_format_exact(figures->in_flight, number);
    format_duration(figures->oldest_ns, duration);
    if (figures->oldest_ns)
        snprintf(value, sizeof(value), "%s (oldest %s)", number, duration);
    else
        snprintf(value, sizeof(value), "%s", number);
    write_pair(page, false, "in flight", value);
    format_count(figures->concurrency, value);
    write_pair(page, true, "at a time", value);
}

/* What the figures are worth. */
static void write_coverage(struct page *page, const struct top_figures *figures)
{
    char value[96], number[32];
    snprintf(value, sizeof(value), "%.3g %% of the time", 100 * figures->observed);
    write_pair(page, false, "observed", figures->observed < 1 ? value : "all the time");
    series_view_format_exact(figures->lost, number);
    write_pair(page, true, "lost", number);
    snprintf(value, sizeof(value), "within %.2f %%", 100 * figures->relative_error);
    write_pair(page, false, "quantiles", value);
    series_view_format_percent(figures->rank_error, 2, number);
    snprintf(value, sizeof(value), "within %s", number);
    write_pair(page, true, "ranks", figures->rank_error > 0 ? value : "exact");
    series_view_format_percent(figures->count_error, 2, number);
    snprintf(value, sizeof(value), "within %s", number);
    write_pair(page, false, "counts", figures->count_error > 0 ? value : "exact");
    write_pair(page, true, "breakdown", figures->is_estimated ? "estimated" : "exact");
    if (figures->waiting == 0)
        return;
    series_view_format_exact(figures->waiting, number);
    snprintf(value, sizeof(value), "%s calls for a timed one to stand for them", number);
    put(page, 0, TOP_FAINT, "waiting");
    put(page, LABEL_WIDTH, TOP_PLAIN, value);
    page->line++;
}

static void write_trend(struct page *page, const struct top_row *row)
{
    unsigned line, width = page->grid->width < TOP_HISTORY ? page->grid->width : TOP_HISTORY;
    char lowest_text[16] = "-", highest_text[16] = "-", text[96];
    float lowest = 0, highest = 0;
    for (unsigned i = TOP_HISTORY - width; i < TOP_HISTORY; i++) {
        float sample = row->p99_ns[i];
        highest = sample > highest ? sample : highest;
        lowest = sample > 0 && (lowest == 0 || sample < lowest) ? sample : lowest;
    }
    if (highest > 0) {
        format_duration((uint64_t)lowest, lowest_text);
        format_duration((uint64_t)highest, highest_text);
    }
    snprintf(text, sizeof(text), "%s to %s, the latest on the right", lowest_text, highest_text);
    put(page, 0, TOP_FAINT, "p99 trend");
    put(page, LABEL_WIDTH, TOP_PLAIN, text);
    page->line++;
    if (is_on_screen(page, &line))
        top_trend_put(page->grid, line, 0, width, TOP_STRONG, row);
    page->line++;
}

static void write_details(const struct top_model *model, struct page *page)
{
    const struct top_row *row = model->levels[model->depth].selected;
    write_name(page, "probe", row->probe);
    if (row->who[0])
        write_name(page, "who", row->who);
    if (row->unit[0] && strcmp(row->unit, row->who) != 0)
        write_name(page, "unit", row->unit);
    if (row->absent) {
        put(page, 0, TOP_WARNING, "no calls any more; these are the last figures");
        page->line++;
    }
    page->line++;
    write_latencies(page, &row->figures);
    page->line++;
    write_calls(page, &row->figures);
    page->line++;
    write_coverage(page, &row->figures);
    page->line++;
    write_trend(page, row);
}

void top_page_details(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end)
{
    show(model, grid, from, end, write_details);
}
