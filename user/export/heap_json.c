/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/heap_json.h"

static void write_group(struct json_writer *json, const struct heap_json *heap)
{
    if (!heap->pid && !heap->comm && !heap->unit)
        return;
    json_begin_object(json, "group");
    if (heap->pid)
        json_u64(json, "pid", heap->pid);
    if (heap->comm)
        json_string_z(json, "comm", heap->comm);
    if (heap->unit)
        json_string_z(json, "unit", heap->unit);
    json_end_object(json);
}

static void write_functions(struct json_writer *json, const struct heap_json *heap)
{
    const struct loris_heap_row *counts = &heap->group->counts;
    json_begin_object(json, "functions");
    for (unsigned i = 0; i < LORIS_HEAP_FUNCTIONS; i++) {
        if (!counts->calls[i])
            continue;
        json_begin_object(json, heap->name_of((enum loris_heap_function)i));
        json_u64(json, "calls", counts->calls[i]);
        if (i < LORIS_HEAP_RELEASES)
            json_u64(json, "failures", counts->failures[i]);
        json_end_object(json);
    }
    json_end_object(json);
}

static void write_sizes(struct json_writer *json, const struct heap_group *group)
{
    static const double wanted[] = {0.5, 0.9, 0.99};
    static const char *const keys[] = {"size_p50", "size_p90", "size_p99"};
    const struct loris_heap_row *counts = &group->counts;
    uint64_t least = ~counts->size_min_inverted, most = counts->size_max;
    uint64_t values[3];
    uint64_t succeeded = heap_counts_succeeded(counts);
    if (sketch_count(&group->sizes) == 0 || succeeded == 0)
        return;
    sketch_quantiles(&group->sizes, wanted, 3, values);
    json_u64(json, "size_min", least);
    json_u64(json, "size_mean", counts->bytes / succeeded);
    for (size_t i = 0; i < 3; i++)
        json_u64(json, keys[i], values[i] < least ? least : values[i] > most ? most : values[i]);
    json_u64(json, "size_max", most);
    json_double(json, "relative_error", sketch_relative_error(&group->sizes), 3);
}

/* Counters are read one after the other while calls go on: a block may seem to be freed before it
 * was allocated. At rest they are exact. */
static uint64_t not_negative(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

void heap_json_write(struct json_writer *json, const char *key, const struct heap_json *heap)
{
    const struct loris_heap_row *counts = &heap->group->counts;
    json_begin_object(json, key);
    json_string_z(json, "schema", HEAP_JSON_SCHEMA);
    json_string_z(json, "time", heap->time);
    json_string_z(json, "target", heap->target);
    write_group(json, heap);
    json_u64(json, "live_bytes", not_negative(counts->live_bytes));
    json_u64(json, "live_count", not_negative(counts->live_count));
    json_double(json, "growth_bytes_per_s", heap->group->growth_bytes_per_s, 6);
    json_u64(json, "calls", heap_counts_calls(counts));
    json_u64(json, "failures", heap_counts_failures(counts));
    json_u64(json, "bytes", counts->bytes);
    write_sizes(json, heap->group);
    json_u64(json, "frees", counts->frees);
    json_u64(json, "freed_bytes", counts->freed_bytes);
    json_u64(json, "frees_older", counts->frees_older);
    json_u64(json, "frees_null", counts->frees_null);
    json_u64(json, "freed_by_realloc", counts->released_by_realloc);
    json_u64(json, "resized", counts->resized);
    json_u64(json, "resized_older", counts->resized_older);
    json_u64(json, "untracked", counts->untracked);
    json_u64(json, "vanished", counts->vanished);
    json_bool(json, "estimated", counts->untracked || counts->unsketched);
    write_functions(json, heap);
    json_end_object(json);
}
