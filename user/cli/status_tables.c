/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "cli/json_field.h"
#include "cli/series_view.h"
#include "cli/status.h"
#include "cli/table.h"
#include "loris/knobs.h"

#define LEDGER_TITLE "LEDGER"

static const struct table_column probe_columns[] = {
    {"PROBE", .is_name = true},
    {.title = "STATE"},
    {"ATTACHED BY", .giving = 1},
    {"ADDRESS", .is_name = true, .giving = 11},
    {"AT", .giving = 8},
    {"RATE/s", .is_right = true, .giving = 4},
    {"NS/CALL", .is_right = true, .giving = 9},
    {"CPU%", .is_right = true, .giving = 3},
    {"RETURNED", .is_right = true},
    {"IN FLIGHT", .is_right = true, .giving = 6},
    {"TIMED", .is_right = true, .giving = 5},
    {"BIAS", .is_right = true, .giving = 7},
    {LEDGER_TITLE, .giving = 10},
    {"WHY", .is_name = true, .giving = 2},
};
static const struct table_column owner_columns[] = {
    {"MEMORY OF", .is_name = true}, {"BYTES", .is_right = true}, {"BUDGET%", .is_right = true},
    {"PEAK", .is_right = true},     {"LIMIT", .is_right = true}, {"ENTRIES", .is_right = true},
};
static const struct table_column cache_columns[] = {
    {"CACHE", .is_name = true},  {"ENTRIES", .is_right = true}, {"BYTES", .is_right = true},
    {"LIMIT", .is_right = true}, {"HITS", .is_right = true},    {"MISSES", .is_right = true},
    {"HIT%", .is_right = true},  {"EVICTED", .is_right = true},
};

#define COLUMNS(table) (sizeof(table) / sizeof((table)[0]))

static void exact_cell(struct table *table, const json_t *object, const char *key)
{
    char cell[32] = "-";
    if (json_field_has(object, key))
        series_view_format_exact(json_field_u64(object, key), cell);
    table_cell(table, cell);
}

static void bytes_cell(struct table *table, const json_t *object, const char *key)
{
    char cell[16] = "-";
    if (json_field_has(object, key))
        format_bytes(json_field_u64(object, key), cell);
    table_cell(table, cell);
}

/* "libc.so.6+0x97d40"; --json has the whole path. */
static void address_cell(struct table *table, const json_t *probe)
{
    char cell[64] = "";
    const char *object = json_field_string(probe, "object");
    const char *slash = strrchr(object, '/');
    if (*object)
        snprintf(cell, sizeof(cell), "%.40s+0x%llx", slash ? slash + 1 : object,
                 (unsigned long long)json_field_u64(probe, "offset"));
    table_cell(table, cell);
}

/* "+4", "+0 stepped" */
static void place_cell(struct table *table, const json_t *placement)
{
    char cell[32] = "";
    if (placement)
        snprintf(cell, sizeof(cell), "+%llu%s",
                 (unsigned long long)json_field_u64(placement, "offset"),
                 json_field_bool(placement, "emulated") ? "" : " stepped");
    table_cell(table, cell);
}

static void cost_cells(struct table *table, const json_t *cost)
{
    char cell[32] = "-";
    exact_cell(table, cost, "call_ns");
    if (cost)
        snprintf(cell, sizeof(cell), "%.2f", 100 * json_field_number(cost, "cpu_ratio"));
    table_cell(table, cell);
}

/* "all", "1/64", "counted", "1/16 for 1/8 of time" */
static void timed_cell(struct table *table, const json_t *probe)
{
    char cell[64] = "all";
    unsigned thin_shift = (unsigned)json_field_u64(probe, "thin_shift") & 63;
    unsigned sample_shift = (unsigned)json_field_u64(probe, "sample_shift") & 63;
    double attached = json_field_number(probe, "attached_ratio");
    unsigned shift = thin_shift ? thin_shift : sample_shift;
    if (sample_shift >= LORIS_SAMPLE_NEVER)
        snprintf(cell, sizeof(cell), "counted");
    else if (shift)
        snprintf(cell, sizeof(cell), "1/%llu", 1ull << shift);
    size_t length = strlen(cell);
    if (attached > 0 && attached < 1)
        snprintf(cell + length, sizeof(cell) - length, " for 1/%.0f of time", 1 / attached);
    table_cell(table, cell);
}

