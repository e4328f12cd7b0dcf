/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command_table.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"

#define OPTIONS_END                                                                                \
    {                                                                                              \
        .id = OPTION_NONE                                                                          \
    }
#define OPTION_COLUMN 26 /* where the help of an option begins */

const struct command_option command_global_options[] = {
    {OPTION_JSON, 0, "json", NULL, NULL, "write JSON, one object a line"},
    {OPTION_SOCKET, 0, "socket", "PATH", NULL, "the agent's socket (/run/loris/loris.sock)"},
    {OPTION_HELP, 'h', "help", NULL, NULL, "this text"},
    OPTIONS_END,
};

static const struct command_option no_options[] = {OPTIONS_END};

static const struct command_option help_options[] = {
    {OPTION_SCDOC, 0, "scdoc", NULL, NULL,
     "all commands in the format of scdoc, for a manual page"},
    OPTIONS_END,
};

#define BY_CHOICES "process unit none"

static const struct command_option watch_options[] = {
    {OPTION_PID, 'p', "pid", "PID", NULL, "only this process; repeat for more"},
    {OPTION_COMM, 0, "comm", "NAME", NULL, "only processes of this name"},
    {OPTION_UNIT, 0, "unit", "UNIT", NULL, "only this systemd unit or cgroup path"},
    {OPTION_DURATION, 'd', "duration", "TIME", NULL,
     "end after so long: 10s, 1.5m; ends COMMAND too"},
    {OPTION_INTERVAL, 'i', "interval", "TIME", NULL, "print each interval: 1s, 500ms"},
    {OPTION_BY, 0, "by", "GROUP", BY_CHOICES, "one line for each (default process)"},
    {OPTION_ERRORS, 0, "errors", "RULE", "never negative negative-int zero nonzero errno",
     "which return values count as errors"},
    {OPTION_ATTACH, 0, "attach", "KIND", NULL, "how to attach (default auto)"},
    {OPTION_BUDGET, 0, "budget", "SHARE", NULL,
     "what all probes may cost, of one CPU: 5%, none (default 1%)"},
    {OPTION_SAMPLE, 0, "sample", "1/N", NULL, "sample one call of N, count them all: 1/128"},
    {OPTION_FORCE, 0, "force", NULL, NULL, "attach in spite of a known hazard"},
    {OPTION_LIMIT, 0, "limit", "N", NULL, "at most so many lines, the busiest first"},
    {OPTION_OUTPUT, 'o', "output", "FILE", NULL, "write the data there instead of to stdout"},
    OPTIONS_END,
};

static const struct command_option stats_options[] = {
    {OPTION_BY, 0, "by", "GROUP", BY_CHOICES, "one line for each (default process)"},
    {OPTION_WINDOW, 0, "window", "TIME", NULL, "the last so long: 10s, 60s"},
    {OPTION_SINCE_START, 0, "since-start", NULL, NULL, "everything since the agent started"},
    {OPTION_PID, 'p', "pid", "PID", NULL, "only this process"},
    {OPTION_LIMIT, 0, "limit", "N", NULL, "at most so many lines, the busiest first"},
    OPTIONS_END,
};

static const struct command_option status_options[] = {
    {OPTION_PROBES, 0, "probes", NULL, NULL, "every probe: state, place, cost, bias, ledger"},
    {OPTION_MEMORY, 0, "memory", NULL, NULL, "who holds the memory; hits and misses of the caches"},
    OPTIONS_END,
};

static const struct command_option list_options[] = {
    {OPTION_LIMIT, 0, "limit", "N", NULL, "at most so many (default 1000)"},
    {OPTION_PLACEMENT, 0, "placement", NULL, NULL,
     "where probes of user functions would go, and why"},
    OPTIONS_END,
};

static const struct command_option heap_options[] = {
    {OPTION_BY, 0, "by", "GROUP", BY_CHOICES, "one line for each (default process)"},
    {OPTION_KERNEL, 0, "kernel", NULL, NULL, "the kernel's own: slab caches and pages"},
    {OPTION_PID, 'p', "pid", "PID", NULL, "only this process"},
    {OPTION_LIMIT, 0, "limit", "N", NULL, "at most so many lines, the largest first"},
    OPTIONS_END,
};

static const struct command_option top_options[] = {
    {OPTION_BY, 0, "by", "GROUP", BY_CHOICES, "one row for each (default none: for each probe)"},
    {OPTION_SORT, 0, "sort", "KEY", "p50 p99 max rate count errors time name",
     "order at first (default time)"},
    {OPTION_FILTER, 0, "filter", "TEXT", NULL, "part of a name, or a glob: of a probe or a group"},
    {OPTION_INTERVAL, 'i', "interval", "TIME", NULL, "refresh so often: 500ms, 5s (default 1s)"},
    {OPTION_ONCE, 0, "once", NULL, NULL, "print one table and end"},
    OPTIONS_END,
};

