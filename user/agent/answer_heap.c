/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Heap and Kmem: what is allocated, by whom. */
#include <errno.h>
#include <string.h>

#include "agent/answers.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/hash.h"
#include "export/heap_json.h"
#include "export/kmem_json.h"
#include "probe/heap_functions.h"

struct query {
    enum config_group by;
    const char *object; /* glob over what follows "heap:"; NULL: all */
    uint64_t pid;
    uint64_t limit;
};

/* Which group of the answer a row of the kernel's went to. */
struct row_group {
    uint64_t row;
    struct heap_key key;
};

struct answer {
    struct agent *agent;
    const struct query *query;
    struct heap_table *groups;
    struct row_group *rows; /* by row */
    size_t rows_count;
    uint64_t now_ns;
    int error;
};

static void answer_done(struct answer *answer)
{
    heap_table_free(answer->groups);
    free(answer->rows);
}

static bool is_wanted(struct answer *answer, uint32_t target_id)
{
    const struct heap_target *target = heap_target_find(answer->agent->heap, target_id);
    const char *pattern = answer->query->object;
    return target &&
           (!pattern || glob_matches(pattern, strchr(target->request.target.text, ':') + 1));
}

static struct heap_key group_key(struct answer *answer, struct heap_key key)
{
    struct heap_key group = {.target = key.target, .level = HEAP_ALL};
    if (answer->query->by == CONFIG_BY_PROCESS)
        return key;
    if (answer->query->by == CONFIG_BY_NONE)
        return group;
    group.level = HEAP_UNIT;
    group.who = key.level == HEAP_PROCESS
                    ? heap_unit_of(answer->agent, (uint32_t)(key.who >> 32), (uint32_t)key.who)
                    : key.who;
    return group;
}

static void add_group(struct answer *answer, const struct heap_group *from, bool lives)
{
    const struct config *config = answer->agent->config;
    uint64_t window_ns = config->window_slices * config->window_slice_ns;
    bool is_process = from->key.level == HEAP_PROCESS;
    if (answer->error || !is_wanted(answer, from->key.target) ||
        (answer->query->pid && (!is_process || from->key.who >> 32 != answer->query->pid)))
        return;
    struct heap_group *into = heap_table_get(answer->groups, group_key(answer, from->key));
    if (!into) {
        answer->error = -ENOMEM;
        return;
    }
    heap_counts_add(&into->counts, &from->counts, true);
    if (lives) {
        into->growth_bytes_per_s +=
            heap_growth_per_s(&from->growth, from->counts.live_bytes, answer->now_ns, window_ns);
        answer->rows[answer->rows_count++] = (struct row_group){from->counts.id, into->key};
    } else {
        answer->error = sketch_merge(&into->sizes, &from->sizes);
    }
}

static int by_row(const void *left, const void *right)
{
    uint64_t a = ((const struct row_group *)left)->row;
    uint64_t b = ((const struct row_group *)right)->row;
    return a < b ? -1 : a > b;
}

static bool on_size(const struct loris_heap_size *size, uint64_t count, void *context)
{
    struct answer *answer = context;
    const struct row_group wanted = {.row = size->row};
    const struct row_group *row =
        bsearch(&wanted, answer->rows, answer->rows_count, sizeof(wanted), by_row);
    struct heap_group *group = row ? heap_table_find(answer->groups, row->key) : NULL;
    if (group && !answer->error)
        answer->error = sketch_record(&group->sizes, size->bucket, count);
    return false;
}

static int by_live_bytes(const void *left, const void *right)
{
    const struct heap_group *a = *(const struct heap_group *const *)left;
    const struct heap_group *b = *(const struct heap_group *const *)right;
    if (a->counts.live_bytes != b->counts.live_bytes)
        return a->counts.live_bytes > b->counts.live_bytes ? -1 : 1;
    return a->counts.bytes != b->counts.bytes ? (a->counts.bytes > b->counts.bytes ? -1 : 1) : 0;
}

static int make_answer(struct answer *answer)
{
    struct agent_heap *heap = answer->agent->heap;
    size_t live = heap_table_count(heap->live);
    size_t folded = heap_table_count(heap->folded);
    answer->rows = calloc(live + 1, sizeof(*answer->rows));
    if (!answer->rows)
        return -ENOMEM;
    int error = heap_table_new((uint32_t)(live + folded + 1), hash_seed(), &answer->groups);
    if (error)
        return error;
    for (size_t i = 0; i < live; i++)
        add_group(answer, heap_table_at(heap->live, i), true);
    for (size_t i = 0; i < folded; i++)
        add_group(answer, heap_table_at(heap->folded, i), false);
    qsort(answer->rows, answer->rows_count, sizeof(*answer->rows), by_row);
    if (!answer->error)
        error = heap_counters_sizes(heap->counters, on_size, answer);
    return error ? error : answer->error;
}

