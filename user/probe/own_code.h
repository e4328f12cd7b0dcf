/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places in this program's own file, for trial probes. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

#define OWN_CODE_PATH "/proc/self/exe"

/* The file offset of an address of this program. -ENOENT. */
int own_code_offset(uintptr_t address, uint64_t *ret_offset) _must_check_;
