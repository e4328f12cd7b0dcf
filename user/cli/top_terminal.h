/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal below `loris top`: the only place that knows curses. Given back on every way out. */
#pragma once

#include "base/diag.h"
#include "cli/top_grid.h"

/* Takes the screen. Interrupts must be installed. -ENOTTY, -ENOTSUP (what the terminal lacks). */
int top_terminal_open(struct diag *reterr_diag) _must_check_;
void top_terminal_close(void); /* may be called twice */

bool top_terminal_is_utf8(void);
/* To poll for keys. */
int top_terminal_fd(void);
/* The next key that was pressed, as enum top_key has it; TOP_KEY_NONE: no more. */
unsigned top_terminal_key(void);
/* As it is now. */
void top_terminal_size(unsigned *ret_width, unsigned *ret_height);
void top_terminal_show(const struct top_grid *grid);
/* The next grid is drawn from scratch: something else wrote to the screen. */
void top_terminal_repaint(void);
/* Gives the terminal back, stops us (SIGTSTP), takes it again. */
void top_terminal_suspend(void);
