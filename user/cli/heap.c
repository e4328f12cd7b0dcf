/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris heap: what is allocated and not freed, from the running agent. */
#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/series_view.h"
#include "cli/table.h"

static const struct table_column heap_columns[] = {
    {"TARGET", .is_name = true, .giving = 6},
    {"WHO", .is_name = true},
    {"LIVE", .is_right = true},
    {"BLOCKS", .is_right = true, .giving = 3},
    {"GROWTH/s", .is_right = true, .giving = 1},
    {"CALLS", .is_right = true},
    {"FAILED", .is_right = true, .giving = 2},
    {"FREED", .is_right = true, .giving = 7},
    {"OLDER", .is_right = true, .giving = 8},
    {"BYTES", .is_right = true, .giving = 9},
    {"P50", .is_right = true, .giving = 4},
    {"P99", .is_right = true, .giving = 4},
    {"MAX", .is_right = true, .giving = 5},
};

static const struct table_column kmem_columns[] = {
    {.title = "KIND"},
    {"NAME", .is_name = true},
    {"OBJECT", .is_right = true, .giving = 2},
    {"CALLS", .is_right = true},
    {"FAILED", .is_right = true, .giving = 3},
    {"FREED", .is_right = true, .giving = 1},
    {"LIVE", .is_right = true},
    {"LIVE BYTES", .is_right = true},
    {"BYTES", .is_right = true, .giving = 4},
};

#define COLUMNS(table) (sizeof(table) / sizeof((table)[0]))

/* "-1.2 MiB": growth has a sign. */
static void signed_bytes(double bytes, char out[20])
{
    char size[16];
    format_bytes((uint64_t)(bytes < 0 ? -bytes : bytes), size);
    snprintf(out, 20, "%s%s", bytes < 0 ? "-" : "", size);
}

static void bytes_cell(struct table *table, const json_t *row, const char *key)
{
    char cell[20] = "-";
    if (json_field_has(row, key))
        signed_bytes(json_field_number(row, key), cell);
    table_cell(table, cell);
}

static void count_cell(struct table *table, const json_t *row, const char *key)
{
    char cell[32] = "-", number[32];
    double count = json_field_number(row, key);
    if (json_field_has(row, key)) {
        series_view_format_exact((uint64_t)(count < 0 ? -count : count), number);
        snprintf(cell, sizeof(cell), "%s%.30s", count < 0 ? "-" : "", number);
    }
    table_cell(table, cell);
}

/* "redis-server[4711]", "redis.service", "everybody" */
static void who_cell(struct table *table, const json_t *group)
{
    char cell[300];
    const char *comm = json_field_string(group, "comm");
    const char *unit = json_field_string(group, "unit");
    if (json_field_has(group, "pid"))
        snprintf(cell, sizeof(cell), "%s[%llu]", comm,
                 (unsigned long long)json_field_u64(group, "pid"));
    else
        snprintf(cell, sizeof(cell), "%s", *unit ? unit : "everybody");
    table_cell(table, cell);
}

static void heap_row(struct table *table, const json_t *row)
{
    table_cell(table, json_field_string(row, "target"));
    who_cell(table, json_object_get(row, "group"));
    bytes_cell(table, row, "live_bytes");
    count_cell(table, row, "live_count");
    bytes_cell(table, row, "growth_bytes_per_s");
    count_cell(table, row, "calls");
    count_cell(table, row, "failures");
    count_cell(table, row, "frees");
    count_cell(table, row, "frees_older");
    bytes_cell(table, row, "bytes");
    bytes_cell(table, row, "size_p50");
    bytes_cell(table, row, "size_p99");
    bytes_cell(table, row, "size_max");
}

static void kmem_row(struct table *table, const json_t *row)
{
    char order[32];
    const char *name = json_field_string(row, "name");
    snprintf(order, sizeof(order), "order %llu", (unsigned long long)json_field_u64(row, "order"));
    table_cell(table, json_field_string(row, "kind"));
    table_cell(table, json_field_has(row, "order") ? order : name);
    bytes_cell(table, row, "object_bytes");
    count_cell(table, row, "calls");
    count_cell(table, row, "failures");
    count_cell(table, row, "frees");
    count_cell(table, row, "live_count");
    bytes_cell(table, row, "live_bytes");
    bytes_cell(table, row, "bytes");
}

#define BULK_CALLS_MIN 1000 /* from so many on, one free of a hundred is too few */
#define BULK_NAMES_MAX 4

