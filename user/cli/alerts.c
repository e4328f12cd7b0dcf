/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris alerts: what fires, what did, what follows. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "cli/agent_access.h"
#include "cli/alert_view.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json_field.h"
#include "cli/message.h"

#define FOLLOW_MS     1000 /* between looks for changes */
#define CALL_PATIENCE (5 * (uint64_t)1000000000)

static int ask(const struct invocation *invocation, struct query_client *client, json_t **ret_reply)
{
    _cleanup_json_ json_t *parameters = json_object();
    uint64_t limit = 0;
    int code = agent_access_number(invocation, OPTION_LIMIT, "limit", &limit);
    if (code != 0)
        return code;
    const char *name = invocation->argument_count ? invocation->arguments[0] : NULL;
    if (!json_field_set_string(parameters, "name", name) ||
        !json_field_set_bool(parameters, "history", invocation_has(invocation, OPTION_HISTORY)) ||
        (limit && !json_field_set_u64(parameters, "limit", limit))) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    return agent_access_call(client, "Alerts", parameters, ret_reply);
}

static void dump_objects(const json_t *objects, struct text *out)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        json_field_dump(json_array_get(objects, i), out);
}

static int print_once(const struct invocation *invocation, const json_t *reply)
{
    struct output output;
    _cleanup_text_ struct text out = {0};
    int r = output_open(NULL, &output);
    if (r < 0)
        return output_exit_code(r);
    bool with_rules = invocation_has(invocation, OPTION_RULES);
    unsigned width = output_width(&output);
    size_t alerts = json_array_size(json_object_get(reply, "alerts"));
    if (invocation->json) {
        dump_objects(json_object_get(reply, with_rules ? "rules" : "alerts"), &out);
        return output_exit_code(output_write(&output, &out));
    }
    if (with_rules)
        alert_view_rules(reply, width, output.has_colour, &out);
    else if (alerts && invocation_has(invocation, OPTION_HISTORY))
        alert_view_history(reply, width, output.has_colour, &out);
    else if (alerts)
        alert_view_active(reply, width, output.has_colour, &out);
    alert_view_footer(reply, &out);
    return output_exit_code(output_write(&output, &out));
}

/* --- following -------------------------------------------------------------------------------- */

struct following {
    const struct invocation *invocation;
    struct query_client *client; /* NULL: the agent is gone */
    struct output output;
    uint64_t latest;
};

static int fetch(struct following *following, uint64_t after, json_t **ret_reply,
                 struct diag *reterr_diag)
{
    const struct invocation *invocation = following->invocation;
    _cleanup_json_ json_t *parameters = json_object();
    const char *name = invocation->argument_count ? invocation->arguments[0] : NULL;
    if (!json_field_set_string(parameters, "name", name) ||
        !json_field_set_bool(parameters, "history", true) ||
        !json_field_set_u64(parameters, "after", after))
        return diag_set(reterr_diag, ENOMEM, "no memory for the question");
    return query_client_call(following->client, "Alerts", parameters, CALL_PATIENCE,
                             interrupt_flag(), ret_reply, reterr_diag);
}

static int print_changes(struct following *following, const json_t *reply)
{
    _cleanup_text_ struct text out = {0};
    const json_t *changes = json_object_get(reply, "alerts");
    for (size_t i = json_array_size(changes); i > 0; i--) {
        const json_t *change = json_array_get(changes, i - 1);
        if (following->invocation->json)
            json_field_dump(change, &out);
        else
            alert_view_change(change, &out);
    }
    following->latest = json_field_u64(reply, "latest");
    return out.length ? output_write(&following->output, &out) : 0;
}

/* One look. An agent that is gone may come back. */
static int look(struct following *following)
{
    struct diag diag = {0};
    _cleanup_json_ json_t *reply = NULL;
    if (!following->client &&
        query_client_open(following->invocation->socket_path, &following->client, &diag) < 0)
        return 0;
    int r = fetch(following, following->latest, &reply, &diag);
    if (r == 0 && json_field_u64(reply, "latest") < following->latest) {
        /* it began to count anew */
        json_decref(take_ptr(reply));
        r = fetch(following, 0, &reply, &diag);
    }
    if (r == 0)
        return print_changes(following, reply);
    if (r != -EINTR) {
        message_say("%s; waiting for the agent", diag.what);
        query_client_free(take_ptr(following->client));
    }
    return 0;
}

static int follow(const struct invocation *invocation, struct query_client **client,
                  const json_t *reply)
{
    struct following following = {.invocation = invocation,
                                  .client = take_ptr(*client),
                                  .latest = json_field_u64(reply, "latest")};
    int r = output_open(NULL, &following.output);
    while (r == 0 && *interrupt_flag() == 0) {
        struct pollfd wake = {interrupt_fd(), POLLIN, 0};
        if (poll(&wake, 1, FOLLOW_MS) > 0)
            interrupt_drain();
        if (*interrupt_flag() == 0)
            r = look(&following);
    }
    query_client_free(following.client);
    return output_exit_code(r);
}

int command_alerts(const struct invocation *invocation)
{
    bool watch = invocation_has(invocation, OPTION_WATCH);
    bool rules = invocation_has(invocation, OPTION_RULES);
    if (watch + rules + invocation_has(invocation, OPTION_HISTORY) > 1)
        return message_usage(invocation->command, "--history, --watch and --rules exclude each "
                                                  "other");
    int r = watch ? interrupt_install() : 0;
    if (r < 0)
        return output_exit_code(r);
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    _cleanup_json_ json_t *reply = NULL;
    int code = agent_access_open(invocation, &client);
    if (code == 0)
        code = ask(invocation, client, &reply);
    if (code == 0)
        code = print_once(invocation, reply);
    if (code == 0 && watch)
        code = follow(invocation, &client, reply);
    return code;
}
