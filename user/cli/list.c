/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris list: what could be watched, asked of a private agent. */
#include <errno.h>

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
        message_hint("quote globs for the shell, for instance: loris list 'syscall:*open*'");
        return EXIT_CODE_FAILED;
    }
    struct output output;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    int r = output_open(NULL, &output);
    if (r == 0 && invocation->json)
        for (size_t i = 0; i < count; i++)
            json_field_dump(json_array_get(found, i), &out);
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
        (limit && !json_field_set_u64(parameters, "limit", limit))) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    /* Always a private agent: it sees what its user may see, and reads strangers' files with no
     * other's rights. */
    _cleanup_(private_agent_stop_cleanup) struct private_agent *agent = NULL;
    r = private_agent_start(&agent, &diag);
    if (r < 0) {
        message_diag(&diag);
        return message_exit_code(r);
    }
    _cleanup_json_ json_t *reply = NULL;
    code = agent_access_call(private_agent_client(agent), "List", parameters, &reply);
    return code != 0 ? code : print_found(invocation, reply);
}
