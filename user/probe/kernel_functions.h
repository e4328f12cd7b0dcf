/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel functions, syscalls and spans exist here and can be attached. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* Functions of the running kernel that ftrace/kprobes accept. Sources, best first:
 * available_filter_functions (tracefs or debugfs), else /proc/kallsyms text symbols that also
 * have BTF. Deny-listed and notrace ones are left out. Sorted, deduplicated. */
struct kernel_functions;

/* -EPERM / -ENOENT with a diag when this kernel shows no functions at all. */
int kernel_functions_open(struct kernel_functions **ret_functions, struct diag *reterr_diag)
    _must_check_;
void kernel_functions_free(struct kernel_functions *functions);
DEFINE_CLEANUP(struct kernel_functions *, kernel_functions_free);

typedef void (*name_fn)(const char *name, void *context);
/* Returns the number of matches. A name and its clones (.constprop.N, .isra.N) match together;
 * the callback gets the symbol as the kernel has it. */
size_t kernel_functions_match(const struct kernel_functions *functions, const char *pattern,
                              name_fn on_name, void *context);
bool kernel_functions_has(const struct kernel_functions *functions, const char *name);
void kernel_functions_suggest(const struct kernel_functions *functions, const char *name,
                              struct diag *diag);

/* Why a function must not be probed (recursion of tracing itself, NMI, entry code), or NULL. */
const char *kernel_function_denied(const char *name);

/* Syscalls of this architecture, from the headers loris was built with. */
size_t syscall_names_match(const char *pattern, void (*on_syscall)(const char *name, int number,
                                                                   void *context), void *context);
void syscall_names_suggest(const char *name, struct diag *diag);
