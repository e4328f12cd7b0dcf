/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/syscall_names.h"

#include <string.h>

#include "base/glob.h"
#include "probe/nearest_names.h"

struct syscall_name {
    const char *name;
    int number;
};

static const struct syscall_name syscalls[] = {
#include "syscall_table.inc"
};

#define SYSCALL_COUNT (sizeof(syscalls) / sizeof(syscalls[0]))

size_t syscall_names_match(const char *pattern, syscall_name_fn on_syscall, void *context)
{
    size_t matches = 0;
    for (size_t i = 0; i < SYSCALL_COUNT; i++) {
        if (!glob_matches(pattern, syscalls[i].name))
            continue;
        matches++;
        if (on_syscall)
            on_syscall(syscalls[i].name, syscalls[i].number, context);
    }
    return matches;
}

int syscall_names_find(const char *name)
{
    for (size_t i = 0; i < SYSCALL_COUNT; i++)
        if (!strcmp(syscalls[i].name, name))
            return syscalls[i].number;
    return -1;
}

void syscall_names_suggest(const char *name, struct diag *diag)
{
    struct nearest_names nearest;
    nearest_names_init(&nearest, name);
    for (size_t i = 0; i < SYSCALL_COUNT; i++)
        nearest_names_offer(&nearest, syscalls[i].name);
    nearest_names_hint(&nearest, diag);
}
