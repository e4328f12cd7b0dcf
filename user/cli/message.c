/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/message.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "cli/exit_code.h"

#define LINE_MAX_BYTES 2048

/* One write per line, so that lines of several programs do not mix; names in it come from
 * strangers, so a terminal never sees their control characters. */
__attribute__((format(printf, 2, 0))) static void say(const char *before, const char *format,
                                                      va_list args)
{
    char line[LINE_MAX_BYTES];
    int length = vsnprintf(line, sizeof(line), format, args);
    if (length < 0)
        return;
    char clean[LINE_MAX_BYTES + 1];
    text_sanitize(line, strlen(line), clean);
    fprintf(stderr, "%s%s\n", before, clean);
}

void message_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("loris: ", format, args);
    va_end(args);
}

void message_hint(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("  hint: ", format, args);
    va_end(args);
}

void message_diag(const struct diag *diag)
{
    message_say("%s", diag->what);
    if (diag->hint[0])
        message_hint("%s", diag->hint);
}

int message_usage(const struct command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("loris: ", format, args);
    va_end(args);
    if (command)
        message_hint("loris %s --help", command->name);
    else
        message_hint("loris --help lists the commands");
    return EXIT_CODE_USAGE;
}

int message_exit_code(int negative_errno)
{
    switch (-negative_errno) {
    case 0:
        return EXIT_CODE_FINE;
    case EPERM:
    case EACCES:
        return EXIT_CODE_NOT_PERMITTED;
    case ECONNREFUSED:
    case ENOENT:
    case ENOTDIR:
    case ENOTSOCK:
    case ENAMETOOLONG:
    case ECONNRESET:
    case ETIMEDOUT:
    case EPROTOTYPE:
        return EXIT_CODE_UNREACHABLE;
    default:
        return EXIT_CODE_FAILED;
    }
}
