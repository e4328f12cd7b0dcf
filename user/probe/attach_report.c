/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void attach_report_done(struct attach_report *report)
{
    text_done(&report->messages);
}

void attach_report_add(struct attach_report *report, const char *format, ...)
{
    if (report->messages_count >= ATTACH_MESSAGES_MAX) {
        report->messages_held++;
        return;
    }
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    text_append(&report->messages, line, strlen(line) + 1);
    report->messages_count++;
}
