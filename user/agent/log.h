/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lorisd says: one line each on stderr, with the priority that journald reads. */
#pragma once

#include <syslog.h>

#include "base/diag.h"

void log_line(int priority, const char *format, ...) _printf_(2, 3);
/* "what; hint", and returns error, so that `return log_failure(error, &diag)` reads well. */
int log_failure(int error, const struct diag *diag);
