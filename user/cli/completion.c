/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completion scripts, derived from the command table. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"

static void bash_words(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        if (option->letter)
            text_append_format(out, "-%c ", option->letter);
        text_append_format(out, "--%s ", option->name);
    }
}

static void bash_choices(struct text *out)
{
    for (const struct command *command = command_table; command->name; command++)
        for (const struct command_option *option = command->options; option->id != OPTION_NONE;
             option++)
            if (option->choices)
                text_append_format(out,
                                   "    %s:--%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); "
                                   "return ;;\n",
                                   command->name, option->name, option->choices);
}

static void complete_bash(struct text *out)
{
    text_append_string(out,
                       "_loris() {\n"
                       "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}"
                       "\n    local command=${COMP_WORDS[1]} words=\n"
                       "    COMPREPLY=()\n"
                       "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                       "        COMPREPLY=($(compgen -W '");
    for (const struct command *command = command_table; command->name; command++)
        text_append_format(out, "%s ", command->name);
    bash_words(command_global_options, out);
    text_append_string(out, "' -- \"$cur\"))\n        return\n    fi\n"
                            "    case $command:$prev in\n");
    bash_choices(out);
    text_append_string(out, "    *:--output|*:-o|*:--socket|check-config:*) "
                            "COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n    esac\n"
                            "    case $command in\n");
    for (const struct command *command = command_table; command->name; command++) {
        text_append_format(out, "    %s) words='", command->name);
        bash_words(command->options, out);
        bash_words(command_global_options, out);
        if (strcmp(command->name, "completion") == 0)
            text_append_string(out, "bash zsh fish ");
        text_append_string(out, "' ;;\n");
    }
    text_append_string(out, "    esac\n"
                            "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                            "}\n"
                            "complete -o default -F _loris loris\n");
}

/* Help texts of the table inside single quotes: `special` characters get a backslash. */
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

static void zsh_spec(const struct command_option *option, const char *dashes, const char *name,
                     struct text *out)
{
    /* the star: an option may be given again */
    text_append_format(out, "      '*%s%s[", dashes, name);
    quoted(option->help, "[]:", out);
    text_append_string(out, "]");
    if (option->choices)
        text_append_format(out, ":%s:(%s)", option->argument, option->choices);
    else if (option->id == OPTION_OUTPUT || option->id == OPTION_SOCKET)
        text_append_format(out, ":%s:_files", option->argument);
    else if (option->argument)
        text_append_format(out, ":%s: ", option->argument);
    text_append_string(out, "' \\\n");
}

static void zsh_options(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        char letter[2] = {option->letter, '\0'};
        if (option->letter)
            zsh_spec(option, "-", letter, out);
        zsh_spec(option, "--", option->name, out);
    }
}

static void complete_zsh(struct text *out)
{
    text_append_string(out, "#compdef loris\n"
                            "_loris() {\n"
                            "  local -a commands\n"
                            "  commands=(\n");
    for (const struct command *command = command_table; command->name; command++) {
        text_append_format(out, "    '%s:", command->name);
        quoted(command->summary, ":", out);
        text_append_string(out, "'\n");
    }
    text_append_string(out, "  )\n"
                            "  if (( CURRENT == 2 )); then\n"
                            "    _describe -t commands 'loris command' commands\n"
                            "    return\n"
                            "  fi\n"
                            "  local name=$words[2]\n"
                            "  shift words\n"
                            "  (( CURRENT-- ))\n"
                            "  case $name in\n");
    for (const struct command *command = command_table; command->name; command++) {
        text_append_format(out, "  %s)\n    _arguments -s \\\n", command->name);
        zsh_options(command->options, out);
        zsh_options(command_global_options, out);
        if (strcmp(command->name, "completion") == 0)
            text_append_string(out, "      '1:shell:(bash zsh fish)' ;;\n");
        else
            text_append_string(out, "      '*:argument:_files' ;;\n");
    }
    text_append_string(out, "  esac\n"
                            "}\n"
                            "if [ \"$funcstack[1]\" = _loris ]; then\n"
                            "  _loris \"$@\"\n"
                            "else\n"
                            "  compdef _loris loris\n"
                            "fi\n");
}

static void fish_options(const char *condition, const struct command_option *options,
                         struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        text_append_string(out, "complete -c loris");
        if (condition)
            text_append_format(out, " -n '__fish_seen_subcommand_from %s'", condition);
        if (option->letter)
            text_append_format(out, " -s %c", option->letter);
        text_append_format(out, " -l %s", option->name);
        if (option->argument)
            text_append_string(out, " -r");
        if (option->choices)
            text_append_format(out, " -f -a '%s'", option->choices);
        text_append_string(out, " -d '");
        quoted(option->help, "\\", out);
        text_append_string(out, "'\n");
    }
}

static void complete_fish(struct text *out)
{
    for (const struct command *command = command_table; command->name; command++) {
        text_append_format(out, "complete -c loris -n __fish_use_subcommand -f -a %s -d '",
                           command->name);
        quoted(command->summary, "\\", out);
        text_append_string(out, "'\n");
        fish_options(command->name, command->options, out);
    }
    text_append_string(out, "complete -c loris -n '__fish_seen_subcommand_from completion' -f "
                            "-a 'bash zsh fish'\n");
    fish_options(NULL, command_global_options, out);
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
