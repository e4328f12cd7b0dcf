/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts, changes of them and notices as JSON objects: one shape in answers, files and history. */
#pragma once

#include "alert/alert_book.h"
#include "base/json_writer.h"

#define ALERT_JSON_SCHEMA   "loris.alert/1"
#define ALERT_JSON_MORE_MAX 20 /* other alerts of a notice that are named */

/* The same instant in the book's time and as clock_now_ns(CLOCK_REALTIME). */
struct alert_clock {
    uint64_t now_ns;
    uint64_t wall_ns;
    uint64_t window_ns; /* of a rule without its own */
};

/* seq 0: it has none. */
void alert_json_write(struct json_writer *json, const char *key, const struct alert_rule *rule,
                      const struct alert *alert, const struct alert_clock *clock, uint64_t seq);
/* A rule and how it stands. */
void alert_json_write_rule(struct json_writer *json, const char *key,
                           const struct alert_rule_view *view, const struct alert_clock *clock);
/* What people read first: "slow-queries is firing: ..., and 3 more". */
void alert_json_headline(const struct alert_notice *notice, uint64_t window_ns, struct text *out);
void alert_json_write_notice(struct json_writer *json, const char *key,
                             const struct alert_notice *notice, const struct alert_clock *clock);
