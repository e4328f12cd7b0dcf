/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a key does to the model. */
#pragma once

#include "cli/top_model.h"

/* A key is a Unicode character or one of these. */
enum top_key {
    TOP_KEY_NONE = 0,
    TOP_KEY_BACKSPACE = '\b',
    TOP_KEY_ENTER = '\n',
    TOP_KEY_ESCAPE = 27,
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
};

/* What is left to do, a sum of these. */
enum top_effect {
    TOP_DRAW = 0,
    TOP_QUIT = 1,
    TOP_ASK = 2, /* the question has changed */
    TOP_REPAINT = 4,
    TOP_NO_MEMORY = 8,
};

/* lines: rows on the screen, which a page is long. */
unsigned top_keys_press(struct top_model *model, unsigned key, size_t lines);
