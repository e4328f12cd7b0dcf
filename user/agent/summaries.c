/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every interval, one JSON line a series to a file or stdout. */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/log.h"
#include "agent/stats_query.h"

/* "under 8 KiB a line" (log collectors cut longer ones). */
#define LINE_BYTES_MAX 8192

static void write_lines(struct agent *agent, const struct stats_answer *answer)
{
    _cleanup_text_ struct text lines = {0};
    for (size_t i = 0; i < answer->count; i++) {
        size_t before = lines.length;
        struct json_writer json = {.text = &lines};
        series_json_write(&json, NULL, &answer->series[i]);
        text_append_string(&lines, "\n");
        if (lines.length - before > LINE_BYTES_MAX)
            lines.length = before;
    }
    if (lines.failed) {
        log_line(LOG_WARNING, "out of memory for a round of summaries");
        return;
    }
    if (lines.length == 0)
        return;
    uint64_t failed_before = line_file_figures(agent->summaries).failed;
    int error = line_file_write(agent->summaries, lines.bytes, lines.length);
    uint64_t failed = line_file_figures(agent->summaries).failed - failed_before;
    agent->retries += error != 0;
    if (error)
        log_line(LOG_WARNING, "%llu summary lines could not be written: %s",
                 (unsigned long long)failed, strerror(-error));
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
    const char *path = agent->config->summaries_path;
    if (!path[0])
        return 0;
    int error = line_file_open(path, &agent->summaries);
    if (error) {
        diag_set(reterr_diag, -error, "cannot write summaries to %s: %s", path, strerror(-error));
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
    line_file_close(take_ptr(agent->summaries));
}
