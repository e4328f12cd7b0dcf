/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void log_line(int priority, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (getenv("JOURNAL_STREAM")) /* sd-daemon(3): the prefix becomes the entry's priority */
        fprintf(stderr, "<%d>%s\n", priority, line);
    else
        fprintf(stderr, "lorisd: %s\n", line);
}

int log_failure(int error, const struct diag *diag)
{
    if (diag->hint[0])
        log_line(LOG_ERR, "%s; %s", diag->what, diag->hint);
    else
        log_line(LOG_ERR, "%s", diag->what);
    return error;
}
