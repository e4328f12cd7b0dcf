/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris stats: percentiles from the running agent. */
#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/series_view.h"

#define NS_PER_S 1000000000u

static int make_parameters(const struct invocation *invocation, json_t *parameters)
{
    uint64_t pid = 0, limit = 0, window_ns = 0;
    bool since_start = invocation_has(invocation, OPTION_SINCE_START);
    const char *window = invocation_value(invocation, OPTION_WINDOW);
    if (since_start && window)
        return message_usage(invocation->command, "--window and --since-start exclude each other");
    int code = agent_access_number(invocation, OPTION_PID, "pid", &pid);
    if (code == 0)
        code = agent_access_number(invocation, OPTION_LIMIT, "limit", &limit);
    if (code == 0)
        code = agent_access_duration(invocation, OPTION_WINDOW, "window", NS_PER_S, &window_ns);
    if (code != 0)
        return code;
    const char *by = invocation_value(invocation, OPTION_BY);
    const char *probe = invocation->argument_count ? invocation->arguments[0] : NULL;
    bool complete =
        json_field_set_string(parameters, "probe", probe) &&
        json_field_set_string(parameters, "by", by ? by : "process") &&
        (!pid || json_field_set_u64(parameters, "pid", pid)) &&
        (!limit || json_field_set_u64(parameters, "limit", limit)) &&
        (!(since_start || window) || json_field_set_u64(parameters, "window_ns", window_ns));
    if (!complete) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    return 0;
}

static int print_reply(const struct invocation *invocation, const json_t *reply)
{
    struct output output;
    _cleanup_text_ struct text out = {0};
    int r = output_open(NULL, &output);
    if (r < 0)
        return output_exit_code(r);
    const char *by = invocation_value(invocation, OPTION_BY);
    struct series_view view = {
        .width = output_width(&output),
        .emphasise = output.has_colour,
        .without_who = by && strcmp(by, "none") == 0,
    };
    if (json_array_size(json_object_get(reply, "series")) > 0)
        series_view_print(reply, &view, &out);
    else
        message_say("no calls in this time%s",
                    invocation->argument_count ? " of what matches" : "");
    return output_exit_code(output_write(&output, &out));
}

int command_stats(const struct invocation *invocation)
{
    _cleanup_json_ json_t *parameters = json_object();
    int code = make_parameters(invocation, parameters);
    if (code != 0)
        return code;
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    code = agent_access_open(invocation, &client);
    if (code != 0)
        return code;
    if (invocation->json)
        return agent_access_print_lines(client, "Stats", "series", parameters);
    _cleanup_json_ json_t *reply = NULL;
    code = agent_access_call(client, "Stats", parameters, &reply);
    return code != 0 ? code : print_reply(invocation, reply);
}
