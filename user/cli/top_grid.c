/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_grid.h"

#include <errno.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"

/* A character as it may be shown. */
struct glyph {
    char bytes[5];
    unsigned width;    /* 1 or 2 */
    size_t used_bytes; /* of the string it came from */
};

int top_grid_new(unsigned width, unsigned height, bool is_utf8, struct top_grid **ret_grid)
{
    _cleanup_(top_grid_free_cleanup) struct top_grid *grid = calloc(1, sizeof(*grid));
    if (!grid)
        return -ENOMEM;
    grid->width = width;
    grid->height = height;
    grid->is_utf8 = is_utf8;
    size_t count = (size_t)width * height;
    grid->cells = calloc(count + 1, sizeof(*grid->cells));
    if (!grid->cells)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        grid->cells[i].bytes[0] = ' ';
    *ret_grid = take_ptr(grid);
    return 0;
}

void top_grid_free(struct top_grid *grid)
{
    if (!grid)
        return;
    free(grid->cells);
    free(grid);
}

struct top_cell *top_grid_cell(const struct top_grid *grid, unsigned line, unsigned column)
{
    return &grid->cells[(size_t)line * grid->width + column];
}

bool top_grid_equal(const struct top_grid *left, const struct top_grid *right)
{
    return left->width == right->width && left->height == right->height &&
           memcmp(left->cells, right->cells,
                  (size_t)left->width * left->height * sizeof(*left->cells)) == 0;
}

/* At most three bytes follow the first one. */
static wchar_t decode(const char *bytes, size_t count)
{
    unsigned code = (unsigned char)bytes[0];
    if (count > 1)
        code &= 0x7fu >> count;
    for (size_t i = 1; i < count; i++)
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    return (wchar_t)code;
}

/* What has no width of its own, such as marks that pile up on a letter, is a '?' as well: terminals
 * disagree about it, and a line would no longer be as long as we think. */
static struct glyph next_glyph(const struct top_grid *grid, const char *string)
{
    struct glyph glyph = {.bytes = {string[0]}, .width = 1, .used_bytes = 1};
    if (string[0] >= ' ' && string[0] <= '~')
        return glyph; /* nearly always */
    size_t bytes = text_utf8_bytes(string, strnlen(string, 4));
    if (bytes)
        glyph.used_bytes = bytes;
    text_sanitize(string, glyph.used_bytes, glyph.bytes);
    int width = bytes > 1 && grid->is_utf8 ? wcwidth(decode(string, bytes)) : 1;
    bool is_shown = bytes == 1 || (bytes > 1 && grid->is_utf8 && width > 0);
    if (!is_shown || glyph.bytes[0] == '?') {
        memset(glyph.bytes, 0, sizeof(glyph.bytes));
        glyph.bytes[0] = '?';
        return glyph;
    }
    glyph.width = width > 1 ? 2 : 1;
    return glyph;
}

size_t top_grid_measure(const struct top_grid *grid, const char *string)
{
    size_t width = 0;
    while (*string) {
        struct glyph glyph = next_glyph(grid, string);
        width += glyph.width;
        string += glyph.used_bytes;
    }
    return width;
}

size_t top_grid_fit(const struct top_grid *grid, const char *string, size_t width)
{
    size_t bytes = 0;
    while (string[bytes]) {
        struct glyph glyph = next_glyph(grid, string + bytes);
        if (glyph.width > width)
            break;
        width -= glyph.width;
        bytes += glyph.used_bytes;
    }
    return bytes;
}

/* No half of a wide character stays behind. */
static void clear_halves(struct top_grid *grid, unsigned line, unsigned column, unsigned end)
{
    if (column > 0 && !top_grid_cell(grid, line, column)->bytes[0])
        strcpy(top_grid_cell(grid, line, column - 1)->bytes, " ");
    if (end < grid->width && !top_grid_cell(grid, line, end)->bytes[0])
        strcpy(top_grid_cell(grid, line, end)->bytes, " ");
}

static void put_glyph(struct top_grid *grid, unsigned line, unsigned column, enum top_style style,
                      const struct glyph *glyph)
{
    struct top_cell *cell = top_grid_cell(grid, line, column);
    clear_halves(grid, line, column, column + glyph->width);
    memcpy(cell->bytes, glyph->bytes, sizeof(cell->bytes));
    cell->style = (unsigned char)style;
    if (glyph->width == 2) {
        memset(cell[1].bytes, 0, sizeof(cell[1].bytes));
        cell[1].style = (unsigned char)style;
    }
}

/* Up to the column `end`. */
static unsigned put_until(struct top_grid *grid, unsigned line, unsigned column, unsigned end,
                          enum top_style style, const char *string)
{
    if (line >= grid->height)
        return column;
    if (end > grid->width)
        end = grid->width;
    while (*string) {
        struct glyph glyph = next_glyph(grid, string);
        if (column + glyph.width > end)
            break;
        put_glyph(grid, line, column, style, &glyph);
        column += glyph.width;
        string += glyph.used_bytes;
    }
    return column;
}

unsigned top_grid_put(struct top_grid *grid, unsigned line, unsigned column, enum top_style style,
                      const char *string)
{
    return put_until(grid, line, column, grid->width, style, string);
}

void top_grid_put_right(struct top_grid *grid, unsigned line, unsigned end, enum top_style style,
                        const char *string)
{
    size_t width = top_grid_measure(grid, string);
    if (width <= end)
        top_grid_put(grid, line, end - (unsigned)width, style, string);
}

/* The rest of a string that takes at most so many columns. */
static const char *tail(const struct top_grid *grid, const char *string, size_t has, size_t width)
{
    while (has > width) {
        struct glyph glyph = next_glyph(grid, string);
        has -= glyph.width;
        string += glyph.used_bytes;
    }
    return string;
}

unsigned top_grid_put_cut(struct top_grid *grid, unsigned line, unsigned column, unsigned width,
                          enum top_style style, const char *string)
{
    size_t has = top_grid_measure(grid, string);
    const char *cut = grid->is_utf8 ? "\u2026" : "..";
    unsigned cut_width = grid->is_utf8 ? 1 : 2;
    if (has <= width || width <= cut_width)
        return put_until(grid, line, column, column + width, style, string);
    unsigned kept = width - cut_width, head = (kept + 1) / 2;
    unsigned at = put_until(grid, line, column, column + head, style, string);
    at = put_until(grid, line, at, column + width, style, cut);
    return put_until(grid, line, at, column + width, style, tail(grid, string, has, kept - head));
}

void top_grid_paint(struct top_grid *grid, unsigned line, enum top_style style)
{
    for (unsigned column = 0; line < grid->height && column < grid->width; column++)
        top_grid_cell(grid, line, column)->style = (unsigned char)style;
}
