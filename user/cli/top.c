/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris top: a live table from the running agent; survives its restart. */
#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json_field.h"
#include "cli/live_table.h"
#include "cli/message.h"

static enum series_order chosen_order(const char *sort)
{
    if (sort && strcmp(sort, "p99") == 0)
        return SERIES_BY_P99;
    return sort && strcmp(sort, "count") == 0 ? SERIES_BY_COUNT : SERIES_BY_TIME;
}

/* The same series as lines of JSON. */
static int once_json(const struct live_table *live, struct output *output)
{
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_text_ struct text out = {0};
    if (!json_field_set_string(parameters, "probe", live->probe) ||
        !json_field_set_string(parameters, "by", live->by)) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    int code = agent_access_call(live->own, "Stats", parameters, &reply);
    if (code != 0)
        return code;
    series_view_json(reply, &out);
    return output_exit_code(output_write(output, &out));
}

int command_top(const struct invocation *invocation)
{
    bool once = invocation_has(invocation, OPTION_ONCE);
    if (invocation->json && !once)
        return message_usage(invocation->command, "--json goes with --once; see also loris stats");
    const char *by = invocation_value(invocation, OPTION_BY);
    struct output output;
    int r = output_open(NULL, &output);
    if (r == 0)
        r = interrupt_install();
    if (r < 0)
        return output_exit_code(r);
    struct live_table live = {
        .title = "loris top",
        .socket_path = invocation->socket_path,
        .probe = invocation->argument_count ? invocation->arguments[0] : NULL,
        .by = by ? by : "process",
        .order = chosen_order(invocation_value(invocation, OPTION_SORT)),
        .output = &output,
    };
    int code = agent_access_open(invocation, &live.own); /* it must be there once, to begin with */
    if (code == 0 && once)
        code = invocation->json ? once_json(&live, &output) : live_table_once(&live);
    else if (code == 0)
        code = live_table_run(&live);
    live_table_done(&live);
    return code;
}
