/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places in this program's own file, for trial probes. */
#pragma once

#include <linux/limits.h>
#include <stdint.h>

#include "base/ownership.h"

struct own_code {
    char path[PATH_MAX];
    uint64_t offset; /* in the file */
};

/*
 * The place of an address of this program. To the kernel, /proc/self/exe is not always its file:
 * under valgrind, and where the dynamic linker was started with the program as its argument, it is
 * another program, which a probe between two of its instructions would destroy. -ENOENT: the file
 * is not there any more.
 */
int own_code_find(uintptr_t address, struct own_code *ret_place) _must_check_;
