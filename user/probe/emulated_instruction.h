/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knows the instructions that the kernel emulates when they are probed, instead of running the
 * original in a slot of its own under single-step. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMULATED_TEXT_BYTES 24

struct emulated_instruction {
    uint8_t length;
    bool is_nop5; /* the five-byte nop, which newer kernels turn into a call */
};

/*
 * Recognised by their bytes: push REG; nop; jmp, Jcc and call with a distance. What the kernel also
 * emulates but is not accepted here: the forms with prefixes (arch/x86/kernel/uprobes.c refuses to
 * probe a branch with 66, 2e or 3e, and takes 49 90, an exchange with r8, for a nop) and, unless
 * has_long_nops, the nops of three to eight bytes, which are single-stepped before 6.18.
 */
bool emulated_instruction_match(const uint8_t *bytes, size_t left, bool has_long_nops,
                                struct emulated_instruction *ret_instruction);
/* Such an instruction in words; branches lead to +N from the start of the function, which lies
 * `offset` bytes before the instruction. */
void emulated_instruction_format(const uint8_t *bytes, uint32_t offset,
                                 char ret_text[EMULATED_TEXT_BYTES]);
