/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An alert in one sentence, and its annotations filled in. */
#pragma once

#include "alert/alert_book.h"
#include "base/text.h"

/* "postgres[71]", "redis.service", "sh (ended)", "(other)"; "" by none. Sanitized. */
void alert_message_who(const struct alert_subject *subject, struct text *out);

/* "p99 of user:libpq.so.5:PQexec for postgres[71] is 312 ms, above 200 ms"; the rule's annotation
 * `summary` instead, where it has one. An alert that ended, or is unknown, says so.
 * window_ns: the agent's, for a rule without its own. */
void alert_message_write(const struct alert_rule *rule, const struct alert *alert,
                         uint64_t window_ns, struct text *out);

/* The nth annotation of the rule, filled in with what the alert knows. */
void alert_message_annotation(const struct alert_rule *rule, const struct alert *alert, size_t nth,
                              uint64_t window_ns, struct text *out);
