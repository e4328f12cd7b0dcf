/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris list: what could be watched, asked of a private agent. */
#include <errno.h>
#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/private_agent.h"
#include "cli/series_view.h"
#include "cli/table.h"
#include "cli/target_path.h"

static const struct table_column columns[] = {{.title = "TARGET"}, {.title = "NOTE"}};

static const struct table_column placement_columns[] = {
    {.title = "TARGET"}, {.title = "PLACE", .is_right = true},   {.title = "INSTRUCTION"},
    {.title = "COST"},   {.title = "NS/CALL", .is_right = true}, {.title = "NOTE"}};

static void print_placement(struct table *table, const json_t *placement)
{
    char place[32] = "";
    const bool is_emulated = json_field_bool(placement, "emulated");
    if (placement)
        snprintf(place, sizeof(place), "+%llu",
                 (unsigned long long)json_field_u64(placement, "offset"));
    table_cell(table, place);
    table_cell(table, json_field_string(placement, "instruction"));
    table_cell(table, !placement ? "" : is_emulated ? "emulated" : "single-stepped");
}

/* Measured, where the rights to do so are there. */
static void print_cost(struct table *table, const json_t *one)
{
    char cost[32] = "";
    if (json_field_has(one, "cost_ns"))
        series_view_format_exact(json_field_u64(one, "cost_ns"), cost);
    table_cell(table, cost);
}

/* "cheap at entry 45 %, after moving 72 % of 3,614 functions" */
static void print_totals(const json_t *reply, struct text *out)
{
    const uint64_t placed = json_field_u64(reply, "placed");
    const uint64_t at_entry = json_field_u64(reply, "cheap_at_entry");
    const uint64_t cheap = json_field_u64(reply, "cheap");
    char all[32];
    series_view_format_exact(placed, all);
    text_append_format(out, "cheap at the entry %.1f %%, after moving %.1f %% of %s functions\n",
                       100.0 * (double)at_entry / (double)placed,
                       100.0 * (double)cheap / (double)placed, all);
}

static int print_placements(const json_t *reply, struct output *output, struct text *out)
{
    const json_t *found = json_object_get(reply, "found");
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    int r = table_new(placement_columns, sizeof(placement_columns) / sizeof(placement_columns[0]),
                      &table);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *one = json_array_get(found, i);
        const json_t *placement = json_object_get(one, "placement");
        const char *reason = json_field_string(placement, "reason");
        table_cell(table, json_field_string(one, "target"));
        print_placement(table, placement);
        print_cost(table, one);
        table_cell(table, *reason ? reason : json_field_string(one, "note"));
    }
    table_print(table, 0, 0, output->has_colour, out);
    print_totals(reply, out);
    return out->failed;
}

static void dump_found(const json_t *reply, struct text *out)
{
    static const char *const totals[] = {"placed", "cheap_at_entry", "cheap"};
    const json_t *found = json_object_get(reply, "found");
    for (size_t i = 0; i < json_array_size(found); i++)
        json_field_dump(json_array_get(found, i), out);
    if (!json_field_has(reply, "placed"))
        return;
    _cleanup_json_ json_t *line = json_object();
    for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
        if (!json_field_set_u64(line, totals[i], json_field_u64(reply, totals[i])))
            return;
    json_field_dump(line, out);
}

static int print_table(const json_t *found, struct output *output, struct text *out)
{
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    bool has_notes = false;
    for (size_t i = 0; i < json_array_size(found); i++)
        has_notes |= json_field_has(json_array_get(found, i), "note");
    int r = table_new(columns, has_notes ? 2 : 1, &table);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *one = json_array_get(found, i);
        table_cell(table, json_field_string(one, "target"));
        if (has_notes)
            table_cell(table, json_field_string(one, "note"));
    }
    table_print(table, 0, 0, output->has_colour, out); /* names to copy: never cut */
    return out->failed;
}

static int print_found(const struct invocation *invocation, const json_t *reply)
{
    const json_t *found = json_object_get(reply, "found");
    size_t count = json_array_size(found);
    uint64_t total = json_field_u64(reply, "total");
    if (count == 0) {
        message_say("nothing that could be watched matches \"%s\"", invocation->arguments[0]);
        if (strncmp(invocation->arguments[0], "preset:", strlen("preset:")) == 0)
            message_hint("loris list 'preset:*' shows the presets that there are");
        else
            message_hint("quote globs for the shell, for instance: loris list 'syscall:*open*'");
        return EXIT_CODE_FAILED;
    }
    struct output output;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    int r = output_open(NULL, &output);
    if (r == 0 && invocation->json)
        dump_found(reply, &out);
    else if (r == 0 && json_field_has(reply, "placed"))
        r = print_placements(reply, &output, &out);
    else if (r == 0)
        r = print_table(found, &output, &out);
    if (r == 0)
        r = output_write(&output, &out);
    if (r == 0 && total > count) {
        char shown[32], all[32];
        series_view_format_exact(count, shown);
        series_view_format_exact(total, all);
        message_say("these are %s of %s; --limit N shows more", shown, all);
    }
    if (r == 0 && json_field_has(reply, "note")) {
        message_say("%s", json_field_string(reply, "note"));
        message_hint("loris doctor tells why");
    }
    return output_exit_code(r);
}

int command_list(const struct invocation *invocation)
{
    uint64_t limit = 0;
    int code = agent_access_number(invocation, OPTION_LIMIT, "limit", &limit);
    if (code != 0)
        return code;
    _cleanup_free_ char *pattern = NULL;
    struct diag diag;
    int r = target_path_resolve(invocation->arguments[0], &pattern, &diag);
    if (r < 0) {
        message_diag(&diag);
        return EXIT_CODE_FAILED;
    }
    _cleanup_json_ json_t *parameters = json_object();
    if (!json_field_set_string(parameters, "pattern", pattern) ||
        (limit && !json_field_set_u64(parameters, "limit", limit)) ||
        (invocation_has(invocation, OPTION_PLACEMENT) &&
         !json_field_set_bool(parameters, "placement", true))) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    /* Always a private agent: it sees what its user may see, and reads strangers' files with no
     * other's rights. */
    _cleanup_(private_agent_stop_cleanup) struct private_agent *agent = NULL;
    r = private_agent_start(NULL, &agent, &diag);
    if (r < 0) {
        message_diag(&diag);
        return message_exit_code(r);
    }
    _cleanup_json_ json_t *reply = NULL;
    code = agent_access_call(private_agent_client(agent), "List", parameters, &reply);
    return code != 0 ? code : print_found(invocation, reply);
}
