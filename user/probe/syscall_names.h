/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Syscalls of this architecture, from the headers loris was built with. */
#pragma once

#include <stddef.h>

#include "base/diag.h"

typedef void (*syscall_name_fn)(const char *name, int number, void *context);

/* Returns the number of matches; called in the order of the names. */
size_t syscall_names_match(const char *pattern, syscall_name_fn on_syscall, void *context);
int syscall_names_find(const char *name);                        /* the number, or -1 */
void syscall_names_suggest(const char *name, struct diag *diag); /* sets the hint, if any is near */
