/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The built-in spans: pairs of tracepoints that loris knows to bracket one operation. */
#pragma once

#include <stddef.h>

#include "base/diag.h"

struct span_name {
    const char *name;        /* as in span:NAME */
    const char *description; /* one line */
};

typedef void (*span_name_fn)(const struct span_name *span, void *context);

size_t span_names_match(const char *pattern, span_name_fn on_span, void *context);
/* A hint with the nearest span, else with all of them. */
void span_names_suggest(const char *name, struct diag *diag);
