/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts and their rules as people read them. */
#pragma once

#include <jansson.h>

#include "cli/output.h"

/* "312 ms", "5.20 %": a number in the unit that the object names; "-" when it has none. */
void alert_view_value(const json_t *object, const char *key, char out[32]);
/* "above 200 ms" */
void alert_view_limit(const json_t *object, char out[48]);

/* reply: of Alerts. */
void alert_view_active(const json_t *reply, unsigned width, bool emphasise, struct text *out);
void alert_view_history(const json_t *reply, unsigned width, bool emphasise, struct text *out);
void alert_view_rules(const json_t *reply, unsigned width, bool emphasise, struct text *out);
/* "8 rules: 1 firing, 6 ok, 1 without data; 3 changes held back" */
void alert_view_footer(const json_t *reply, struct text *out);
/* One change: when, what, whom. */
void alert_view_change(const json_t *alert, struct text *out);
