/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completion scripts: the command table in the words of a shell, and what the shell does with it.
 * The name of an argument in the help says what completes it, so a new command is a row there. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"

static const char bash_script[] = {
#include "completion_bash.inc"
};
static const char zsh_script[] = {
#include "completion_zsh.inc"
};
static const char fish_script[] = {
#include "completion_fish.inc"
};

#define TARGETS_BEGIN "user: kernel: syscall: span: usdt: heap: kmem: preset:"

/* "[PROBE-GLOB]" and "TARGET..." are PROBE-GLOB and TARGET. */
static void bare_name(const char *argument, size_t *ret_from, size_t *ret_length)
{
    *ret_from = strspn(argument, "[");
    *ret_length = strcspn(argument + *ret_from, "].");
}

/* Each script knows these words; NULL: anything, nothing to offer. */
static const char *kind_of(const char *argument)
{
    static const struct {
        const char *name, *kind;
    } kinds[] = {{"FILE", "file"},       {"PATH", "file"},        {"PID", "pid"},
                 {"UNIT", "unit"},       {"TARGET", "target"},    {"PATTERN", "target"},
                 {"RULE-GLOB", "alert"}, {"PROBE-GLOB", "probe"}, {"COMMAND", "command"}};
    size_t from, length;
    bare_name(argument, &from, &length);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, argument + from, length) == 0)
            return kinds[i].kind;
    return NULL;
}

/* The words of "bash|zsh|fish". */
static void append_alternatives(const char *argument, struct text *out)
{
    size_t from, length;
    bare_name(argument, &from, &length);
    for (size_t i = from; i < from + length; i++)
        text_append(out, argument[i] == '|' ? " " : &argument[i], 1);
}

/* --- bash ------------------------------------------------------------------------------------ */

static void bash_option_names(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        if (option->letter)
            text_append_format(out, " -%c", option->letter);
        text_append_format(out, " --%s", option->name);
    }
}

static void bash_reply(const char *argument, const char *choices, struct text *out)
{
    text_append_string(out, ") reply='");
    if (choices)
        text_append_format(out, "words %s", choices);
    else if (strchr(argument, '|')) {
        text_append_string(out, "words ");
        append_alternatives(argument, out);
    } else
        text_append_string(out, kind_of(argument) ? kind_of(argument) : "none");
    text_append_string(out, "' ;;\n");
}

static void bash_values(const char *command, const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        if (!option->argument)
            continue;
        text_append_format(out, "    %s:--%s", command, option->name);
        if (option->letter)
            text_append_format(out, " | %s:-%c", command, option->letter);
        bash_reply(option->argument, option->choices, out);
    }
}

static void complete_bash(struct text *out)
{
    text_append_string(out, "# bash completion of loris\n_loris_targets_begin='" TARGETS_BEGIN
                            "'\n_loris_commands='");
    for (const struct command *command = command_table; command->name; command++)
        text_append_format(out, "%s ", command->name);
    text_append_string(out, "'\n\n# What begins with a dash after the command $1.\n"
                            "_loris_options() {\n    reply='words");
    bash_option_names(command_global_options, out);
    text_append_string(out, "'\n    case $1 in\n");
    for (const struct command *command = command_table; command->name; command++) {
        if (command->options[0].id == OPTION_NONE)
            continue;
        text_append_format(out, "    %s) reply+='", command->name);
        bash_option_names(command->options, out);
        text_append_string(out, "' ;;\n");
    }
    text_append_string(out, "    esac\n}\n\n# What follows the option $2 of $1, or $1 itself.\n"
                            "_loris_value() {\n    case $1:$2 in\n");
    for (const struct command *command = command_table; command->name; command++) {
        bash_values(command->name, command->options, out);
        text_append_format(out, "    %s:", command->name);
        bash_reply(command->arguments, NULL, out);
    }
    bash_values("*", command_global_options, out);
    text_append_string(out, "    esac\n}\n\n");
    text_append_string(out, bash_script);
}

/* Texts of the table inside single quotes: `special` characters get a backslash. */
static void quoted(const char *string, const char *special, struct text *out)
{
    for (; *string; string++) {
        if (*string == '\'') {
            text_append_string(out, "'\\''");
            continue;
        }
        if (strchr(special, *string))
            text_append(out, "\\", 1);
        text_append(out, string, 1);
    }
}

/* --- zsh ------------------------------------------------------------------------------------- */

/* ":message:action" of _arguments */
static void zsh_value(const char *argument, const char *choices, struct text *out)
{
    size_t from, length;
    bare_name(argument, &from, &length);
    if (choices)
        text_append_format(out, ":%.*s:(%s)", (int)length, argument + from, choices);
    else if (strchr(argument, '|')) {
        text_append_string(out, ":word:(");
        append_alternatives(argument, out);
        text_append_string(out, ")");
    } else if (kind_of(argument))
        text_append_format(out, ":%.*s:_loris_%s", (int)length, argument + from, kind_of(argument));
    else
        text_append_format(out, ":%.*s: ", (int)length, argument + from);
}

static void zsh_spec(const struct command_option *option, const char *dashes, const char *name,
                     struct text *out)
{
    /* the star: an option may be given again */
    const bool takes_equals = option->argument && strcmp(dashes, "--") == 0;
    text_append_format(out, "      '*%s%s%s[", dashes, name, takes_equals ? "=" : "");
    quoted(option->help, "[]:", out);
    text_append_string(out, "]");
    if (option->argument)
        zsh_value(option->argument, option->choices, out);
    text_append_string(out, "' \\\n");
}