static const struct command_option alerts_options[] = {
    {OPTION_HISTORY, 0, "history", NULL, NULL, "the last changes, the newest first"},
    {OPTION_WATCH, 0, "watch", NULL, NULL, "follow: print each change until Ctrl-C"},
    {OPTION_RULES, 0, "rules", NULL, NULL, "all rules, and how each stands"},
    {OPTION_LIMIT, 0, "limit", "N", NULL, "at most so many lines"},
    OPTIONS_END,
};

const struct command command_table[] = {
    {
        .name = "watch",
        .arguments = "TARGET...",
        .arguments_min = 1,
        .arguments_max = SIZE_MAX,
        .takes_child = true,
        .summary = "measure functions now; needs no running agent",
        .description =
            "Attaches to the targets, measures until Ctrl-C, the end of COMMAND or -d, and prints\n"
            "the totals. Every call is timed while that costs less than the budget; the line\n"
            "below the table says when it was not. Needs root. COMMAND keeps its own stdin,\n"
            "stdout and stderr; its exit status is said on stderr, and loris's own is 0 when all\n"
            "went well.",
        .examples = "loris watch syscall:openat\n"
                    "loris watch user:libc.so.6:malloc -p 4711 -d 10s\n"
                    "loris watch 'kernel:vfs_*' -i 1s --by none --json\n"
                    "loris watch user:libc.so.6:malloc --sample 1/128 --budget none -d 10s\n"
                    "loris watch user:libsqlite3.so.0:sqlite3_step -- sqlite3 my.db 'select 1'\n"
                    "loris watch preset:postgres-client preset:tls -d 30s --by process\n",
        .options = watch_options,
        .run = command_watch,
    },
    {
        .name = "stats",
        .arguments = "[PROBE-GLOB]",
        .arguments_max = 1,
        .summary = "percentiles from the running agent",
        .description = "Prints count, rate, errors and percentiles of what the agent measures.",
        .examples = "loris stats\n"
                    "loris stats 'syscall:*' --by unit --window 10s\n"
                    "loris stats --since-start --by none --json\n",
        .options = stats_options,
        .run = command_stats,
    },
    {
        .name = "status",
        .arguments = "",
        .summary = "health of the agent, what it costs and where every call went",
        .description =
            "The first word is the health: ok, degraded or failing. Below: what the probes\n"
            "cost of the budget, the last steps to hold it, and the ledger of calls.\n"
            "The exit status is 0 when it is ok and 1 otherwise.",
        .examples = "loris status\n"
                    "loris status --probes\n"
                    "loris status --json\n",
        .options = status_options,
        .run = command_status,
    },
    {
        .name = "doctor",
        .arguments = "",
        .summary = "what of this machine keeps loris from working, and what to do",
        .description =
            "Checks the kernel, rights, ways to attach (each is tried and taken away again),\n"
            "hazards, limits and configuration, one by one: ok, absent (loris does without),\n"
            "warning, fail or unknown. Asks the running agent; without one, an agent of its own,\n"
            "which needs root. The exit status is 0 when loris can work, 1 when something that\n"
            "was asked for cannot, 4 when that shows as root only.",
        .examples = "loris doctor\n"
                    "loris doctor --json | jq -r 'select(.result != \"ok\") | .check'\n",
        .options = no_options,
        .run = command_doctor,
    },
    {
        .name = "list",
        .arguments = "PATTERN",
        .arguments_min = 1,
        .arguments_max = 1,
        .summary = "what could be watched",
        .description = "Finds kernel functions, symbols of an object or a running process,\n"
                       "syscalls, spans and marks; presets (preset:*), which are named sets of\n"
                       "targets, and what is in one (preset:NAME). Needs no running agent.",
        .examples = "loris list 'syscall:open*'\n"
                    "loris list 'preset:*'\n"
                    "loris list 'user:libc.so.6:mem*' --placement\n"
                    "loris list 'user:pid:4711:*' --limit 50\n",
        .options = list_options,
        .run = command_list,
    },
    {
        .name = "heap",
        .arguments = "[OBJECT-GLOB]",
        .arguments_max = 1,
        .summary = "memory that is allocated and not freed",
        .description =
            "Prints what heap: targets of the running agent count, since they are watched: live\n"
            "bytes and blocks, how fast they grow, calls, failures, sizes. OLDER are frees of\n"
            "blocks that were allocated before, or by a parent; they count in nothing else.",
        .examples = "loris heap\n"
                    "loris heap 'libc.so*' --by unit\n"
                    "loris heap --kernel --limit 20\n",
        .options = heap_options,
        .run = command_heap,
    },
    {
        .name = "top",
        .arguments = "[PROBE-GLOB]",
        .arguments_max = 1,
        .summary = "a live table of the slowest and busiest",
        .description =
            "Shows the last 10 s, each second anew: p99 and its trend, rate, errors, share\n"
            "of time. Enter goes from a probe to its units and processes, / filters, ?\n"
            "lists all keys, q ends it. NO_COLOR is respected.",
        .examples = "loris top\n"
                    "loris top 'syscall:*' --by unit --sort p99\n"
                    "loris top --once --filter nginx --json\n",
        .options = top_options,
        .run = command_top,
    },
    {
        .name = "alerts",
        .arguments = "[RULE-GLOB]",
        .arguments_max = 1,
        .summary = "what fires, and what did",
        .description =
            "Prints the alerts that are pending, firing or unknown. Unknown was firing, and there\n"
            "is no data to tell whether it still would. The agent's own rules begin with loris-.",
        .examples = "loris alerts\n"
                    "loris alerts --history --limit 20\n"
                    "loris alerts --rules 'loris-*'\n"
                    "loris alerts --watch --json\n",
        .options = alerts_options,
        .run = command_alerts,
    },
    {
        .name = "check",
        .arguments = "RULE-GLOB",
        .arguments_min = 1,
        .arguments_max = 1,
        .usage_code = 3,
        .summary = "one alert rule, as monitoring plugins say it",
        .description =
            "Prints one line with performance data for Nagios, Icinga and the like. Exit status:\n"
            "0 ok (pending and info count as ok), 1 a warning fires, 2 a critical alert fires,\n"
            "3 unknown: no data, no such rule, no agent.",
        .examples = "loris check slow-queries\n"
                    "loris check 'loris-*'\n",
        .options = no_options,
        .run = command_check,
    },
    {
        .name = "reload",
        .arguments = "",
        .summary = "let the agent read its configuration again",
        .description = "What did not change keeps its figures. A wrong configuration changes\n"
                       "nothing, and the exit status is 1. Needs root; `systemctl reload loris`\n"
                       "does the same.",
        .examples = "loris reload\n",
        .options = no_options,
        .run = command_reload,
    },
    {
        .name = "check-config",
        .arguments = "FILE",
        .arguments_min = 1,
        .arguments_max = 1,
        .summary = "check a configuration file",
        .description = "Says what is wrong, with line and column; changes nothing.",
        .examples = "loris check-config /etc/loris/loris.yaml\n",
        .options = no_options,
        .run = command_check_config,
    },
    {
        .name = "completion",
        .arguments = "bash|zsh|fish",
        .arguments_min = 1,
        .arguments_max = 1,
        .summary = "print a completion script for a shell",
        .description = "Prints a script that makes the shell complete commands and options.",
        .examples = "source <(loris completion bash)\n"
                    "loris completion fish > ~/.config/fish/completions/loris.fish\n",
        .options = no_options,
        .run = command_completion,
    },
    {
        .name = "help",
        .arguments = "[COMMAND]",
        .arguments_max = 1,
        .summary = "explain a command",
        .description = "The same as loris COMMAND --help.",
        .examples = "loris help watch\n",
        .options = help_options,
        .run = command_show_help,
    },
    {
        .name = "version",
        .arguments = "",
        .summary = "print the version",
        .description = "Prints the version of this program.",
        .examples = "loris version\n",
        .options = no_options,
        .run = command_version,
    },
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = command_table; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static void option_help(const struct command_option *option, struct text *out)
{
    size_t from = out->length;
    text_append_string(out, "  ");
    if (option->letter)
        text_append_format(out, "-%c, ", option->letter);
    else
        text_append_string(out, "    ");
    text_append_format(out, "--%s", option->name);
    if (option->argument)
        text_append_format(out, " %s", option->argument);
    size_t used = out->length - from;
    text_append_format(out, "%*s%s\n", used < OPTION_COLUMN ? (int)(OPTION_COLUMN - used) : 1, "",
                       option->help);
    if (option->choices)
        text_append_format(out, "%*sone of: %s\n", OPTION_COLUMN, "", option->choices);
}

static void options_help(const struct command_option *options, struct text *out)
{
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++)
        option_help(option, out);
}

