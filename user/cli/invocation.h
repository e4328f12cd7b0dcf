/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One command line, taken apart by the command table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/command_table.h"

#define INVOCATION_OPTIONS_MAX 4096

struct given_option {
    enum option_id id;
    const char *value; /* NULL for a flag */
};

/* Strings point into argv. */
struct invocation {
    const struct command *command;
    const char *socket_path;
    bool socket_given;
    bool json;
    bool help;
    struct given_option *given; /* owned */
    size_t given_count;
    char **arguments;
    size_t argument_count;
    char **child_arguments; /* what follows `--`, NULL-terminated; NULL: none */
};

/* 0, or the exit code of a usage error, which has been reported. argv is permuted. */
int invocation_parse(int argc, char **argv, struct invocation *ret_invocation);
void invocation_done(struct invocation *invocation);

bool invocation_has(const struct invocation *invocation, enum option_id id);
/* The last one given, NULL when none was. */
const char *invocation_value(const struct invocation *invocation, enum option_id id);
