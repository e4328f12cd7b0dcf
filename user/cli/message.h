/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What loris says to people, on stderr: "loris: what" and, below it, "  hint: the next step". */
#pragma once

#include "base/diag.h"
#include "cli/command_table.h"

void message_say(const char *format, ...) _printf_(1, 2);
void message_hint(const char *format, ...) _printf_(1, 2);
void message_diag(const struct diag *diag);
/* Reports and returns the exit code of a usage error. command may be NULL. */
int message_usage(const struct command *command, const char *format, ...) _printf_(2, 3);
/* The exit code for what a call or connection returned (-errno). */
int message_exit_code(int negative_errno);
