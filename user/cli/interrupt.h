/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SIGINT, SIGTERM, SIGHUP ask for an orderly end; the second one leaves at once. */
#pragma once

#include <stdbool.h>

#include "base/ownership.h"

/* SIGWINCH wakes up as well. 0 or -errno. */
int interrupt_install(void) _must_check_;
/* In a child before exec: signals as we found them. Async-signal-safe. */
void interrupt_restore(void);
/* Becomes readable with each signal. */
int interrupt_fd(void);
void interrupt_drain(void);
/* Non-zero after the first; for query_client_call's cancel. */
const volatile int *interrupt_flag(void);
/* The last signal that asked for an end; 0: none. */
int interrupt_signal(void);
/* Whether it was sent to us by kill(2); a terminal sends its own to all of our process group. */
bool interrupt_is_directed(void);
/* SIGINT was ignored when we came, as shells do in the background: our children ignore it too. */
bool interrupt_is_ignored_by_children(void);
/* Another signal that wakes and asks for no end, unless it is ignored. 0 or -errno. */
int interrupt_also(int number) _must_check_;
/* Takes that back. */
void interrupt_no_more(int number);
/* Whether the signal came since this was asked last. */
bool interrupt_take(int number);
/* Lets a signal that was taken do what it does by default. */
void interrupt_obey(int number);
/* Runs in the signal handler just before it leaves; NULL: nothing. */
void interrupt_before_leaving(void (*restore)(void));
