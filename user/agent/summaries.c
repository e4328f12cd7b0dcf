/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every interval, one JSON line a series to a file, stdout or the journal. */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/log.h"
#include "agent/stats_query.h"
#include "export/journal_object.h"

static void write_lines(struct agent *agent, const struct stats_answer *answer)
{
    _cleanup_text_ struct text object = {0};
    for (size_t i = 0; i < answer->count; i++) {
        text_clear(&object);
        struct json_writer json = {.text = &object};
        series_json_write(&json, NULL, &answer->series[i]);
        if (object.failed)
            break;
        line_output_add(agent->summaries, object.bytes, object.length);
    }
    if (object.failed)
        log_line(LOG_WARNING, "out of memory for a round of summaries");
    agent->retries += line_output_send(agent->summaries) < 0;
}

static int on_interval(sd_event_source *source, uint64_t usec, void *context)
{
    struct agent *agent = context;
    (void)usec;
    const struct stats_query query = {
        .by = agent->config->summaries_by,
        .window_ns = agent->config->window_slices * agent->config->window_slice_ns,
        .limit = agent->config->summaries_limit,
    };
    _cleanup_(stats_answer_done) struct stats_answer answer = {0};
    if (stats_answer_make(agent, &query, &answer) == 0)
        write_lines(agent, &answer);
    else
        log_line(LOG_WARNING, "out of memory for a round of summaries");
    int error = sd_event_source_set_time_relative(source, agent->config->interval_ns / 1000);
    return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int summaries_start(struct agent *agent, struct diag *reterr_diag)
{
    const struct line_output_config output = {
        .name = "summaries",
        .path = agent->config->summaries_path,
        .layout = agent->config->summaries_layout,
        .journal = agent->config->summaries_journal,
        .message_id = JOURNAL_OBJECT_SERIES_ID,
    };
    if (!output.path[0] && !output.journal)
        return 0;
    int error = line_output_open(agent->event, &output, &agent->summaries, reterr_diag);
    if (error) {
        diag_hint(reterr_diag, "its folder must be there; see summaries.file in %s",
                  agent->config_path);
        return error;
    }
    error = sd_event_add_time_relative(agent->event, &agent->summary_timer, CLOCK_MONOTONIC,
                                       agent->config->interval_ns / 1000, 0, on_interval, agent);
    if (error < 0)
        return diag_set(reterr_diag, -error, "cannot set a timer: %s", strerror(-error));
    return 0;
}

void summaries_stop(struct agent *agent)
{
    agent->summary_timer = sd_event_source_disable_unref(agent->summary_timer);
    line_output_close(take_ptr(agent->summaries));
}
