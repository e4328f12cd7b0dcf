/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_look.h"

#include <errno.h>
#include <string.h>

#include "agent/alert_heap.h"
#include "agent/heap.h"
#include "agent/log.h"
#include "agent/open_call_table.h"
#include "agent/stats_query.h"

/* The rows that one question finds, and the numbers derived from them. */
struct found {
    const struct alert_rule *question; /* NULL: nothing was asked yet */
    struct stats_answer answer;
    struct alert_row *rows;
    int error;
};

static int compare_questions(const struct alert_rule *left, const struct alert_rule *right)
{
    int order = strcmp(left->probe, right->probe);
    if (order == 0)
        order = (left->by > right->by) - (left->by < right->by);
    if (order == 0)
        order = (left->window_ns > right->window_ns) - (left->window_ns < right->window_ns);
    return order;
}

static int by_question(const void *left, const void *right)
{
    const struct alert_rule *a = *(const struct alert_rule *const *)left;
    const struct alert_rule *b = *(const struct alert_rule *const *)right;
    int order = compare_questions(a, b);
    return order ? order : strcmp(a->name, b->name);
}

void alert_look_sort(const struct alert_rule **rules, size_t count)
{
    if (count)
        qsort(rules, count, sizeof(rules[0]), by_question);
}

static void forget(struct found *found)
{
    stats_answer_done(&found->answer);
    free(found->rows);
    *found = (struct found){0};
}

static enum config_group group_of(enum alert_by by)
{
    return by == ALERT_BY_PROCESS ? CONFIG_BY_PROCESS
           : by == ALERT_BY_UNIT  ? CONFIG_BY_UNIT
                                  : CONFIG_BY_NONE;
}

static void ask(struct agent *agent, const struct open_call_table *open_calls,
                const struct alert_rule *rule, struct found *found)
{
    const struct config *config = agent->config;
    const struct stats_query query = {
        .probe_glob = rule->probe,
        .by = group_of(rule->by),
        .window_ns =
            rule->window_ns ? rule->window_ns : config->window_slices * config->window_slice_ns,
        .limit = UINT64_MAX,
        .with_uncalled = true,
        .open_calls = open_calls,
    };
    forget(found);
    found->question = rule;
    found->error = stats_answer_make(agent, &query, &found->answer);
    size_t count = found->error ? 0 : found->answer.count;
    found->rows = count ? calloc(count, sizeof(*found->rows)) : NULL;
    if (count && !found->rows)
        found->error = -ENOMEM;
    for (size_t i = 0; i < count && !found->error; i++) {
        const struct series_json *series = &found->answer.series[i];
        rollup_derive(series->row, &found->rows[i].derived);
        found->rows[i].count = series->row->stat.count;
        found->rows[i].time_share = series->time_share;
        found->rows[i].oldest_ns = series->oldest_ns;
    }
    if (found->error)
        log_line(LOG_WARNING, "out of memory to look at alert rules about %s", rule->probe);
}

static struct alert_subject subject_of(const struct series_json *series)
{
    static const enum alert_whom levels[] = {
        [SERIES_PROCESS] = ALERT_OF_PROCESS,
        [SERIES_NAME] = ALERT_OF_NAME,
        [SERIES_UNIT] = ALERT_OF_UNIT,
        [SERIES_OTHER] = ALERT_OF_OTHER,
        [SERIES_UNATTRIBUTED] = ALERT_OF_UNATTRIBUTED,
    };
    struct series_key key = series->row->key;
    struct alert_subject subject = {.probe = series->probe};
    if (!series->grouped)
        return subject;
    subject.whom = levels[key.level];
    if (key.level == SERIES_PROCESS) {
        subject.pid = series->pid;
        subject.start_tick = (uint32_t)key.who;
    }
    subject.comm = key.level <= SERIES_NAME ? series->comm : NULL;
    subject.unit = key.level <= SERIES_UNIT ? series->unit : NULL;
    return subject;
}

static void observe(const struct found *found, const struct alert_rule *rule,
                    struct alert_book *book, size_t index)
{
    if (found->error) {
        alert_book_pass_over(book, index);
        return;
    }
    for (size_t i = 0; i < found->answer.count; i++) {
        const struct alert_row *row = &found->rows[i];
        const struct alert_subject subject = subject_of(&found->answer.series[i]);
        bool has_value = row->count > 0 || !alert_metric_needs_calls(rule->metric);
        alert_book_observe(book, index, &subject, has_value, alert_metric_value(rule->metric, row),
                           row->count);
    }
}

void alert_look(struct agent *agent, struct alert_book *book, const struct alert_rule *const *rules,
                size_t count, struct alert_self *self)
{
    struct found found = {0};
    _cleanup_(open_call_table_done) struct open_call_table open_calls = {0};
    pump_catch_up(agent);
    bool is_complete = !agent->probes || open_call_table_read(agent, &open_calls) == 0;
    if (!is_complete)
        log_line(LOG_WARNING, "out of memory to look at alert rules");
    heap_upkeep(agent, agent_now_ns());
    if (self)
        alert_self_look(self, agent);
    alert_book_begin(book);
    for (size_t i = 0; i < count; i++) {
        const struct alert_rule *rule = rules[i];
        if (rule->metric >= ALERT_METRICS_OF_RULES) {
            alert_self_observe(self, rule, book, i);
            continue;
        }
        if (rule->metric >= ALERT_METRICS_OF_CALLS) {
            if (alert_heap_observe(agent, rule, book, i))
                alert_book_pass_over(book, i);
            continue;
        }
        if (!is_complete) {
            alert_book_pass_over(book, i);
            continue;
        }
        if (!found.question || compare_questions(found.question, rule) != 0)
            ask(agent, &open_calls, rule, &found);
        observe(&found, rule, book, i);
    }
    forget(&found);
}
