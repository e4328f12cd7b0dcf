/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts and Check: what fires, what changed, how a rule stands. */
#include <errno.h>
#include <string.h>

#include "agent/alerts.h"
#include "agent/answers.h"
#include "base/glob.h"

#define LIMIT_DEFAULT 1000

struct alerts_query {
    const char *name; /* glob; NULL: all */
    uint64_t limit;
    uint64_t after;
    struct json_writer *json;
};

/* A glob of a length that cannot keep the agent busy. */
static bool read_name(struct varlink_call *call, const json_t *parameters, const char *key,
                      const char **name)
{
    if (!answer_string(call, parameters, key, name))
        return false;
    if (*name && strlen(*name) >= ALERT_PROBE_BYTES) {
        varlink_call_invalid_parameter(call, key);
        return false;
    }
    return true;
}

static bool name_is_wanted(const struct alerts_query *query, const char *name)
{
    return !query->name || glob_matches(query->name, name);
}

static void write_active(const struct agent *agent, const struct alerts_query *query)
{
    const struct alert_book *book = alerts_book(agent);
    const struct alert_clock clock = alerts_clock(agent);
    uint64_t left = query->limit;
    json_begin_array(query->json, "alerts");
    for (size_t i = 0; book && i < alert_book_rules(book); i++) {
        struct alert_rule_view view;
        alert_book_view(book, i, &view);
        if (!name_is_wanted(query, view.rule->name))
            continue;
        for (size_t j = 0; j < view.alerts_count && left > 0; j++) {
            if (view.alerts[j]->state.phase == ALERT_INACTIVE)
                continue; /* its end is still to be told */
            alert_json_write(query->json, NULL, view.rule, view.alerts[j], &clock, 0);
            left--;
        }
    }
    json_end_array(query->json);
}

static void write_rules(const struct agent *agent, const struct alerts_query *query)
{
    const struct alert_book *book = alerts_book(agent);
    const struct alert_clock clock = alerts_clock(agent);
    json_begin_array(query->json, "rules");
    for (size_t i = 0; book && i < alert_book_rules(book); i++) {
        struct alert_rule_view view;
        alert_book_view(book, i, &view);
        if (name_is_wanted(query, view.rule->name))
            alert_json_write_rule(query->json, NULL, &view, &clock);
    }
    json_end_array(query->json);
}

static bool write_change(uint64_t seq, const char *name, const char *json, void *context)
{
    struct alerts_query *query = context;
    if (seq <= query->after || query->limit == 0)
        return false;
    if (name_is_wanted(query, name)) {
        json_raw(query->json, NULL, json);
        query->limit--;
    }
    return true;
}

void answer_alerts(struct varlink_call *call, const json_t *parameters, void *context)
{
    const struct agent *agent = context;
    struct alerts_query query = {.limit = LIMIT_DEFAULT};
    bool with_history = false;
    if (!answer_bool(call, parameters, "history", &with_history) ||
        !read_name(call, parameters, "name", &query.name) ||
        !answer_u64(call, parameters, "limit", &query.limit) ||
        !answer_u64(call, parameters, "after", &query.after))
        return;
    const struct alert_book *book = alerts_book(agent);
    query.json = varlink_call_begin_reply(call);
    if (with_history && book) {
        json_begin_array(query.json, "alerts");
        alert_history_walk(alerts_history(agent), write_change, &query);
        json_end_array(query.json);
    } else {
        write_active(agent, &query);
    }
    write_rules(agent, &query);
    json_u64(query.json, "held_back", book ? alert_book_held_back(book) : 0);
    json_u64(query.json, "latest", book ? alert_history_next(alerts_history(agent)) - 1 : 0);
    varlink_call_reply(call);
}

/* The worst comes last: what nobody knows any more is worse than what may come, and less than what
 * is. A rule that has nothing to look at, of a library that nobody here uses, says nothing where
 * others of the name do. */
static int badness(const struct alert_rule_view *view)
{
    if (view->phase == ALERT_UNKNOWN && !view->unknown)
        return -1;
    switch (view->phase) {
    case ALERT_INACTIVE:
        return 0;
    case ALERT_PENDING:
        return 1;
    case ALERT_FIRING:
        return view->rule->severity == ALERT_INFO ? 2 : 4 + (int)view->rule->severity;
    case ALERT_UNKNOWN:
        break;
    }
    return 3;
}

static bool find_worst(const struct agent *agent, const char *name,
                       struct alert_rule_view *ret_worst)
{
    const struct alert_book *book = alerts_book(agent);
    bool found = false;
    for (size_t i = 0; book && i < alert_book_rules(book); i++) {
        struct alert_rule_view view;
        alert_book_view(book, i, &view);
        if (!glob_matches(name, view.rule->name))
            continue;
        if (!found || badness(&view) > badness(ret_worst))
            *ret_worst = view;
        found = true;
    }
    return found;
}

void answer_check(struct varlink_call *call, const json_t *parameters, void *context)
{
    const struct agent *agent = context;
    struct alerts_query query = {.limit = LIMIT_DEFAULT};
    struct alert_rule_view worst = {0};
    if (!read_name(call, parameters, "rule", &query.name))
        return;
    if (!query.name) {
        varlink_call_invalid_parameter(call, "rule");
        return;
    }
    if (!find_worst(agent, query.name, &worst)) {
        struct diag diag = {0};
        diag_set(&diag, ENOENT, "no alert rule is named %.200s", query.name);
        diag_hint(&diag, "loris alerts --rules lists them");
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    query.json = varlink_call_begin_reply(call);
    json_string_z(query.json, "state", alert_phase_name(worst.phase));
    json_string_z(query.json, "severity", alert_severity_name(worst.rule->severity));
    write_active(agent, &query);
    write_rules(agent, &query);
    varlink_call_reply(call);
}
