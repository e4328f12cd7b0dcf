/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where data goes: stdout or a file, its width and colours; a reader that left ends us quietly. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

struct output {
    int fd;
    bool is_owned;
    bool is_terminal;
    bool has_colour; /* a terminal, and the user did not object (NO_COLOR) */
    bool is_closed;  /* the reader left: nothing more to do, and nothing to complain about */
};

/* path NULL: stdout. 0 or -errno. */
int output_open(const char *path, struct output *ret_output) _must_check_;
void output_done(struct output *output);
/* Columns to fit in; 0: no limit. */
unsigned output_width(const struct output *output);
unsigned output_height(const struct output *output);
/* Writes everything and clears the text. -EPIPE: the reader left; -ENOMEM: the text had failed. */
int output_write(struct output *output, struct text *text) _must_check_;
/* The same to stdout, with a message; returns an exit code. */
int output_once(struct text *text);
/* The exit code after output_write; says what went wrong. */
int output_exit_code(int negative_errno);
