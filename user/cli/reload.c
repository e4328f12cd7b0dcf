/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris reload: the agent takes over its configuration; systemctl reload runs it, too. */
#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"

static void print_result(const struct invocation *invocation, const json_t *reply, struct text *out)
{
    uint64_t targets = json_field_u64(reply, "targets");
    uint64_t refused = json_field_u64(reply, "refused");
    if (invocation_has(invocation, OPTION_JSON)) {
        json_field_dump(reply, out);
        return;
    }
    text_append_format(out, "configuration read again: %llu target%s\n",
                       (unsigned long long)targets, targets == 1 ? "" : "s");
    if (refused) {
        message_say("%llu of them cannot be watched", (unsigned long long)refused);
        message_hint("loris status says why");
    }
}

int command_reload(const struct invocation *invocation)
{
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_text_ struct text out = {0};
    struct diag diag;
    int code = agent_access_open(invocation, &client);
    if (code)
        return code;
    /* Many functions take their time to attach. */
    int error =
        query_client_call(client, "Reload", NULL, AGENT_ATTACH_TIMEOUT_NS, NULL, &reply, &diag);
    if (error < 0) {
        message_diag(&diag);
        return message_exit_code(error);
    }
    print_result(invocation, reply, &out);
    return output_once(&out);
}
