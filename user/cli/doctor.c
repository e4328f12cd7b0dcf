/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris doctor: what keeps loris from working here, asked of the agent or of a private one. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/doctor_report.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/private_agent.h"

/* The check that only a client can make: whether an agent answers. */
static json_t *answers_check(const struct diag *refusal)
{
    char now[32];
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), now);
    _cleanup_json_ json_t *check = json_object();
    bool fine = json_field_set_string(check, "schema", "loris.check/1") &&
                json_field_set_string(check, "time", now) &&
                json_field_set_string(check, "check", "agent.answers") &&
                json_field_set_string(check, "result", refusal ? "warning" : "ok") &&
                json_field_set_string(check, "found",
                                      refusal ? refusal->what : "the running agent says all this");
    if (fine && refusal)
        fine = json_field_set_string(check, "consequence",
                                     "nothing is watched now that loris stats could show; another "
                                     "agent was started for these checks") &&
               (!refusal->hint[0] || json_field_set_string(check, "remedy", refusal->hint));
    return fine ? take_ptr(check) : NULL;
}

static int report(const struct invocation *invocation, const json_t *reply)
{
    struct output output;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    const json_t *checks = json_object_get(reply, "checks");
    int r = output_open(NULL, &output);
    for (size_t i = 0; r == 0 && invocation->json && i < json_array_size(checks); i++)
        json_field_dump(json_array_get(checks, i), &out);
    if (r == 0 && !invocation->json)
        doctor_report_print(reply, output_width(&output), output.has_colour, &out);
    if (r == 0)
        r = output_write(&output, &out);
    int code = output_exit_code(r);
    return code != 0 ? code : doctor_report_exit_code(reply);
}

/* Taking the trial probes away again is what takes its time, on old kernels most of all. */
static int ask(struct query_client *client, json_t **ret_reply)
{
    struct diag diag;
    int r =
        query_client_call(client, "Doctor", NULL, AGENT_ATTACH_TIMEOUT_NS, NULL, ret_reply, &diag);
    if (r < 0)
        message_diag(&diag);
    return message_exit_code(r);
}

/* Without an agent, or without leave to ask it, one of our own looks: it sees what its user may. */
static int ask_private_agent(json_t **ret_reply)
{
    struct diag diag;
    _cleanup_(private_agent_stop_cleanup) struct private_agent *agent = NULL;
    int r = private_agent_start(NULL, &agent, &diag);
    if (r < 0) {
        message_diag(&diag);
        return message_exit_code(r);
    }
    return ask(private_agent_client(agent), ret_reply);
}

int command_doctor(const struct invocation *invocation)
{
    struct diag refusal = {0};
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    bool answers = query_client_open(invocation->socket_path, &client, &refusal) == 0;
    int code = answers ? ask(client, &reply) : ask_private_agent(&reply);
    if (code != 0)
        return code;
    json_t *checks = json_object_get(reply, "checks");
    if (!json_is_array(checks)) {
        message_say("the agent answers without any checks");
        return EXIT_CODE_FAILED;
    }
    json_t *check = answers_check(answers ? NULL : &refusal);
    if (!check || json_array_append_new(checks, check) < 0) {
        message_say("no memory for the checks");
        return EXIT_CODE_FAILED;
    }
    return report(invocation, reply);
}