static void write_group(struct answer *answer, struct json_writer *json, const char *time,
                        const struct heap_group *group)
{
    struct agent *agent = answer->agent;
    const struct heap_target *target = heap_target_find(agent->heap, group->key.target);
    struct heap_json line = {.target = target->request.target.text,
                             .time = time,
                             .group = group,
                             .name_of = heap_function_name};
    if (group->key.level == HEAP_UNIT)
        line.unit = process_table_unit(agent->processes, (uint32_t)group->key.who);
    if (group->key.level == HEAP_PROCESS) {
        const struct process_id id = {(uint32_t)(group->key.who >> 32), (uint32_t)group->key.who};
        const struct process *process = process_table_find(agent->processes, id);
        line.pid = id.pid;
        line.comm = process ? process_table_comm(agent->processes, process->comm_id) : NULL;
        line.unit = process ? process_table_unit(agent->processes, process->unit_id) : NULL;
    }
    heap_json_write(json, NULL, &line);
}

static void write_groups(struct answer *answer, struct json_writer *json, const char *time)
{
    size_t count = answer->groups ? heap_table_count(answer->groups) : 0;
    uint64_t limit = answer->query->limit;
    if (limit > answer->agent->sizing.answer_rows_max)
        limit = answer->agent->sizing.answer_rows_max;
    _cleanup_free_ const struct heap_group **sorted = calloc(count + 1, sizeof(*sorted));
    json_begin_array(json, "rows");
    for (size_t i = 0; sorted && i < count; i++)
        sorted[i] = heap_table_at(answer->groups, i);
    if (sorted)
        qsort(sorted, count, sizeof(*sorted), by_live_bytes);
    for (size_t i = 0; sorted && i < count && i < limit; i++)
        write_group(answer, json, time, sorted[i]);
    json_end_array(json);
    json_u64(json, "truncated", !sorted ? count : count > limit ? count - limit : 0);
}

static void write_ledger(struct json_writer *json, const struct loris_heap_ledger *ledger)
{
    json_begin_object(json, "ledger");
    json_u64(json, "entered", ledger->entered);
    json_u64(json, "returned", ledger->returned);
    json_u64(json, "abandoned", ledger->abandoned);
    /* CPUs are read one after the other: a call may seem to have returned before it came. */
    uint64_t gone = ledger->returned + ledger->abandoned;
    json_u64(json, "in_flight", ledger->entered > gone ? ledger->entered - gone : 0);
    json_u64(json, "released", ledger->released);
    json_u64(json, "nested", ledger->nested);
    json_u64(json, "rowless", ledger->rowless);
    json_u64(json, "filtered", ledger->filtered);
    json_u64(json, "too_deep", ledger->too_deep);
    json_u64(json, "no_storage", ledger->no_storage);
    json_end_object(json);
}

static void write_target(struct agent_heap *heap, uint32_t slot, struct json_writer *json)
{
    const struct heap_target *target = &heap->targets[slot];
    struct loris_heap_ledger ledger = {0};
    if (!target->id || heap_counters_ledger(heap->counters, slot, &ledger))
        return;
    json_begin_object(json, NULL);
    json_string_z(json, "target", target->request.target.text);
    if (target->watch) {
        json_string_z(json, "attach", attach_kind_name(heap_watch_kind(target->watch)));
        if (*heap_watch_path(target->watch))
            json_string_z(json, "object", heap_watch_path(target->watch));
    }
    json_u64(json, "functions", target->watch ? heap_watch_functions(target->watch) : 0);
    json_double(json, "rate_per_s", target->rate_per_s, 6);
    json_double(json, "cpu_ratio", target->cost_ratio, 6);
    write_ledger(json, &ledger);
    json_end_object(json);
}

static bool read_query(struct varlink_call *call, const json_t *parameters, struct query *query)
{
    const char *by = "process";
    if (!answer_string(call, parameters, "by", &by) ||
        !answer_string(call, parameters, "object", &query->object) ||
        !answer_u64(call, parameters, "pid", &query->pid) ||
        !answer_u64(call, parameters, "limit", &query->limit))
        return false;
    if (config_group_parse(by, &query->by)) {
        varlink_call_invalid_parameter(call, "by");
        return false;
    }
    return true;
}

void answer_heap(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    struct query query = {.limit = UINT64_MAX};
    struct diag diag = {0};
    char time[32];
    if (!read_query(call, parameters, &query))
        return;
    pump_catch_up(agent); /* who ended, and the names of who began */
    _cleanup_(answer_done) struct answer answer = {
        .agent = agent, .query = &query, .now_ns = agent_now_ns()};
    heap_upkeep(agent, answer.now_ns);
    int error = agent->heap && agent->heap->live ? make_answer(&answer) : 0;
    if (error) {
        diag_set(&diag, -error, "cannot read what is allocated: %s", strerror(-error));
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), time);
    struct json_writer *json = varlink_call_begin_reply(call);
    write_groups(&answer, json, time);
    json_begin_array(json, "targets");
    for (uint32_t slot = 0; agent->heap && slot < LORIS_HEAP_TARGETS_MAX; slot++)
        write_target(agent->heap, slot, json);
    json_end_array(json);
    varlink_call_reply(call);
}

