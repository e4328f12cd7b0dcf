/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A diagnosis: what failed, on what, why, and what to do next; filled by stages, printed once. */
#pragma once

#include "base/ownership.h"

struct diag {
    char what[512]; /* one line, no trailing period or newline; control characters are escaped */
    char hint[512]; /* the next step, or empty */
};

/* Both return -errno_value, so that `return diag_set(reterr_diag, ENOENT, ...)` reads well.
 * diag may be NULL. diag_set clears the hint. */
int diag_set(struct diag *diag, int errno_value, const char *format, ...) _printf_(3, 4);
void diag_hint(struct diag *diag, const char *format, ...) _printf_(2, 3);
