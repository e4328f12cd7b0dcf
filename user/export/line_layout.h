/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our JSON objects as lines for log collectors: in our own words, Elastic's or OpenTelemetry's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Log collectors cut longer ones, rsyslog at 8096 bytes unless it is told otherwise. */
#define LINE_LAYOUT_BYTES_MAX 8000 /* with the '\n' */

#define LINE_LAYOUT_ECS_VERSION "8.11.0"

enum line_layout {
    LINE_LAYOUT_LORIS, /* the object, seq and run behind its members */
    LINE_LAYOUT_ECS,   /* Elastic Common Schema; what it has no name for is below loris */
    LINE_LAYOUT_OTEL,  /* OpenTelemetry's log data model; the same in Attributes */
};

/* Where a line comes from. (run, schema, seq) names one line; a gap in seq is lost lines. */
struct line_origin {
    const char *host;    /* its name */
    const char *version; /* of the agent */
    const char *run;     /* differs from start to start of the agent */
    uint64_t seq;        /* 1, 2, ... of this output */
};

/* "loris", "ecs", "otel". -EINVAL */
int line_layout_parse(const char *word, enum line_layout *ret_layout) _must_check_;
const char *line_layout_name(enum line_layout layout);

/*
 * Appends one of our JSON objects as a line with its '\n': valid UTF-8, LINE_LAYOUT_BYTES_MAX bytes
 * at most. The object has schema and time; known beside these are message, severity, state, alert,
 * group, labels, window_s. Where a line would be too long, its strings are cut, then nested members
 * left out, and `cut` names them. -EINVAL: not such an object; -ENOMEM. Then nothing is appended.
 */
int line_layout_write(struct text *lines, enum line_layout layout, const struct line_origin *origin,
                      const char *object, size_t length) _must_check_;
