/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our JSON objects as journal entries: a sentence, and each member as a field. */
#pragma once

#include "export/journal_sink.h"
#include "export/line_layout.h"

/* MESSAGE_ID of a line of a summary. */
#define JOURNAL_OBJECT_SERIES_ID "6a0d6c3a0fd94f9a8f5e0f0b6c1f2a57"

/*
 * The object is as in line_layout_write. Fields: MESSAGE, PRIORITY, MESSAGE_ID, SYSLOG_IDENTIFIER,
 * LORIS_SEQ, LORIS_RUN; LORIS_PROBE, LORIS_P99_NS, ... for the members; LORIS_GROUP (its kind),
 * LORIS_PID, LORIS_COMM, LORIS_UNIT; LORIS_LABELS_NAME, ... for those of other members. What is
 * beyond JOURNAL_FIELDS_MAX is left out, and LORIS_CUT says how many. -EINVAL: no such object, and
 * the sink does not count it; or what journal_sink_write says.
 */
int journal_object_write(struct journal_sink *sink, const struct line_origin *origin,
                         const char *message_id, const char *object, size_t length) _must_check_;
