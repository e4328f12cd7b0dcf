/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a function can be left: its return instructions, for probes that spare the return
 * address. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "probe/object_file.h"

#define FUNCTION_EXITS_MAX 256

struct function_exits {
    uint64_t file_offsets[FUNCTION_EXITS_MAX]; /* ascending */
    size_t count;
    uint32_t jumps_out; /* to code that may leave for it */
    /* Instructions that start in the first entry_bytes bytes run once a call, before any jump and
     * call: no jump of the function leads back among them. */
    uint32_t entry_bytes;
};

/*
 * Decodes the whole function (and the .cold part it jumps to) with capstone. Complete or refused:
 * -EOPNOTSUPP with the reason when an exit cannot be known: a jump out of the function (tail
 * call), an indirect jump that is not a jump table (notrack, or bounded by the function's own
 * table pattern), bytes that do not decode, a size of zero, more than FUNCTION_EXITS_MAX exits.
 * A function without any return instruction (noreturn) is fine: count 0.
 */
int function_exits_find(const struct object_file *object, const struct object_function *function,
                        struct function_exits *ret_exits, struct diag *reterr_diag) _must_check_;
/* The same, but that jumps out of the function are counted: for those whose caller knows where they
 * lead. */
int function_exits_find_own(const struct object_file *object,
                            const struct object_function *function,
                            struct function_exits *ret_exits,
                            struct diag *reterr_diag) _must_check_;
