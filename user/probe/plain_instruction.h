/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells instructions that an entry probe may skip from those that change what it would see. */
#pragma once

#include "probe/code_decoder.h"

enum instruction_effect {
    EFFECT_PLAIN, /* may be skipped */
    EFFECT_MOVES_STACK,
    EFFECT_WRITES_ARGUMENT,
    EFFECT_USES_STACK, /* writes memory at an address made of rsp, or copies rsp */
    EFFECT_LEAVES,     /* jumps, calls, returns, traps */
    EFFECT_UNKNOWN,    /* not one of the moves and computations that are known to be harmless */
};

enum instruction_effect plain_instruction_effect(const struct code_decoder *decoder,
                                                 const cs_insn *instruction, bool keeps_arguments);
