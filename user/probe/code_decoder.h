/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes x86 instructions with capstone, which is loaded when it is first needed. */
#pragma once

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ownership.h"

struct code_decoder;

/* -ENOMEM, or -ENOENT when the library is not installed. The library stays loaded. */
int code_decoder_new(struct code_decoder **ret_decoder) _must_check_;
void code_decoder_free(struct code_decoder *decoder);
DEFINE_CLEANUP(struct code_decoder *, code_decoder_free);

/* The next instruction, with detail, and moves on; NULL: the bytes do not decode. Valid until the
 * next call. */
const cs_insn *code_decoder_next(struct code_decoder *decoder, const uint8_t **bytes, size_t *left,
                                 uint64_t *address);
bool code_decoder_in_group(const struct code_decoder *decoder, const cs_insn *instruction,
                           unsigned group);
/* The registers it writes; false: not known. */
bool code_decoder_written(const struct code_decoder *decoder, const cs_insn *instruction,
                          cs_regs written, uint8_t *ret_count);