static void examples_help(const char *examples, struct text *out)
{
    text_append_string(out, "\nExamples:\n");
    while (*examples) {
        size_t length = strcspn(examples, "\n");
        text_append_format(out, "  %.*s\n", (int)length, examples);
        examples += length + (examples[length] == '\n');
    }
}

void command_help(const struct command *command, struct text *out)
{
    text_append_format(out, "Usage: loris %s", command->name);
    if (command->arguments[0])
        text_append_format(out, " %s", command->arguments);
    if (command->options[0].id != OPTION_NONE)
        text_append_string(out, " [OPTION]...");
    if (command->takes_child)
        text_append_string(out, " [-- COMMAND ARG...]");
    text_append_format(out, "\n\n%s\n\nOptions:\n", command->description);
    options_help(command->options, out);
    options_help(command_global_options, out);
    examples_help(command->examples, out);
}

void command_overview(struct text *out)
{
    text_append_string(out, "Usage: loris COMMAND [ARGUMENT]... [OPTION]...\n\n"
                            "How long functions take on this host, without touching the programs."
                            "\n\nCommands:\n");
    for (const struct command *command = command_table; command->name; command++)
        text_append_format(out, "  %-14s%s\n", command->name, command->summary);
    text_append_string(out, "\nOptions of every command:\n");
    options_help(command_global_options, out);
    text_append_string(out, "\nExit status: 0 fine, 1 failed, 2 usage, 3 agent unreachable, "
                            "4 not permitted.\n");
    examples_help("loris watch syscall:openat\nloris stats --by unit\nloris help watch\n", out);
}
