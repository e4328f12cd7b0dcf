/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/function_code.h"

#include <errno.h>
#include <string.h>

#include "probe/clone_names.h"
#include "probe/object_internal.h"

#define FAMILY(number, r64, r32, r16, r8)                                                          \
    [X86_REG_##r64] = (number), [X86_REG_##r32] = (number), [X86_REG_##r16] = (number),            \
    [X86_REG_##r8] = (number)

static const register_family families[X86_REG_ENDING] = {
    FAMILY(1, RAX, EAX, AX, AL),
    FAMILY(2, RCX, ECX, CX, CL),
    FAMILY(3, RDX, EDX, DX, DL),
    FAMILY(4, RBX, EBX, BX, BL),
    FAMILY(5, RSP, ESP, SP, SPL),
    FAMILY(6, RBP, EBP, BP, BPL),
    FAMILY(7, RSI, ESI, SI, SIL),
    FAMILY(8, RDI, EDI, DI, DIL),
    FAMILY(9, R8, R8D, R8W, R8B),
    FAMILY(10, R9, R9D, R9W, R9B),
    FAMILY(11, R10, R10D, R10W, R10B),
    FAMILY(12, R11, R11D, R11W, R11B),
    FAMILY(13, R12, R12D, R12W, R12B),
    FAMILY(14, R13, R13D, R13W, R13B),
    FAMILY(15, R14, R14D, R14W, R14B),
    FAMILY(16, R15, R15D, R15W, R15B),
    [X86_REG_AH] = 1,
    [X86_REG_CH] = 2,
    [X86_REG_DH] = 3,
    [X86_REG_BH] = 4,
    [X86_REG_RIP] = REGISTER_RIP,
};

/* What the System V ABI lets a call change: rax rcx rdx rsi rdi r8 r9 r10 r11. */
#define CALL_CLOBBERS (1u << 1 | 1u << 2 | 1u << 3 | 1u << 7 | 1u << 8 | 0xfu << 9)

bool function_code_bit(const uint8_t *bits, uint32_t index)
{
    return bits[index / 8] >> (index % 8) & 1;
}

void function_code_bit_set(uint8_t *bits, uint32_t index)
{
    bits[index / 8] = (uint8_t)(bits[index / 8] | 1u << (index % 8));
}

static register_family family_of(x86_reg reg)
{
    return (unsigned)reg < X86_REG_ENDING ? families[reg] : 0;
}

static int add_region(struct function_code *code, const struct object_function *function)
{
    if (code->region_count == FUNCTION_REGIONS_MAX || !function->size_bytes ||
        function->size_bytes > FUNCTION_BYTES_MAX)
        return -EOPNOTSUPP;
    struct code_region region = {.address = function->address,
                                 .file_offset = function->file_offset,
                                 .size_bytes = (uint32_t)function->size_bytes};
    uint64_t last;
    if (elf_image_file_offset(&code->object->image, region.address + region.size_bytes - 1, PF_X,
                              &last) < 0 ||
        last - region.file_offset != region.size_bytes - 1)
        return -EOPNOTSUPP;
    const size_t bit_bytes = region.size_bytes / 8 + 1;
    region.bytes = malloc(region.size_bytes);
    region.starts = calloc(bit_bytes, 1);
    region.targets = calloc(bit_bytes, 1);
    /* function_code_done frees what there is of it. */
    code->regions[code->region_count++] = region;
    if (!region.bytes || !region.starts || !region.targets)
        return -ENOMEM;
    return elf_image_read(&code->object->image, region.file_offset, region.bytes,
                          region.size_bytes) < 0
               ? -EOPNOTSUPP
               : 0;
}

int function_code_init(struct function_code *code, const struct object_file *object,
                       const struct object_function *function, struct diag *reterr_diag)
{
    *code = (struct function_code){.object = object, .function = function};
    if (!function->size_bytes)
        return diag_set(reterr_diag, EOPNOTSUPP, "the symbol of %.200s does not say its size",
                        function->name);
    if (function->size_bytes > FUNCTION_BYTES_MAX)
        return diag_set(reterr_diag, EOPNOTSUPP, "%.200s is larger than 1 MiB", function->name);
    code->steps = calloc(CODE_STEPS_MAX, sizeof(*code->steps));
    int r = code->steps ? add_region(code, function) : -ENOMEM;
    if (r < 0)
        function_code_done(code);
    if (r == -ENOMEM)
        return diag_set(reterr_diag, ENOMEM, "no memory to decode %.200s", function->name);
    if (r < 0)
        return diag_set(reterr_diag, EOPNOTSUPP, "%.200s does not lie in one piece in its file",
                        function->name);
    return 0;
}

void function_code_done(struct function_code *code)
{
    for (size_t i = 0; i < code->region_count; i++) {
        free(code->regions[i].bytes);
        free(code->regions[i].starts);
        free(code->regions[i].targets);
    }
    free(code->steps);
    code->steps = NULL;
    code->region_count = 0;
}

struct code_region *function_code_region(struct function_code *code, uint64_t address)
{
    for (size_t i = 0; i < code->region_count; i++)
        if (address - code->regions[i].address < code->regions[i].size_bytes)
            return &code->regions[i];
    return NULL;
}

static bool is_cold_part_of(const struct object_file *object, uint64_t parent, const char *name)
{
    const char *const suffix = strstr(name, ".cold");
    if (!suffix)
        return false;
    const size_t length = (size_t)(suffix - name);
    for (size_t i = object_first_at_or_above(object, parent); i < object->function_count; i++) {
        const struct object_function *const alias = &object->functions[object->by_address[i]];
        if (alias->address != parent)
            return false;
        if (!strncmp(alias->name, name, length) && alias->name[length] == '\0')
            return true;
    }
    return false;
}

static const struct object_function *find_cold(const struct function_code *code, uint64_t address)
{
    const struct object_file *const object = code->object;
    size_t i = address + 1 ? object_first_at_or_above(object, address + 1) : 0;
    /* A few names at most share an address or nest; further back nothing that is ours begins. */
    for (unsigned tries = 0; i > 0 && tries < 16; tries++) {
        const struct object_function *const function = &object->functions[object->by_address[--i]];
        if (address - function->address < function->size_bytes &&
            is_cold_part_of(object, code->function->address, function->name))
            return function;
    }
    return NULL;
}

int function_code_add_target(struct function_code *code, uint64_t address)
{
    struct code_region *region = function_code_region(code, address);
    if (!region) {
        const struct object_function *const cold = find_cold(code, address);
        if (!cold)
            return -ENOENT;
        int r = add_region(code, cold);
        if (r < 0)
            return r == -ENOMEM ? r : -ENOENT;
        region = &code->regions[code->region_count - 1];
    }
    function_code_bit_set(region->targets, (uint32_t)(address - region->address));
    return 0;
}

bool function_code_targets_fit(const struct function_code *code)
{
    for (size_t i = 0; i < code->region_count; i++) {
        const struct code_region *const region = &code->regions[i];
        for (uint32_t byte = 0; byte <= region->size_bytes / 8; byte++)
            if (region->targets[byte] & ~region->starts[byte])
                return false;
    }
    return true;
}

bool function_code_is_entered(struct function_code *code, uint64_t first, uint64_t last)
{
    const struct code_region *const region = function_code_region(code, first);
    if (!region || last - region->address >= region->size_bytes)
        return true;
    for (uint64_t at = first + 1; at <= last; at++)
        if (function_code_bit(region->targets, (uint32_t)(at - region->address)))
            return true;
    return false;
}

uint32_t function_code_straight_bytes(const struct function_code *code)
{
    const struct code_region *const region = &code->regions[0];
    uint32_t bytes = 0;
    while (bytes < region->size_bytes && !function_code_bit(region->targets, bytes))
        bytes++;
    return bytes;
}

bool function_code_holds_another(const struct function_code *code)
{
    const struct object_file *const object = code->object;
    const struct code_region *const region = &code->regions[0];
    const size_t next = object_first_at_or_above(object, region->address + 1);
    return next < object->function_count &&
           object->functions[object->by_address[next]].address - region->address <
               region->size_bytes;
}

static struct code_operand to_operand(const cs_x86_op *operand)
{
    struct code_operand result = {.type = (uint8_t)operand->type, .size_bytes = operand->size};
    if (operand->type == X86_OP_REG && operand->reg != X86_REG_AH && operand->reg != X86_REG_BH &&
        operand->reg != X86_REG_CH && operand->reg != X86_REG_DH) {
        result.reg = family_of(operand->reg);
    } else if (operand->type == X86_OP_IMM) {
        result.value = operand->imm;
    } else if (operand->type == X86_OP_MEM) {
        result.base = family_of(operand->mem.base);
        result.index = family_of(operand->mem.index);
        result.scale = (uint8_t)operand->mem.scale;
        result.value = operand->mem.disp;
    }
    return result;
}

void function_code_record(struct function_code *code, const struct code_decoder *decoder,
                          const cs_insn *instruction)
{
    const cs_x86 *const detail = &instruction->detail->x86;
    struct code_step step = {.address = instruction->address,
                             .next = instruction->address + instruction->size,
                             .id = instruction->id,
                             .is_jump = code_decoder_in_group(decoder, instruction, CS_GRP_JUMP)};
    step.operand_count = detail->op_count < 2 ? detail->op_count : 2;
    for (unsigned i = 0; i < detail->op_count; i++) {
        if (i < 2)
            step.operands[i] = to_operand(&detail->operands[i]);
        if (detail->operands[i].type == X86_OP_MEM &&
            ((detail->operands[i].access & CS_AC_WRITE) || !detail->operands[i].access))
            step.stores = true;
    }
    cs_regs written;
    uint8_t written_count;
    if (code_decoder_written(decoder, instruction, written, &written_count)) {
        for (unsigned i = 0; i < written_count; i++)
            step.writes |= 1u << family_of((x86_reg)written[i]);
    } else {
        step.writes = ~0u;
    }
    if (code_decoder_in_group(decoder, instruction, CS_GRP_CALL)) {
        step.writes |= CALL_CLOBBERS;
        step.stores = true;
    }
    code->steps[code->step_count++ % CODE_STEPS_MAX] = step;
}

const struct code_step *function_code_step(const struct function_code *code, unsigned back)
{
    if (back >= CODE_STEPS_MAX || back >= code->step_count)
        return NULL;
    return &code->steps[(code->step_count - 1 - back) % CODE_STEPS_MAX];
}
