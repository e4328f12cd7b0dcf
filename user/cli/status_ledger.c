/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/json_field.h"
#include "cli/series_view.h"
#include "cli/status.h"

#define PARTS_MAX 4

/* One equation: a counter and those that must add up to it. */
struct equation {
    const char *whole;
    const char *parts[PARTS_MAX];
};

static const struct equation equations[] = {
    {"entered", {"returned", "abandoned", "in_flight"}},
    {"returned", {"sampled", "counted"}},
    {"sampled", {"submitted", "ring_full"}},
    {"submitted", {"decoded", "malformed"}},
    {"in_series", {"decoded", "counted", "ring_full", "unobserved"}},
};
#define EQUATION_COUNT (sizeof(equations) / sizeof(equations[0]))

static const char *const others[] = {"waiting",   "too_deep",  "no_storage",
                                     "unmatched", "inherited", "filtered"};

static uint64_t total_of(const json_t *probes, const char *counter)
{
    uint64_t total = 0;
    for (size_t i = 0; i < json_array_size(probes); i++)
        total += json_field_u64(json_object_get(json_array_get(probes, i), "ledger"), counter);
    return total;
}

static void print_counter(const char *counter, uint64_t value, struct text *out)
{
    char number[32];
    series_view_format_exact(value, number);
    for (const char *at = counter; *at; at++)
        text_append(out, *at == '_' ? " " : at, 1);
    text_append_format(out, " %s", number);
}

static void print_equation(const struct equation *equation, const json_t *probes, struct text *out)
{
    uint64_t whole = total_of(probes, equation->whole);
    uint64_t sum = 0;
    text_append_string(out, "  ");
    print_counter(equation->whole, whole, out);
    for (size_t i = 0; i < PARTS_MAX && equation->parts[i]; i++) {
        uint64_t part = total_of(probes, equation->parts[i]);
        sum += part;
        text_append_string(out, i == 0 ? " = " : " + ");
        print_counter(equation->parts[i], part, out);
    }
    if (sum != whole) {
        char number[32];
        series_view_format_exact(sum > whole ? sum - whole : whole - sum, number);
        text_append_format(out, "  (%s apart)", number);
    }
    text_append(out, "\n", 1);
}

enum ledger_state {
    LEDGER_CLOSES,
    LEDGER_MOVES, /* calls are on their way: more left the kernel than have arrived */
    LEDGER_GAPES,
};

static enum ledger_state state_of(const json_t *ledger, uint64_t *on_their_way)
{
    if (!json_is_object(ledger) || json_field_bool(ledger, "closes"))
        return LEDGER_CLOSES;
    uint64_t submitted = json_field_u64(ledger, "submitted");
    uint64_t arrived = json_field_u64(ledger, "decoded") + json_field_u64(ledger, "malformed");
    uint64_t counted = json_field_u64(ledger, "counted") + json_field_u64(ledger, "ring_full");
    uint64_t in_series = json_field_u64(ledger, "in_series");
    uint64_t expected =
        json_field_u64(ledger, "decoded") + counted + json_field_u64(ledger, "unobserved");
    if (submitted < arrived || expected < in_series)
        return LEDGER_GAPES;
    *on_their_way += submitted - arrived + (expected - in_series);
    return LEDGER_MOVES;
}

static void print_closing(const json_t *probes, struct text *out)
{
    char number[32];
    uint64_t on_their_way = 0;
    size_t gaping = 0;
    for (size_t i = 0; i < json_array_size(probes); i++) {
        const json_t *ledger = json_object_get(json_array_get(probes, i), "ledger");
        gaping += state_of(ledger, &on_their_way) == LEDGER_GAPES;
    }
    series_view_format_exact(on_their_way, number);
    if (gaping > 0)
        text_append_format(out, "ledger    does not close for %zu probes; --probes names them\n",
                           gaping);
    else if (on_their_way > 0)
        text_append_format(out, "ledger    closes, but for %s call%s on the way from the kernel\n",
                           number, on_their_way == 1 ? "" : "s");
    else
        text_append_string(out, "ledger    closes\n");
}

void status_ledger_print(const json_t *reply, struct text *out)
{
    const json_t *probes = json_object_get(reply, "probes");
    print_closing(probes, out);
    for (size_t i = 0; i < EQUATION_COUNT; i++)
        print_equation(&equations[i], probes, out);
    bool has_others = false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        uint64_t value = total_of(probes, others[i]);
        if (value == 0)
            continue;
        text_append_string(out, has_others ? ", " : "  besides: ");
        print_counter(others[i], value, out);
        has_others = true;
    }
    if (has_others)
        text_append(out, "\n", 1);
}
