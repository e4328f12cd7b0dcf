/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `loris top` looks like: from model and size to cells, nothing else. */
#pragma once

#include "cli/top_grid.h"
#include "cli/top_model.h"

#define TOP_WIDTH_MIN  30
#define TOP_HEIGHT_MIN 6

/* Fills a blank grid. Scrolls the model so that what matters is on it. */
void top_screen_draw(struct top_model *model, struct top_grid *grid);
/* Rows that a table of this height has room for. */
unsigned top_screen_rows(unsigned height);

/* Pages that take the place of the table, on lines `from` to before `end`. */
void top_page_help(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end);
void top_page_details(struct top_model *model, struct top_grid *grid, unsigned from, unsigned end);

/* The last `width` samples of a history, each as one character; `highest` is the full height. */
void top_trend_put(struct top_grid *grid, unsigned line, unsigned column, unsigned width,
                   enum top_style style, const struct top_row *row);