static void probe_row(struct table *table, const json_t *probe)
{
    const json_t *ledger = json_object_get(probe, "ledger");
    char cell[32] = "-";
    table_cell(table, json_field_string(probe, "probe"));
    table_cell(table, json_field_string(probe, "state"));
    table_cell(table, json_field_string(probe, "attach"));
    address_cell(table, probe);
    place_cell(table, json_object_get(probe, "placement"));
    if (json_field_has(probe, "rate_per_s"))
        format_count(json_field_number(probe, "rate_per_s"), cell);
    table_cell(table, cell);
    cost_cells(table, json_object_get(probe, "cost"));
    exact_cell(table, ledger, "returned");
    exact_cell(table, ledger, "in_flight");
    timed_cell(table, probe);
    format_duration(json_field_u64(probe, "bias_ns"), cell);
    table_cell(table, cell);
    table_cell(table, json_field_bool(ledger, "closes") ? "closes" : "open");
    table_cell(table, json_field_string(probe, "reason"));
}

/* A ledger that does not close is worth its column on every terminal. */
static void choose_columns(const json_t *probes, struct table_column chosen[])
{
    bool any_open = false;
    for (size_t i = 0; i < json_array_size(probes); i++)
        any_open |=
            !json_field_bool(json_object_get(json_array_get(probes, i), "ledger"), "closes");
    for (size_t i = 0; i < COLUMNS(probe_columns); i++) {
        chosen[i] = probe_columns[i];
        if (any_open && strcmp(chosen[i].title, LEDGER_TITLE) == 0)
            chosen[i].giving = 0;
    }
}

void status_probes_print(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    const json_t *probes = json_object_get(reply, "probes");
    struct table_column chosen[COLUMNS(probe_columns)];
    choose_columns(probes, chosen);
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    if (table_new(chosen, COLUMNS(chosen), &table) < 0) {
        out->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < json_array_size(probes); i++)
        probe_row(table, json_array_get(probes, i));
    table_print(table, width, 0, emphasise, out);
}

/* Share of the whole agent's budget. */
static void share_cell(struct table *table, const json_t *owner, uint64_t budget_bytes)
{
    char cell[16] = "-";
    if (budget_bytes > 0)
        snprintf(cell, sizeof(cell), "%.1f",
                 100.0 * (double)json_field_u64(owner, "bytes") / (double)budget_bytes);
    table_cell(table, cell);
}

static void print_owners(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    const json_t *owners = json_object_get(reply, "memory");
    uint64_t budget_bytes = json_field_u64(reply, "memory_budget");
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    if (table_new(owner_columns, COLUMNS(owner_columns), &table) < 0) {
        out->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        table_cell(table, json_field_string(owner, "owner"));
        bytes_cell(table, owner, "bytes");
        share_cell(table, owner, budget_bytes);
        bytes_cell(table, owner, "peak");
        bytes_cell(table, owner, "limit");
        exact_cell(table, owner, "entries");
    }
    table_print(table, width, 0, emphasise, out);
}

static void cache_row(struct table *table, const json_t *cache)
{
    char ratio[16] = "-";
    if (json_field_has(cache, "hit_ratio"))
        snprintf(ratio, sizeof(ratio), "%.1f", 100.0 * json_field_number(cache, "hit_ratio"));
    table_cell(table, json_field_string(cache, "name"));
    exact_cell(table, cache, "entries");
    bytes_cell(table, cache, "bytes");
    if (json_field_has(cache, "limit_bytes"))
        bytes_cell(table, cache, "limit_bytes");
    else
        exact_cell(table, cache, "limit");
    exact_cell(table, cache, "hits");
    exact_cell(table, cache, "misses");
    table_cell(table, ratio);
    exact_cell(table, cache, "evicted");
}

void status_memory_print(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    print_owners(reply, width, emphasise, out);
    const json_t *caches = json_object_get(reply, "caches");
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    if (table_new(cache_columns, COLUMNS(cache_columns), &table) < 0) {
        out->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < json_array_size(caches); i++)
        cache_row(table, json_array_get(caches, i));
    text_append(out, "\n", 1);
    table_print(table, width, 0, emphasise, out);
}