/* No event tells of objects that the kernel frees in bulk: what looks like the greatest leak. */
static void print_bulk_freed(const json_t *rows, struct text *out)
{
    unsigned found = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        uint64_t calls = json_field_u64(row, "calls");
        if (!json_field_has(row, "name") || calls < BULK_CALLS_MIN ||
            json_field_u64(row, "frees") >= calls / 100)
            continue;
        if (found < BULK_NAMES_MAX)
            text_append_format(out, "%s%s", found ? ", " : "", json_field_string(row, "name"));
        else if (found == BULK_NAMES_MAX)
            text_append_string(out, ", ...");
        found++;
    }
    if (found)
        text_append_string(out,
                           ": hardly a free was seen. The kernel may free these in bulk, which "
                           "no event tells: LIVE shows no leak there; /proc/slabinfo has what "
                           "is held\n");
}

/* What the table cannot show is said below it. */
static void print_footer(const json_t *reply, struct text *out)
{
    const json_t *rows = json_object_get(reply, "rows");
    const json_t *targets = json_object_get(reply, "targets");
    uint64_t untracked = 0, truncated = json_field_u64(reply, "truncated");
    char number[32];
    print_bulk_freed(rows, out);
    for (size_t i = 0; i < json_array_size(rows); i++)
        untracked += json_field_u64(json_array_get(rows, i), "untracked");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        const json_t *ledger = json_object_get(target, "ledger");
        text_append_format(
            out, "%s: %.2f %% of a CPU at %.0f calls/s\n", json_field_string(target, "target"),
            100 * json_field_number(target, "cpu_ratio"), json_field_number(target, "rate_per_s"));
        if (json_field_u64(ledger, "rowless")) {
            series_view_format_exact(json_field_u64(ledger, "rowless"), number);
            text_append_format(out, "%s calls are of processes for which there was no room\n",
                               number);
        }
    }
    if (untracked) {
        series_view_format_exact(untracked, number);
        text_append_format(out,
                           "for %s blocks there was no room: LIVE lacks those of them that are "
                           "not freed; set a larger memory_budget, or watch fewer programs\n",
                           number);
    }
    if (truncated) {
        series_view_format_exact(truncated, number);
        text_append_format(out, "... and %s more\n", number);
    }
}

static int print_rows(const json_t *reply, bool is_kernel)
{
    struct output output;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    const json_t *rows = json_object_get(reply, "rows");
    int r = output_open(NULL, &output);
    if (r == 0)
        r = is_kernel ? table_new(kmem_columns, COLUMNS(kmem_columns), &table)
                      : table_new(heap_columns, COLUMNS(heap_columns), &table);
    if (r < 0)
        return output_exit_code(r);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (is_kernel)
            kmem_row(table, json_array_get(rows, i));
        else
            heap_row(table, json_array_get(rows, i));
    }
    if (json_array_size(rows) == 0 && json_array_size(json_object_get(reply, "targets")) == 0) {
        message_say("nothing that is watched allocates");
        message_hint("name %s under targets: in the configuration, then loris reload",
                     is_kernel ? "kmem:slab or kmem:pages" : "heap:libc.so.6");
        return EXIT_CODE_FINE;
    }
    table_print(table, output_width(&output), 0, output.has_colour, &out);
    print_footer(reply, &out);
    return output_exit_code(output_write(&output, &out));
}

static int make_parameters(const struct invocation *invocation, bool is_kernel, json_t *parameters)
{
    uint64_t pid = 0, limit = 0;
    const char *by = invocation_value(invocation, OPTION_BY);
    const char *object = invocation->argument_count ? invocation->arguments[0] : NULL;
    if (is_kernel && (by || object || invocation_has(invocation, OPTION_PID)))
        return message_usage(invocation->command,
                             "--kernel takes no OBJECT, --by or --pid: the kernel's memory is "
                             "nobody's");
    int code = agent_access_number(invocation, OPTION_PID, "pid", &pid);
    if (code == 0)
        code = agent_access_number(invocation, OPTION_LIMIT, "limit", &limit);
    if (code != 0)
        return code;
    bool complete = json_field_set_string(parameters, "by", by) &&
                    json_field_set_string(parameters, "object", object) &&
                    (!pid || json_field_set_u64(parameters, "pid", pid)) &&
                    (!limit || json_field_set_u64(parameters, "limit", limit));
    if (!complete)
        message_say("no memory for the question");
    return complete ? 0 : EXIT_CODE_FAILED;
}

int command_heap(const struct invocation *invocation)
{
    bool is_kernel = invocation_has(invocation, OPTION_KERNEL);
    const char *method = is_kernel ? "Kmem" : "Heap";
    _cleanup_json_ json_t *parameters = json_object();
    int code = make_parameters(invocation, is_kernel, parameters);
    if (code != 0)
        return code;
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    code = agent_access_open(invocation, &client);
    if (code != 0)
        return code;
    if (invocation->json)
        return agent_access_print_lines(client, method, "rows", parameters);
    _cleanup_json_ json_t *reply = NULL;
    code = agent_access_call(client, method, parameters, &reply);
    return code != 0 ? code : print_rows(reply, is_kernel);
}
