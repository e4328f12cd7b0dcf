/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_keys.h"

#include <string.h>

#define NS_PER_MS (uint64_t)1000000
#define NS_PER_S  (uint64_t)1000000000
#define CTRL(key) ((key)&0x1f)

static const uint64_t intervals_ns[] = {200 * NS_PER_MS, 500 * NS_PER_MS, NS_PER_S,
                                        2 * NS_PER_S,    5 * NS_PER_S,    10 * NS_PER_S,
                                        30 * NS_PER_S,   60 * NS_PER_S};
#define INTERVALS (sizeof(intervals_ns) / sizeof(intervals_ns[0]))

static const uint64_t windows_ns[] = {10 * NS_PER_S, 60 * NS_PER_S, 0};
#define WINDOWS (sizeof(windows_ns) / sizeof(windows_ns[0]))

/* --- filter ---------------------------------------------------------------------------------- */

static size_t utf8_encode(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(0xf00 >> bytes | code);
    return bytes;
}

static void type(struct top_level *level, unsigned key)
{
    char bytes[4];
    size_t length = strlen(level->filter);
    if (key == TOP_KEY_BACKSPACE) {
        while (length > 0 && ((unsigned char)level->filter[--length] & 0xc0) == 0x80)
            ;
        level->filter[length] = '\0';
    } else if (key == CTRL('u')) {
        level->filter[0] = '\0';
    } else if (key >= ' ' && key < TOP_KEY_UP) {
        size_t more = utf8_encode(key, bytes);
        if (length + more >= sizeof(level->filter))
            return;
        memcpy(level->filter + length, bytes, more);
        level->filter[length + more] = '\0';
    }
}

static unsigned press_while_typing(struct top_model *model, unsigned key)
{
    struct top_level *level = top_model_level(model);
    if (key == TOP_KEY_ESCAPE)
        level->filter[0] = '\0';
    model->is_typing = key != TOP_KEY_ESCAPE && key != TOP_KEY_ENTER;
    if (model->is_typing)
        type(level, key);
    top_model_order(model);
    return TOP_DRAW;
}

/* --- the rest -------------------------------------------------------------------------------- */

static void change_sort(struct top_model *model, unsigned sort)
{
    model->is_reversed &= model->sort == (enum top_sort)sort;
    model->sort = (enum top_sort)sort;
    top_model_order(model);
}

static void change_interval(struct top_model *model, bool more_often)
{
    size_t at = 0;
    if (more_often) {
        for (at = INTERVALS - 1; at > 0 && intervals_ns[at] >= model->interval_ns; at--)
            ;
        if (intervals_ns[at] < model->interval_ns)
            model->interval_ns = intervals_ns[at];
        return;
    }
    while (at < INTERVALS && intervals_ns[at] <= model->interval_ns)
        at++;
    if (at < INTERVALS)
        model->interval_ns = intervals_ns[at];
}

static void change_window(struct top_model *model)
{
    size_t at = 0;
    while (at + 1 < WINDOWS && windows_ns[at] != model->window_ns)
        at++;
    model->window_ns = windows_ns[(at + 1) % WINDOWS];
}

static unsigned open_details(struct top_model *model)
{
    struct top_level *level = top_model_level(model);
    if (!level->selected)
        return TOP_DRAW;
    level->is_chosen = true;
    model->page = TOP_PAGE_DETAILS;
    model->page_first = 0;
    return TOP_DRAW;
}

static unsigned go_in(struct top_model *model)
{
    int r = top_model_enter(model);
    if (r < 0)
        return TOP_NO_MEMORY;
    return r > 0 ? TOP_ASK : open_details(model);
}

static unsigned go_out(struct top_model *model, unsigned key)
{
    if (top_model_leave(model))
        return TOP_ASK;
    if (key == TOP_KEY_ESCAPE)
        top_model_level(model)->filter[0] = '\0';
    top_model_order(model);
    return TOP_DRAW;
}

static void close_page(struct top_model *model)
{
    model->page = TOP_PAGE_TABLE;
    top_model_order(model);
}

static unsigned press_on_page(struct top_model *model, unsigned key, size_t lines)
{
    size_t *first = &model->page_first;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        *first -= *first > 0;
        break;
    case TOP_KEY_DOWN:
    case 'j':
        ++*first;
        break;
    case TOP_KEY_PAGE_UP:
        *first -= *first < lines ? *first : lines;
        break;
    case TOP_KEY_PAGE_DOWN:
    case ' ':
        *first += lines;
        break;
    case TOP_KEY_ESCAPE:
    case TOP_KEY_BACKSPACE:
    case TOP_KEY_LEFT:
    case TOP_KEY_ENTER:
    case '?':
    case 'h':
    case 'd':
        close_page(model);
        break;
    default:
        break;
    }
    return TOP_DRAW;
}

static bool press_to_move(struct top_model *model, unsigned key, size_t lines)
{
    long page = (long)lines;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        top_model_move(model, -1);
        return true;
    case TOP_KEY_DOWN:
    case 'j':
        top_model_move(model, 1);
        return true;
    case TOP_KEY_PAGE_UP:
        top_model_move(model, -page);
        return true;
    case TOP_KEY_PAGE_DOWN:
        top_model_move(model, page);
        return true;
    case TOP_KEY_HOME:
    case 'g':
        top_model_move_top(model);
        return true;
    case TOP_KEY_END:
    case 'G':
        top_model_move(model, TOP_ROWS_MAX);
        return true;
    default:
        return false;
    }
}

static unsigned press_on_table(struct top_model *model, unsigned key)
{
    switch (key) {
    case TOP_KEY_ENTER:
    case TOP_KEY_RIGHT:
        return go_in(model);
    case TOP_KEY_ESCAPE:
    case TOP_KEY_BACKSPACE:
    case TOP_KEY_LEFT:
        return go_out(model, key);
    case 'd':
        return open_details(model);
    case '?':
    case 'h':
        model->page = TOP_PAGE_HELP;
        model->page_first = 0;
        return TOP_DRAW;
    case '/':
        model->is_typing = true;
        return TOP_DRAW;
    case 's':
        change_sort(model, (model->sort + 1) % TOP_SORTS);
        return TOP_DRAW;
    case 'S':
        change_sort(model, (model->sort + TOP_SORTS - 1) % TOP_SORTS);
        return TOP_DRAW;
    case 'b':
        top_model_group(model, (model->levels[0].by + 1) % TOP_GROUPS);
        return TOP_ASK;
    default:
        if (key >= '1' && key < '1' + TOP_SORTS)
            change_sort(model, key - '1');
        return TOP_DRAW;
    }
}

unsigned top_keys_press(struct top_model *model, unsigned key, size_t lines)
{
    if (model->is_typing)
        return press_while_typing(model, key);
    switch (key) {
    case 'q':
    case 'Q':
        return TOP_QUIT;
    case CTRL('l'):
        return TOP_REPAINT;
    case 'p':
        model->is_paused = !model->is_paused;
        return model->is_paused ? TOP_DRAW : TOP_ASK;
    case 'r':
        model->is_reversed = !model->is_reversed;
        top_model_order(model);
        return TOP_DRAW;
    case 'w':
        change_window(model);
        return TOP_ASK;
    case '+':
    case '=':
    case '-':
        change_interval(model, key != '-');
        return TOP_DRAW;
    default:
        break;
    }
    if (model->page != TOP_PAGE_TABLE)
        return press_on_page(model, key, lines);
    if (key == ' ')
        return top_keys_press(model, 'p', lines);
    return press_to_move(model, key, lines) ? TOP_DRAW : press_on_table(model, key);
}
