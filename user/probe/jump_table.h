/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recognises the jump tables that gcc and clang make of a switch statement. */
#pragma once

#include "probe/function_code.h"

#define JUMP_TABLE_ENTRIES_MAX 4096

struct jump_table {
    uint64_t address;
    uint32_t entry_count;
    bool is_relative;  /* 4-byte distances from the table itself; else 8-byte addresses */
    uint64_t bound_at; /* the conditional jump that guards the table */
    uint64_t jump_at;  /* the indirect jump */
};

/*
 * Looks back from the last step of code, an indirect jump, for its table and the comparison that
 * bounds its index. Accepted are the forms
 *     cmp $N, I; ja default; ... lea T(%rip), B; movslq (B, I, 4), X; add B, X; jmp *X
 *     cmp $N, I; ja default; ... jmp *T(, I, 8)                  (programs at fixed addresses)
 * with copies of the index between, or a mask or an 8-bit index in place of the comparison.
 * False: not one of them. The table has not been read yet.
 */
bool jump_table_recognise(const struct function_code *code, struct jump_table *ret_table);
