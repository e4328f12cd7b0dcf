/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned columns, sized to their content and to the terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define TABLE_COLUMNS_MAX 16

struct table_column {
    const char *title;
    bool is_right;   /* numbers */
    bool is_name;    /* may be cut in the middle */
    unsigned giving; /* where it is too narrow the highest goes first; 0: stays */
};

struct table;

/* columns: borrowed. */
int table_new(const struct table_column *columns, size_t column_count,
              struct table **ret_table) _must_check_;
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free);

/* Fills row after row, left to right. Control characters are replaced. Failures stay inside and
 * come out of table_print. */
void table_cell(struct table *table, const char *content);
size_t table_rows(const struct table *table); /* complete ones */
/* width 0: no limit. rows_max 0: all. A title line comes first, emphasised when asked for. */
void table_print(const struct table *table, unsigned width, size_t rows_max, bool emphasise,
                 struct text *out);
