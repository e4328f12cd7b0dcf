/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of all alerts as JSON, and back: what survives a restart or an upgrade. */
#pragma once

#include <jansson.h>

#include "alert/alert_book.h"
#include "base/json_writer.h"

/* What a pending alert was pending for means little after a longer absence. */
#define ALERT_SAVED_PENDING_MAX_NS (3600 * (uint64_t)1000000000)

/* An array of the alerts that are not inactive, or of which an end was not told yet. Times go as
 * ages: the clock that they are kept by means nothing to the next run. */
void alert_saved_write(struct json_writer *json, const char *key, const struct alert_book *book,
                       uint64_t now_ns);

struct alert_saved_figures {
    size_t restored;
    size_t ruleless; /* their rule is gone or asks for something else now */
    size_t refused;  /* not what alert_saved_write writes, or too many */
};

/*
 * Puts them back. away_ns: between writing and now, by a clock that may have been set. As with
 * Prometheus, that time does not count towards `for` or keep_firing_for; a firing alert is that
 * much older. patience_ns: how long it may take until a window says something; for rules without
 * their own window. now_ns must be at least ALERT_SAVED_AGE_MAX_NS. Reads whatever is there.
 */
#define ALERT_SAVED_AGE_MAX_NS (400 * 86400 * (uint64_t)1000000000)
struct alert_saved_figures alert_saved_read(const json_t *array, struct alert_book *book,
                                            uint64_t now_ns, uint64_t away_ns,
                                            uint64_t patience_ns);
