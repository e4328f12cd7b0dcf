/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of kernel symbol names, and reading them from what the kernel shows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"

#define KERNEL_NAMES_MAX      1000000
#define KERNEL_NAME_BYTES_MAX 512 /* KSYM_NAME_LEN */

/* Zero-initialise. */
struct kernel_names {
    char *bytes; /* owned; names, each with its NUL */
    size_t length;
    size_t capacity;
    uint32_t *offsets; /* owned */
    size_t count;
    size_t offset_capacity;
};

void kernel_names_done(struct kernel_names *names);
int kernel_names_add(struct kernel_names *names, const char *name, size_t length) _must_check_;
/* Sorts and drops duplicates; before find. */
void kernel_names_sort(struct kernel_names *names);
const char *kernel_names_at(const struct kernel_names *names, size_t index);
bool kernel_names_find(const struct kernel_names *names, const char *name);

/* Each name goes to accepted or, when the deny list has it, to denied.
 * Lines "name" or "name [module]"; other errno values than -ENOMEM are of opening and reading. */
int kernel_names_read_filter_functions(const char *path, struct kernel_names *accepted,
                                       struct kernel_names *denied) _must_check_;
/* Text symbols that are also in btf (by their name without compiler suffix), sorted. */
int kernel_names_read_kallsyms(const char *path, const struct kernel_names *btf,
                               struct kernel_names *accepted,
                               struct kernel_names *denied) _must_check_;
/* Functions that BTF describes; path NULL: the running kernel and its modules. The BTF itself
 * (tens of MiB) is freed at once. */
int kernel_names_read_btf(const char *path, struct kernel_names *names) _must_check_;
