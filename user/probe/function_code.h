/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoded code of one function: its regions, where instructions start, where its jumps lead. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/code_decoder.h"
#include "probe/object_file.h"

#define FUNCTION_REGIONS_MAX 8          /* the function and its .cold parts */
#define FUNCTION_BYTES_MAX   (1u << 20) /* larger ones are refused */
#define CODE_STEPS_MAX       512        /* how far back a jump table's base may have been loaded */

/* A general register whatever its width: 1 rax .. 16 r15, 17 rip; 0: none or another kind. */
typedef uint8_t register_family;
#define REGISTER_RIP 17

struct code_operand {
    uint8_t type; /* x86_op_type */
    uint8_t size_bytes;
    register_family reg, base, index;
    uint8_t scale;
    int64_t value; /* immediate, or displacement */
};

/* One instruction, as much of it as recognising jump tables takes. */
struct code_step {
    uint64_t address;
    uint64_t next;
    uint32_t id;     /* x86_insn */
    uint32_t writes; /* bits of register families */
    bool stores;     /* writes memory, or may: a call */
    bool is_jump;
    uint8_t operand_count;
    struct code_operand operands[2];
};

struct code_region {
    uint64_t address;
    uint64_t file_offset;
    uint32_t size_bytes;
    uint8_t *bytes;   /* owned */
    uint8_t *starts;  /* owned; bit per byte: an instruction starts here */
    uint8_t *targets; /* owned; bit per byte: a jump leads here */
};

struct function_code {
    const struct object_file *object;
    const struct object_function *function;
    struct code_region regions[FUNCTION_REGIONS_MAX];
    size_t region_count;
    struct code_step *steps; /* owned; ring of the last CODE_STEPS_MAX */
    uint64_t step_count;
};

/* -EOPNOTSUPP with a diag when the function's bytes are not there to decode, -ENOMEM. */
int function_code_init(struct function_code *code, const struct object_file *object,
                       const struct object_function *function,
                       struct diag *reterr_diag) _must_check_;
void function_code_done(struct function_code *code);

/* Notes that a jump leads to address. -ENOENT: it leaves the function; a .cold part of the
 * function that holds it becomes a region first. */
int function_code_add_target(struct function_code *code, uint64_t address) _must_check_;
/* The region that holds an address, or NULL. */
struct code_region *function_code_region(struct function_code *code, uint64_t address);
/* Every target is the start of an instruction. */
bool function_code_targets_fit(const struct function_code *code);
/* A jump leads to an address in (first, last]. */
bool function_code_is_entered(struct function_code *code, uint64_t first, uint64_t last);
/* How many bytes of the function no jump leads into, from its start. */
uint32_t function_code_straight_bytes(const struct function_code *code);
/* Another function starts between the first and the last byte of this one. */
bool function_code_holds_another(const struct function_code *code);

bool function_code_bit(const uint8_t *bits, uint32_t index);
void function_code_bit_set(uint8_t *bits, uint32_t index);

/* Appends to the ring. */
void function_code_record(struct function_code *code, const struct code_decoder *decoder,
                          const cs_insn *instruction);
/* back: 0 is the last one; NULL beyond what is kept. */
const struct code_step *function_code_step(const struct function_code *code, unsigned back);
