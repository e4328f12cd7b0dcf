/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last changes of alerts, numbered, as the JSON objects that answers and the state file hold.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_writer.h"
#include "base/ownership.h"

#define ALERT_HISTORY_ENTRY_BYTES (32 * 1024) /* more than a rule with all its texts takes */

struct alert_history;

int alert_history_new(size_t entries_max, struct alert_history **ret_history) _must_check_;
void alert_history_free(struct alert_history *history);
DEFINE_CLEANUP(struct alert_history *, alert_history_free);
/* Drops the oldest above the new bound; with -ENOMEM the old bound stays. */
int alert_history_set_max(struct alert_history *history, size_t entries_max) _must_check_;

/* The number that the next entry should carry as its seq. */
uint64_t alert_history_next(const struct alert_history *history);
/* Takes the next number. name: of its rule; json: one object. Too long or without memory it is
 * missing, and its number is used up. */
void alert_history_add(struct alert_history *history, const char *name, const char *json);

/* Calls back from the newest on; false ends it. */
typedef bool (*alert_history_fn)(uint64_t seq, const char *name, const char *json, void *context);
void alert_history_walk(const struct alert_history *history, alert_history_fn on_entry,
                        void *context);

/* An array, the oldest first. */
void alert_history_save(const struct alert_history *history, struct json_writer *json,
                        const char *key);
/* Into an empty history; passes over what is no entry. Numbers go on after the last one. */
void alert_history_restore(struct alert_history *history, const json_t *array);
