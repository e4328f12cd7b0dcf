/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/diag.h"

#include <stdarg.h>

/* Names in messages come from strangers: a terminal must not obey them. */
static void escape_controls(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
}

int diag_set(struct diag *diag, int errno_value, const char *format, ...)
{
    if (!diag)
        return -errno_value;
    va_list args;
    va_start(args, format);
    vsnprintf(diag->what, sizeof(diag->what), format, args);
    va_end(args);
    escape_controls(diag->what);
    diag->hint[0] = '\0';
    return -errno_value;
}

void diag_hint(struct diag *diag, const char *format, ...)
{
    if (!diag)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(diag->hint, sizeof(diag->hint), format, args);
    va_end(args);
    escape_controls(diag->hint);
}