/* --- Kmem ------------------------------------------------------------------------------------ */

struct kmem_rows {
    struct kmem_json *rows;
    size_t count, capacity;
};

static void kmem_rows_done(struct kmem_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free((char *)rows->rows[i].name);
    free(rows->rows);
}

/* Takes the name. */
static void add_kmem_row(struct kmem_rows *rows, struct kmem_json row)
{
    if (rows->count < rows->capacity)
        rows->rows[rows->count++] = row;
    else
        free((char *)row.name);
}

static void on_slab(uint64_t key, const struct loris_kmem_counts *counts,
                    const struct loris_kmem_cache *cache, void *context)
{
    char name[LORIS_KMEM_NAME_BYTES + 1];
    struct kmem_json row = {.kind = "slab", .counts = *counts};
    if (key == LORIS_KMEM_KFREE) {
        snprintf(name, sizeof(name), "kfree");
        row.frees_known = true;
    } else if (LORIS_KMEM_IS_CACHE(key)) {
        if (cache)
            text_sanitize(cache->name, sizeof(cache->name), name);
        else
            snprintf(name, sizeof(name), "(unnamed)");
        row.object_bytes = cache ? cache->object_bytes : 0;
        row.counts.bytes = counts->calls * row.object_bytes;
        row.calls_known = row.frees_known = true;
    } else {
        snprintf(name, sizeof(name), "kmalloc-%llu", (unsigned long long)key);
        row.object_bytes = key;
        row.calls_known = true;
    }
    row.name = strdup(name);
    if (row.name)
        add_kmem_row(context, row);
}

static int add_orders(struct agent *agent, struct kmem_rows *rows)
{
    for (uint32_t order = 0; order < LORIS_KMEM_ORDERS; order++) {
        struct kmem_json row = {.kind = "pages",
                                .order = order,
                                .object_bytes = 4096ull << order,
                                .calls_known = true,
                                .frees_known = true};
        int error = kmem_counters_order(agent->kernel, order, &row.counts);
        if (error)
            return error;
        if (row.counts.calls || row.counts.frees || row.counts.failures)
            add_kmem_row(rows, row);
    }
    return 0;
}

static int64_t live_bytes_of(const struct kmem_json *row)
{
    return row->calls_known && row->frees_known
               ? (int64_t)(row->counts.calls - row->counts.frees) * (int64_t)row->object_bytes
               : 0;
}

static int by_growth(const void *left, const void *right)
{
    const struct kmem_json *a = left, *b = right;
    int64_t grown_a = live_bytes_of(a), grown_b = live_bytes_of(b);
    if (grown_a != grown_b)
        return grown_a > grown_b ? -1 : 1;
    return a->counts.bytes != b->counts.bytes ? (a->counts.bytes > b->counts.bytes ? -1 : 1) : 0;
}

static int read_kmem(struct agent *agent, struct kmem_rows *rows, struct loris_kmem_ledger *ledger)
{
    int error = 0;
    rows->capacity = kernel_side_config(agent->kernel)->kmem_caches_max + LORIS_KMEM_ORDERS;
    rows->rows = calloc(rows->capacity, sizeof(*rows->rows));
    if (!rows->rows)
        return -ENOMEM;
    if (kmem_is_attached(agent, KMEM_SLAB)) {
        error = kmem_counters_slabs(agent->kernel, on_slab, rows);
        if (!error)
            error = kmem_counters_ledger(agent->kernel, ledger);
    }
    if (!error && kmem_is_attached(agent, KMEM_PAGES))
        error = add_orders(agent, rows);
    qsort(rows->rows, rows->count, sizeof(*rows->rows), by_growth);
    return error;
}

void answer_kmem(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    uint64_t limit = UINT64_MAX;
    struct diag diag = {0};
    char time[32];
    struct loris_kmem_ledger ledger = {0};
    _cleanup_(kmem_rows_done) struct kmem_rows rows = {0};
    if (!answer_u64(call, parameters, "limit", &limit))
        return;
    int error = kmem_is_idle(agent) ? 0 : read_kmem(agent, &rows, &ledger);
    if (error) {
        diag_set(&diag, -error, "cannot read what the kernel allocates: %s", strerror(-error));
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), time);
    struct json_writer *json = varlink_call_begin_reply(call);
    json_begin_array(json, "rows");
    for (size_t i = 0; i < rows.count && i < limit; i++) {
        rows.rows[i].time = time;
        kmem_json_write(json, NULL, &rows.rows[i]);
    }
    json_end_array(json);
    json_u64(json, "truncated", rows.count > limit ? rows.count - limit : 0);
    json_u64(json, "unnamed_calls", ledger.unnamed_calls);
    json_u64(json, "unnamed_frees", ledger.unnamed_frees);
    varlink_call_reply(call);
}
