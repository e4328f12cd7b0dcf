/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of `loris status`. */
#pragma once

#include <jansson.h>

#include "base/text.h"

/* reply: of Status with probes. All probes' counters in one ledger, its equations spelt out. */
void status_ledger_print(const json_t *reply, struct text *out);
void status_probes_print(const json_t *reply, unsigned width, bool emphasise, struct text *out);
void status_memory_print(const json_t *reply, unsigned width, bool emphasise, struct text *out);
/* Where lines go and what did not get there. */
void status_outputs_print(const json_t *reply, struct text *out);
