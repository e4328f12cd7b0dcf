/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Series as people read them: a table, and below it what the numbers cover. */
#pragma once

#include <jansson.h>

#include "cli/output.h"

struct series_view {
    unsigned width; /* 0: no limit */
    bool emphasise;
    bool without_who; /* by none: there is nobody to name */
};

/* reply: of Stats. A table and its footer. */
void series_view_print(const json_t *reply, const struct series_view *view, struct text *out);
/* The footer alone: "covers all 1,234,567 calls; quantiles within 0.55 %; ...". */
void series_view_footer(const json_t *reply, struct text *out);
/* The series objects, one a line, as the agent gave them. */
void series_view_json(const json_t *reply, struct text *out);
/* Calls in all series. */
uint64_t series_view_calls(const json_t *reply);

/* "nginx[71]", "redis.service", "(other)"; group: of a series. */
#define SERIES_WHO_BYTES 512
void series_view_format_who(const json_t *group, char out[SERIES_WHO_BYTES]);
/* "1,234,567" */
void series_view_format_exact(uint64_t count, char out[32]);
/* "2.8 %", "160 %": so many digits that count, and never an exponent. */
void series_view_format_percent(double ratio, int digits, char out[32]);
