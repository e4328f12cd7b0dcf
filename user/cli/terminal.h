/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal while a live table is on it: alternate screen, single keys, restored on every exit.
 */
#pragma once

#include "cli/output.h"

/* output is a terminal. Interrupts must be installed before. */
void terminal_enter(const struct output *output);
void terminal_leave(void); /* may be called twice, and in a signal handler */
/* Descriptor to poll for keys; -1: there is no keyboard. */
int terminal_keys_fd(void);
int terminal_key(void); /* the next key that was pressed; 0: none */
