/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define GAP        2
#define NAME_FLOOR 20 /* names are not cut below it while another column can go */
#define NAME_LEAST 5
#define CUT        ".."

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* owned, row by row */
    size_t cell_count;
    size_t capacity;
    int failed;
};

/* What is printed of each column. */
struct layout {
    size_t widths[TABLE_COLUMNS_MAX];
    bool is_shown[TABLE_COLUMNS_MAX];
};

int table_new(const struct table_column *columns, size_t column_count, struct table **ret_table)
{
    assert(column_count > 0 && column_count <= TABLE_COLUMNS_MAX);
    struct table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    table->columns = columns;
    table->column_count = column_count;
    *ret_table = table;
    return 0;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void table_cell(struct table *table, const char *content)
{
    if (table->failed)
        return;
    if (table->cell_count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 8 * table->column_count;
        char **grown = reallocarray(table->cells, capacity, sizeof(*grown));
        if (!grown) {
            table->failed = -ENOMEM;
            return;
        }
        table->cells = grown;
        table->capacity = capacity;
    }
    size_t length = strlen(content);
    char *cell = malloc(length + 1);
    if (!cell) {
        table->failed = -ENOMEM;
        return;
    }
    text_sanitize(content, length, cell);
    table->cells[table->cell_count++] = cell;
}

size_t table_rows(const struct table *table)
{
    return table->cell_count / table->column_count;
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Characters; wide ones count as one, which costs alignment and nothing else. */
static size_t display_width(const char *string)
{
    size_t width = 0;
    for (; *string; string++)
        width += !is_continuation(*string);
    return width;
}

static const char *skip_characters(const char *string, size_t count)
{
    while (*string && count > 0) {
        string++;
        while (is_continuation(*string))
            string++;
        count--;
    }
    return string;
}

static size_t layout_width(const struct table *table, const struct layout *layout, size_t name_cap)
{
    size_t width = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout->is_shown[i])
            continue;
        size_t own = layout->widths[i];
        if (table->columns[i].is_name && own > name_cap)
            own = name_cap;
        width += own + (width > 0 ? GAP : 0);
    }
    return width;
}

static bool drop_one_column(const struct table *table, struct layout *layout)
{
    size_t chosen = table->column_count;
    unsigned highest = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout->is_shown[i] || table->columns[i].giving <= highest)
            continue;
        highest = table->columns[i].giving;
        chosen = i;
    }
    if (chosen == table->column_count)
        return false;
    layout->is_shown[chosen] = false;
    return true;
}

/* Takes one character at a time from the widest name until the line fits. */
static void shrink_names(const struct table *table, struct layout *layout, size_t width)
{
    size_t line = layout_width(table, layout, SIZE_MAX);
    while (line > width) {
        size_t widest = table->column_count;
        for (size_t i = 0; i < table->column_count; i++)
            if (table->columns[i].is_name && layout->is_shown[i] &&
                (widest == table->column_count || layout->widths[i] > layout->widths[widest]))
                widest = i;
        if (widest == table->column_count || layout->widths[widest] <= NAME_LEAST)
            return;
        layout->widths[widest]--;
        line--;
    }
}

static struct layout lay_out(const struct table *table, unsigned width, size_t rows)
{
    struct layout layout = {0};
    for (size_t i = 0; i < table->column_count; i++) {
        layout.is_shown[i] = true;
        layout.widths[i] = display_width(table->columns[i].title);
    }
    for (size_t i = 0; i < rows * table->column_count; i++) {
        size_t own = display_width(table->cells[i]);
        size_t *widest = &layout.widths[i % table->column_count];
        *widest = own > *widest ? own : *widest;
    }
    if (width == 0)
        return layout;
    while (layout_width(table, &layout, NAME_FLOOR) > width && drop_one_column(table, &layout))
        ;
    shrink_names(table, &layout, width);
    return layout;
}

static void print_spaces(size_t count, struct text *out)
{
    while (count-- > 0)
        text_append(out, " ", 1);
}

/* The ends of a name tell more than its middle. */
static void print_cut(const char *content, size_t has, size_t width, struct text *out)
{
    size_t kept = width > sizeof(CUT) - 1 ? width - (sizeof(CUT) - 1) : 0;
    size_t head = (kept + 1) / 2;
    text_append(out, content, (size_t)(skip_characters(content, head) - content));
    text_append_string(out, CUT);
    text_append_string(out, skip_characters(content, has - (kept - head)));
}

static void print_line(const struct table *table, const struct layout *layout, char *const *cells,
                       struct text *out)
{
    size_t gap = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout->is_shown[i])
            continue;
        const char *content = cells ? cells[i] : table->columns[i].title;
        size_t has = display_width(content), width = layout->widths[i];
        size_t padding = has < width ? width - has : 0;
        if (table->columns[i].is_right) {
            gap += padding;
            padding = 0;
        }
        print_spaces(gap, out);
        if (has > width)
            print_cut(content, has, width, out);
        else
            text_append_string(out, content);
        gap = padding + GAP; /* printed before the next cell: no line ends in blanks */
    }
}

void table_print(const struct table *table, unsigned width, size_t rows_max, bool emphasise,
                 struct text *out)
{
    if (table->failed && !out->failed)
        out->failed = table->failed;
    size_t rows = table_rows(table);
    if (rows_max > 0 && rows > rows_max)
        rows = rows_max;
    struct layout layout = lay_out(table, width, rows);
    text_append_string(out, emphasise ? "\033[1m" : "");
    print_line(table, &layout, NULL, out);
    text_append_string(out, emphasise ? "\033[0m\n" : "\n");
    for (size_t i = 0; i < rows; i++) {
        print_line(table, &layout, table->cells + i * table->column_count, out);
        text_append(out, "\n", 1);
    }
}
