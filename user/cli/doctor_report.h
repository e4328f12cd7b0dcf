/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answer to Doctor as people read it. */
#pragma once

#include <jansson.h>

#include "base/text.h"

/* A line for each check, below it what follows from it and what to do; at the end the sum. width 0:
 * no limit. emphasise: what is no good news. */
void doctor_report_print(const json_t *reply, unsigned width, bool emphasise, struct text *out);
/* Fine when loris can work, warnings or not; failed when something that was asked for cannot; not
 * permitted when that could not be seen. */
int doctor_report_exit_code(const json_t *reply);
