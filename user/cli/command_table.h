/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of loris and their options: help, usage errors and completion derive from here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct invocation;
struct text;

enum option_id {
    OPTION_NONE,
    OPTION_HELP,
    OPTION_SOCKET,
    OPTION_JSON,
    OPTION_VERSION,
    OPTION_SCDOC,
    OPTION_PID,
    OPTION_COMM,
    OPTION_UNIT,
    OPTION_DURATION,
    OPTION_INTERVAL,
    OPTION_BY,
    OPTION_ERRORS,
    OPTION_ATTACH,
    OPTION_FORCE,
    OPTION_BUDGET,
    OPTION_SAMPLE,
    OPTION_LIMIT,
    OPTION_OUTPUT,
    OPTION_WINDOW,
    OPTION_SINCE_START,
    OPTION_PROBES,
    OPTION_MEMORY,
    OPTION_ONCE,
    OPTION_SORT,
    OPTION_FILTER,
    OPTION_PLACEMENT,
    OPTION_HISTORY,
    OPTION_WATCH,
    OPTION_RULES,
    OPTION_KERNEL,
    OPTION_COUNT,
};

/* A table of these ends with OPTION_NONE. */
struct command_option {
    enum option_id id;
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* its name in the help; NULL: a flag */
    const char *choices;  /* the only values, separated by blanks; NULL: any */
    const char *help;
};

struct command {
    const char *name;
    const char *arguments; /* as the help shows them */
    size_t arguments_min, arguments_max;
    bool takes_child; /* `-- COMMAND ARG...` */
    int usage_code;   /* instead of EXIT_CODE_USAGE, where others say what codes mean; 0: no */
    const char *summary;
    const char *description;
    const char *examples; /* lines */
    const struct command_option *options;
    int (*run)(const struct invocation *invocation); /* returns an exit code */
};

extern const struct command command_table[]; /* ends with a NULL name */
extern const struct command_option command_global_options[];

const struct command *command_find(const char *name);
void command_help(const struct command *command, struct text *out);
void command_overview(struct text *out);
