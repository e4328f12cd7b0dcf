/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/emulated_instruction.h"

#include <stdio.h>
#include <string.h>

#define REX_B       0x41 /* the register is one of r8 .. r15 */
#define PUSH        0x50 /* to 0x57 */
#define JCC_SHORT   0x70 /* to 0x7f */
#define NOP         0x90
#define CALL        0xe8
#define JMP         0xe9
#define JMP_SHORT   0xeb
#define TWO_BYTE    0x0f
#define JCC_NEAR    0x80 /* to 0x8f, after TWO_BYTE */
#define OPERAND16   0x66
#define LONG_NOP_LO 3
#define LONG_NOP_HI 8

/* By their length; those of the kernel's x86_nops[], any other spelling is single-stepped. */
static const uint8_t long_nops[LONG_NOP_HI + 1][LONG_NOP_HI] = {
    [3] = {0x0f, 0x1f, 0x00},
    [4] = {0x0f, 0x1f, 0x40, 0x00},
    [5] = {0x0f, 0x1f, 0x44, 0x00, 0x00},
    [6] = {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
    [7] = {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
    [8] = {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
};

static uint8_t match_nop(const uint8_t *bytes, size_t left, bool has_long_nops)
{
    if (bytes[0] == NOP)
        return 1;
    if (left >= 2 && bytes[0] == OPERAND16 && bytes[1] == NOP)
        return 2;
    for (uint8_t length = LONG_NOP_LO; has_long_nops && length <= LONG_NOP_HI; length++)
        if (left >= length && !memcmp(bytes, long_nops[length], length))
            return length;
    return 0;
}

static uint8_t match_length(const uint8_t *bytes, size_t left)
{
    const uint8_t first = bytes[0];
    if ((first & 0xf8) == PUSH)
        return 1;
    if (first == REX_B && left >= 2 && (bytes[1] & 0xf8) == PUSH)
        return 2;
    if (((first & 0xf0) == JCC_SHORT || first == JMP_SHORT) && left >= 2)
        return 2;
    if ((first == JMP || first == CALL) && left >= 5)
        return 5;
    if (first == TWO_BYTE && left >= 6 && (bytes[1] & 0xf0) == JCC_NEAR)
        return 6;
    return 0;
}

bool emulated_instruction_match(const uint8_t *bytes, size_t left, bool has_long_nops,
                                struct emulated_instruction *ret_instruction)
{
    if (!left)
        return false;
    uint8_t length = match_length(bytes, left);
    const bool is_nop = !length;
    if (is_nop)
        length = match_nop(bytes, left, has_long_nops);
    if (!length)
        return false;
    *ret_instruction =
        (struct emulated_instruction){.length = length, .is_nop5 = is_nop && length == 5};
    return true;
}

static int32_t near_distance(const uint8_t *bytes)
{
    int32_t distance;
    memcpy(&distance, bytes, sizeof(distance));
    return distance;
}

static void format_branch(const char *mnemonic, int64_t target, char ret_text[EMULATED_TEXT_BYTES])
{
    snprintf(ret_text, EMULATED_TEXT_BYTES, "%s %c0x%llx", mnemonic, target < 0 ? '-' : '+',
             (unsigned long long)(target < 0 ? -target : target));
}

void emulated_instruction_format(const uint8_t *bytes, uint32_t offset,
                                 char ret_text[EMULATED_TEXT_BYTES])
{
    static const char *const low[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"};
    static const char *const jumps[] = {"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja",
                                        "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg"};
    const uint8_t first = bytes[0];
    if ((first & 0xf8) == PUSH)
        snprintf(ret_text, EMULATED_TEXT_BYTES, "push %s", low[first & 7]);
    else if (first == REX_B)
        snprintf(ret_text, EMULATED_TEXT_BYTES, "push r%u", 8 + (bytes[1] & 7u));
    else if ((first & 0xf0) == JCC_SHORT || first == JMP_SHORT)
        format_branch(first == JMP_SHORT ? "jmp" : jumps[first & 15],
                      (int64_t)offset + 2 + (int8_t)bytes[1], ret_text);
    else if (first == JMP || first == CALL)
        format_branch(first == JMP ? "jmp" : "call", (int64_t)offset + 5 + near_distance(bytes + 1),
                      ret_text);
    else if (first == TWO_BYTE && (bytes[1] & 0xf0) == JCC_NEAR)
        format_branch(jumps[bytes[1] & 15], (int64_t)offset + 6 + near_distance(bytes + 2),
                      ret_text);
    else
        snprintf(ret_text, EMULATED_TEXT_BYTES, "nop");
}
