/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stats and SetMark: percentiles over a window, since the start, or since a mark. */
#include <errno.h>

#include "agent/answers.h"
#include "agent/stats_query.h"

static bool read_query(struct varlink_call *call, const json_t *parameters,
                       struct stats_query *query)
{
    const char *by = "process";
    uint64_t pid = 0;
    bool windowed = json_is_integer(json_object_get(parameters, "window_ns"));
    if (!answer_string(call, parameters, "probe", &query->probe_glob) ||
        !answer_string(call, parameters, "by", &by) ||
        !answer_u64(call, parameters, "window_ns", &query->window_ns) ||
        !answer_u64(call, parameters, "pid", &pid) ||
        !answer_u64(call, parameters, "limit", &query->limit) ||
        !answer_bool(call, parameters, "since_mark", &query->since_mark) ||
        !answer_bool(call, parameters, "final", &query->final))
        return false;
    if (config_group_parse(by, &query->by)) {
        varlink_call_invalid_parameter(call, "by");
        return false;
    }
    query->since_start = windowed && query->window_ns == 0;
    query->pid = (uint32_t)pid;
    return true;
}

void answer_stats(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    struct stats_query query = {
        .window_ns = agent->config->window_slices * agent->config->window_slice_ns,
        .limit = UINT64_MAX,
        .connection = varlink_call_connection(call),
    };
    if (!read_query(call, parameters, &query))
        return;
    if (query.since_mark && !stats_mark_fits(agent, query.connection, query.by)) {
        varlink_call_invalid_parameter(call, "since_mark");
        return;
    }
    struct diag diag = {0};
    _cleanup_(stats_answer_done) struct stats_answer answer = {0};
    int error = stats_answer_make(agent, &query, &answer);
    if (error) {
        diag_set(&diag, -error, "out of memory for the answer");
        diag_hint(&diag, "ask for less: a probe glob, by unit or by none");
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_begin_array(json, "series");
    for (size_t i = 0; i < answer.count; i++)
        series_json_write(json, NULL, &answer.series[i]);
    json_end_array(json);
    json_u64(json, "truncated", answer.truncated);
    varlink_call_reply(call);
}

void answer_set_mark(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    const char *by = "process";
    enum config_group group;
    if (!answer_string(call, parameters, "by", &by))
        return;
    if (config_group_parse(by, &group)) {
        varlink_call_invalid_parameter(call, "by");
        return;
    }
    struct diag diag = {0};
    if (stats_mark_set(agent, varlink_call_connection(call), group)) {
        diag_set(&diag, ENOMEM, "out of memory for the mark");
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    varlink_call_begin_reply(call);
    varlink_call_reply(call);
}

void answers_connection_closed(uint64_t connection_id, void *context)
{
    stats_mark_forget(context, connection_id);
}

void answers_done(struct agent *agent)
{
    while (agent->marks)
        stats_mark_forget_first(agent);
}