static void zsh_options(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        const char letter[2] = {option->letter, '\0'};
        if (option->letter)
            zsh_spec(option, "-", letter, out);
        zsh_spec(option, "--", option->name, out);
    }
}

static void zsh_command(const struct command *command, struct text *out)
{
    text_append_format(out, "  %s)\n    _arguments -s \\\n", command->name);
    zsh_options(command->options, out);
    zsh_options(command_global_options, out);
    if (command->arguments_max > 0) {
        text_append_string(out, command->arguments_max > 1 ? "      '*" : "      '1");
        zsh_value(command->arguments, NULL, out);
        text_append_string(out, "'");
    }
    text_append_string(out, " ;;\n");
}

static void complete_zsh(struct text *out)
{
    text_append_string(out, "#compdef loris\n\n");
    text_append_string(out, zsh_script);
    text_append_string(out, "\n_loris() {\n"
                            "  local -a loris_commands loris_targets_begin=(" TARGETS_BEGIN ")\n"
                            "  loris_commands=(\n");
    for (const struct command *command = command_table; command->name; command++) {
        text_append_format(out, "    '%s:", command->name);
        quoted(command->summary, ":", out);
        text_append_string(out, "'\n");
    }
    text_append_string(out, "  )\n"
                            "  local at=${words[(i)--]}\n"
                            "  if (( at < CURRENT )); then\n" /* the program that is watched */
                            "    shift $at words\n"
                            "    (( CURRENT -= at ))\n"
                            "    _normal\n"
                            "    return\n"
                            "  fi\n"
                            "  while [[ $words[2] == -* ]] && (( CURRENT > 2 )); do\n"
                            "    at=1\n"
                            "    [[ $words[2] == --socket ]] && at=2\n"
                            "    (( CURRENT > at + 1 )) || break\n"
                            "    words[2,1+at]=()\n"
                            "    (( CURRENT -= at ))\n"
                            "  done\n"
                            "  if [[ CURRENT -eq 2 || $words[2] == -* ]]; then\n"
                            "    _arguments \\\n");
    zsh_options(command_global_options, out);
    text_append_string(out, "      '1:command:_loris_command'\n"
                            "    return\n"
                            "  fi\n"
                            "  local name=$words[2]\n"
                            "  shift words\n"
                            "  (( CURRENT-- ))\n"
                            "  case $name in\n");
    for (const struct command *command = command_table; command->name; command++)
        zsh_command(command, out);
    text_append_string(out, "  esac\n"
                            "}\n\n"
                            "if [ \"$funcstack[1]\" = _loris ]; then\n"
                            "  _loris \"$@\"\n"
                            "else\n"
                            "  compdef _loris loris\n"
                            "fi\n");
}

/* --- fish ------------------------------------------------------------------------------------ */

static void fish_value(const char *argument, const char *choices, struct text *out)
{
    const char *kind = kind_of(argument);
    const bool is_file = kind && strcmp(kind, "file") == 0;
    text_append_string(out, is_file ? " -F" : " -f");
    if (choices)
        text_append_format(out, " -a '%s'", choices);
    else if (strchr(argument, '|')) {
        text_append_string(out, " -a '");
        append_alternatives(argument, out);
        text_append_string(out, "'");
    } else if (kind && strcmp(kind, "pid") == 0)
        text_append_string(out, " -a '(__fish_complete_pids)'");
    else if (kind && strcmp(kind, "command") == 0)
        text_append_string(out, " -a \"$__loris_commands\"");
    else if (kind && !is_file)
        text_append_format(out, " -a '(__loris_%s)'", kind);
}

static void fish_options(const char *condition, const struct command_option *options,
                         struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        text_append_format(out, "complete -c loris -n '%s'", condition);
        if (option->letter)
            text_append_format(out, " -s %c", option->letter);
        text_append_format(out, " -l %s", option->name);
        if (option->argument) {
            text_append_string(out, " -r");
            fish_value(option->argument, option->choices, out);
        }
        text_append_string(out, " -d '");
        quoted(option->help, "\\", out);
        text_append_string(out, "'\n");
    }
}

static void complete_fish(struct text *out)
{
    text_append_string(out, "# fish completion of loris\n"
                            "set -g __loris_targets_begin " TARGETS_BEGIN "\n"
                            "set -g __loris_commands");
    for (const struct command *command = command_table; command->name; command++)
        text_append_format(out, " %s", command->name);
    text_append_string(out, "\n\n");
    text_append_string(out, fish_script);
    for (const struct command *command = command_table; command->name; command++) {
        char condition[64];
        snprintf(condition, sizeof(condition), "__loris_is %s", command->name);
        text_append_format(out, "complete -c loris -n '__loris_is \"\"' -a %s -d '", command->name);
        quoted(command->summary, "\\", out);
        text_append_string(out, "'\n");
        fish_options(condition, command->options, out);
        if (command->arguments_max == 0)
            continue;
        text_append_format(out, "complete -c loris -n '%s'", condition);
        fish_value(command->arguments, NULL, out);
        text_append_string(out, "\n");
    }
    fish_options("not __loris_in_child", command_global_options, out);
}

int command_completion(const struct invocation *invocation)
{
    _cleanup_text_ struct text out = {0};
    const char *shell = invocation->arguments[0];
    if (strcmp(shell, "bash") == 0)
        complete_bash(&out);
    else if (strcmp(shell, "zsh") == 0)
        complete_zsh(&out);
    else if (strcmp(shell, "fish") == 0)
        complete_fish(&out);
    else
        return message_usage(invocation->command, "no completion for \"%s\": bash, zsh or fish",
                             shell);
    return output_once(&out);
}
