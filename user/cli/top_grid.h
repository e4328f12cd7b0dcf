/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A screen as cells: everything that `loris top` shows goes through it, is clipped to it, and
 * loses what a terminal would act on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ownership.h"

enum top_style {
    TOP_PLAIN,
    TOP_STRONG,
    TOP_FAINT,
    TOP_HEAD, /* titles of columns */
    TOP_SELECTED,
    TOP_GOOD,
    TOP_WARNING,
    TOP_BAD,
    TOP_STYLES,
};

struct top_cell {
    char bytes[5]; /* one character; empty: the right half of a wide one */
    unsigned char style;
};

struct top_grid {
    unsigned width, height;
    bool is_utf8; /* what the terminal understands; LC_CTYPE must agree */
    struct top_cell *cells;
};

/* Blank. */
int top_grid_new(unsigned width, unsigned height, bool is_utf8,
                 struct top_grid **ret_grid) _must_check_;
void top_grid_free(struct top_grid *grid);
DEFINE_CLEANUP(struct top_grid *, top_grid_free);

struct top_cell *top_grid_cell(const struct top_grid *grid, unsigned line, unsigned column);
bool top_grid_equal(const struct top_grid *left, const struct top_grid *right);

/* Columns that a string takes. */
size_t top_grid_measure(const struct top_grid *grid, const char *string);
/* Bytes of it that fit into so many columns. */
size_t top_grid_fit(const struct top_grid *grid, const char *string, size_t width);
/* Puts a string, as far as the line goes; returns the column after it. */
unsigned top_grid_put(struct top_grid *grid, unsigned line, unsigned column, enum top_style style,
                      const char *string);
/* Ends at the column before `end`. */
void top_grid_put_right(struct top_grid *grid, unsigned line, unsigned end, enum top_style style,
                        const char *string);
/* Takes at most `width` columns: what is too long is cut in the middle, for the ends of a name tell
 * more. */
unsigned top_grid_put_cut(struct top_grid *grid, unsigned line, unsigned column, unsigned width,
                          enum top_style style, const char *string);
/* The style of a whole line. */
void top_grid_paint(struct top_grid *grid, unsigned line, enum top_style style);
