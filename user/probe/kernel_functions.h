/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel functions exist here and can be attached. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* Functions of the running kernel that ftrace/kprobes accept. Sources, best first:
 * available_filter_functions (tracefs or debugfs), else the text symbols of /proc/kallsyms that
 * also have BTF, modules included. Deny-listed and notrace ones are left out. Sorted, deduplicated;
 * one to four MiB on a distribution's kernel. */
struct kernel_functions;

/* -EPERM / -ENOENT with a diag when this kernel shows no functions at all. */
int kernel_functions_open(struct kernel_functions **ret_functions,
                          struct diag *reterr_diag) _must_check_;
void kernel_functions_free(struct kernel_functions *functions);
DEFINE_CLEANUP(struct kernel_functions *, kernel_functions_free);

/* Where the functions are read from; for tests, and for the images of other kernels. */
struct kernel_function_sources {
    const char *filter_functions[3]; /* tried in order; NULL ends */
    const char *kallsyms;
    const char *btf; /* raw BTF or an ELF file; NULL: the running kernel's, with its modules */
};
int kernel_functions_open_from(const struct kernel_function_sources *sources,
                               struct kernel_functions **ret_functions,
                               struct diag *reterr_diag) _must_check_;

typedef void (*name_fn)(const char *name, void *context);
/* Returns the number of matches. A name and its clones (.constprop.N, .isra.N) match together;
 * the callback (may be NULL) gets the symbol as the kernel has it. */
size_t kernel_functions_match(const struct kernel_functions *functions, const char *pattern,
                              name_fn on_name, void *context);
/* The same over those that exist and are left out for being on the deny list. */
size_t kernel_functions_match_denied(const struct kernel_functions *functions, const char *pattern,
                                     name_fn on_name, void *context);
/* Sets the hint: the nearest names, or why this one is denied. */
void kernel_functions_suggest(const struct kernel_functions *functions, const char *name,
                              struct diag *diag);

/* Why a function must not be probed (recursion of tracing itself, NMI, entry code), or NULL.
 * Clones are what the function is. A static string. */
const char *kernel_function_denied(const char *name);
