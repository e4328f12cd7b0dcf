/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of loris(1) that the command table knows, in the format of scdoc. */
#include "cli/manual.h"

#include <string.h>

#include "base/text.h"
#include "cli/command_table.h"

/* What scdoc would take for formatting is escaped; line breaks stay. */
static void append_plain(const char *string, size_t length, struct text *out)
{
    for (size_t i = 0; i < length; i++) {
        const bool begins_line = i == 0 || string[i - 1] == '\n';
        if (strchr("\\*_<`", string[i]) || (begins_line && strchr("#-|[].+", string[i])))
            text_append(out, "\\", 1);
        text_append(out, &string[i], 1);
    }
}

/* Words in capitals stand for something: underlined. The others are typed as they are: bold. */
static void append_arguments(const char *arguments, struct text *out)
{
    while (*arguments) {
        const size_t capitals = strspn(arguments, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
        const size_t letters = strcspn(arguments, " []|.");
        if (capitals > 0 && capitals == letters)
            text_append_format(out, "_%.*s_", (int)letters, arguments);
        else if (letters > 0)
            text_append_format(out, "*%.*s*", (int)letters, arguments);
        arguments += letters;
        const size_t marks = strspn(arguments, " []|.");
        text_append(out, arguments, marks);
        arguments += marks;
    }
}

static void append_choices(const char *choices, struct text *out)
{
    text_append_string(out, ".\n\tOne of");
    for (const char *at = choices; *at; at += strspn(at, " ")) {
        const size_t word = strcspn(at, " ");
        text_append_format(out, "%s *%.*s*", at == choices ? "" : ",", (int)word, at);
        at += word;
    }
    text_append_string(out, ".");
}

static void append_options(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        if (option->letter)
            text_append_format(out, "*-%c*, ", option->letter);
        text_append_format(out, "*--%s*", option->name);
        if (option->argument)
            text_append_format(out, " _%s_", option->argument);
        text_append_string(out, "\n\t");
        append_plain(option->help, strlen(option->help), out);
        if (option->choices)
            append_choices(option->choices, out);
        text_append_string(out, "\n\n");
    }
}

static void append_command(const struct command *command, struct text *out)
{
    text_append_format(out, "## %s: ", command->name);
    append_plain(command->summary, strlen(command->summary), out);
    text_append_format(out, "\n\n*loris %s*", command->name);
    if (command->arguments[0]) {
        text_append_string(out, " ");
        append_arguments(command->arguments, out);
    }
    if (command->options[0].id != OPTION_NONE)
        text_append_string(out, " [_OPTION_]...");
    if (command->takes_child)
        text_append_string(out, " [*--* _COMMAND_ _ARG_...]");
    text_append_string(out, "\n\n");
    append_plain(command->description, strlen(command->description), out);
    text_append_string(out, "\n\n");
    append_options(command->options, out);
    text_append_format(out, "```\n%s```\n\n", command->examples);
}

void manual_format(struct text *out)
{
    text_append_string(out, "# COMMANDS\n\n");
    for (const struct command *command = command_table; command->name; command++)
        append_command(command, out);
    text_append_string(out, "# OPTIONS OF EVERY COMMAND\n\n");
    append_options(command_global_options, out);
}
