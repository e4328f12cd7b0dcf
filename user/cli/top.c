/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris top: a live table from the running agent; survives its restart. */
#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/series_view.h"
#include "cli/top_live.h"
#include "cli/top_once.h"

#define INTERVAL_LEAST_NS 100000000u

static int print_once(const struct invocation *invocation, const struct top_model *model,
                      json_t *reply)
{
    struct output output;
    _cleanup_text_ struct text out = {0};
    int r = top_once_arrange(reply, model->levels[0].filter, model->sort);
    if (r < 0) {
        message_say("no memory for the answer");
        return EXIT_CODE_FAILED;
    }
    r = output_open(NULL, &output);
    if (r == 0 && invocation->json) {
        series_view_json(reply, &out);
    } else if (r == 0) {
        struct series_view view = {
            .width = output_width(&output),
            .emphasise = output.has_colour,
            .without_who = model->levels[0].by == TOP_BY_NONE,
        };
        series_view_print(reply, &view, &out);
    }
    return output_exit_code(r == 0 ? output_write(&output, &out) : r);
}

static int run_once(const struct invocation *invocation, const struct top_model *model)
{
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    _cleanup_json_ json_t *question = top_model_question(model);
    _cleanup_json_ json_t *reply = NULL;
    if (!question) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    int code = agent_access_open(invocation, &client);
    if (code == 0)
        code = agent_access_call(client, "Stats", question, &reply);
    return code != 0 ? code : print_once(invocation, model, reply);
}

static int run_live(const struct invocation *invocation, struct top_model *model)
{
    struct diag diag;
    struct top_source source = {0};
    int r = interrupt_install();
    if (r < 0)
        diag_set(&diag, -r, "cannot handle signals: %s", strerror(-r));
    if (r == 0)
        r = top_source_open(&source, invocation->socket_path, &diag);
    if (r == 0)
        r = top_live_run(model, &source, &diag);
    top_source_done(&source);
    if (r < 0)
        message_diag(&diag);
    return message_exit_code(r);
}

static int read_options(const struct invocation *invocation, struct top_model *model)
{
    const char *by = invocation_value(invocation, OPTION_BY);
    const char *sort = invocation_value(invocation, OPTION_SORT);
    const char *filter = invocation_value(invocation, OPTION_FILTER);
    bool once = invocation_has(invocation, OPTION_ONCE);
    if (invocation->json && !once)
        return message_usage(invocation->command, "--json goes with --once; see also loris stats");
    if (once && invocation_value(invocation, OPTION_INTERVAL))
        return message_usage(invocation->command, "--once and --interval exclude each other");
    if (filter && strlen(filter) >= TOP_FILTER_BYTES)
        return message_usage(invocation->command, "--filter has %zu bytes, %d are possible",
                             strlen(filter), TOP_FILTER_BYTES - 1);
    top_model_init(model, invocation->argument_count ? invocation->arguments[0] : NULL,
                   top_by_find(by ? by : "none"));
    if (sort)
        model->sort = top_sort_find(sort);
    if (filter)
        strcpy(model->levels[0].filter, filter);
    return agent_access_duration(invocation, OPTION_INTERVAL, "interval", INTERVAL_LEAST_NS,
                                 &model->interval_ns);
}

int command_top(const struct invocation *invocation)
{
    struct top_model model = {0};
    int code = read_options(invocation, &model);
    if (code == 0)
        code = invocation_has(invocation, OPTION_ONCE) ? run_once(invocation, &model)
                                                       : run_live(invocation, &model);
    top_model_done(&model);
    return code;
}
