/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/agent_access.h"

#include <errno.h>

#include "base/quantity.h"
#include "cli/exit_code.h"
#include "cli/message.h"
#include "cli/output.h"

int agent_access_open(const struct invocation *invocation, struct query_client **ret_client)
{
    struct diag diag;
    int r = query_client_open(invocation->socket_path, ret_client, &diag);
    if (r < 0)
        message_diag(&diag);
    return message_exit_code(r);
}

int agent_access_call(struct query_client *client, const char *method, const json_t *parameters,
                      json_t **ret_reply)
{
    struct diag diag;
    int r = query_client_call(client, method, parameters, AGENT_CALL_TIMEOUT_NS, NULL, ret_reply,
                              &diag);
    if (r < 0)
        message_diag(&diag);
    return message_exit_code(r);
}

int agent_access_print_lines(struct query_client *client, const char *method, const char *array,
                             const json_t *parameters)
{
    struct output output;
    struct diag diag;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    int r = output_open(NULL, &output);
    if (r < 0)
        return output_exit_code(r);
    r = query_client_call_lines(client, method, parameters, array, AGENT_CALL_TIMEOUT_NS, NULL,
                                &out, &diag);
    if (r < 0) {
        message_diag(&diag);
        return message_exit_code(r);
    }
    return output_exit_code(output_write(&output, &out));
}

int agent_access_number(const struct invocation *invocation, enum option_id id, const char *name,
                        uint64_t *value)
{
    const char *given = invocation_value(invocation, id);
    if (!given)
        return 0;
    uint64_t number;
    if (parse_u64(given, &number) < 0 || number == 0 || number > INT32_MAX)
        return message_usage(invocation->command, "--%s is \"%s\"; it is a whole number from 1 up",
                             name, given);
    *value = number;
    return 0;
}

int agent_access_duration(const struct invocation *invocation, enum option_id id, const char *name,
                          uint64_t least_ns, uint64_t *value_ns)
{
    const char *given = invocation_value(invocation, id);
    if (!given)
        return 0;
    uint64_t duration_ns;
    int r = parse_duration_ns(given, &duration_ns);
    if (r < 0)
        return message_usage(invocation->command,
                             "--%s is \"%s\"; it is a time with its unit, such as 10s or 500ms",
                             name, given);
    if (duration_ns < least_ns || duration_ns > INT64_MAX / 2) {
        char least[16];
        format_duration(least_ns, least);
        return message_usage(invocation->command, "--%s is %s; it can be %s or more", name, given,
                             least);
    }
    *value_ns = duration_ns;
    return 0;
}
