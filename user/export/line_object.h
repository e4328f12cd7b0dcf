/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One of our JSON objects, read back: what layouts and journal fields have in common. */
#pragma once

#include <jansson.h>

#include "base/text.h"

/* How much it matters, for the collectors that sort by it. */
struct line_severity {
    const char *name;   /* info, warning, critical */
    unsigned otel;      /* SeverityNumber: syslog's levels as OpenTelemetry maps them */
    const char *syslog; /* level, as a digit */
};

/* NULL: not an object with schema and time, or no memory. */
json_t *line_object_parse(const char *object, size_t length);

static inline void line_object_free(json_t *object)
{
    json_decref(object);
}
DEFINE_CLEANUP(json_t *, line_object_free);

/* "" where there is none */
const char *line_object_string(const json_t *object, const char *key);
/* "loris.series/1" is "loris.series". */
void line_object_kind(const json_t *object, struct text *out);
/* What is over counts as information, however bad it was; what lacks data, as a warning. */
const struct line_severity *line_object_severity(const json_t *object);
/* One sentence for people. */
void line_object_message(const json_t *object, struct text *out);

/* Shortens all strings to that many bytes, on the first two levels, and leaves out what is nested
 * deeper: fewer bytes with each step from 0 on, until at last only schema and time are left. False:
 * there is no such step. The member `cut` names what was changed. */
bool line_object_cut(json_t *object, unsigned step);
