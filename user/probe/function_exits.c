/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/function_exits.h"

#include <errno.h>
#include <string.h>

#include "probe/function_code.h"
#include "probe/jump_table.h"
#include "probe/object_internal.h"

#define JUMP_TABLES_MAX 256
#define LOCK_PREFIX     0xf0

/* One walk over all regions of a function. */
struct exit_walk {
    struct function_code code;
    struct code_decoder *decoder;
    const cs_insn *instruction; /* the one at hand */
    struct jump_table tables[JUMP_TABLES_MAX];
    size_t table_count;
    struct function_exits *exits;
    uint64_t first_branch;
    struct diag *diag;
    bool may_jump_out;
};

static int refuse(struct exit_walk *walk, uint64_t address, const char *why)
{
    const uint64_t start = walk->code.regions[0].address;
    const struct code_region *const region = function_code_region(&walk->code, address);
    if (region && region != &walk->code.regions[0])
        return diag_set(
            walk->diag, EOPNOTSUPP, "the exits of %.200s cannot be known: %s (.cold+0x%llx)",
            walk->code.function->name, why, (unsigned long long)(address - region->address));
    return diag_set(walk->diag, EOPNOTSUPP, "the exits of %.200s cannot be known: %s (+0x%llx)",
                    walk->code.function->name, why, (unsigned long long)(address - start));
}

static int out_of_memory(struct exit_walk *walk)
{
    return diag_set(walk->diag, ENOMEM, "no memory to decode %.200s", walk->code.function->name);
}

static int add_exit(struct exit_walk *walk, uint64_t file_offset, uint64_t address)
{
    struct function_exits *const exits = walk->exits;
    if (exits->count == FUNCTION_EXITS_MAX)
        return refuse(walk, address, "it has more than 256 return instructions");
    size_t at = exits->count++;
    for (; at > 0 && exits->file_offsets[at - 1] > file_offset; at--)
        exits->file_offsets[at] = exits->file_offsets[at - 1];
    exits->file_offsets[at] = file_offset;
    return 0;
}

static int walk_direct_jump(struct exit_walk *walk, uint64_t address, uint64_t target)
{
    if (target == walk->code.regions[0].address)
        return refuse(walk, address, "it jumps back to its first instruction");
    int r = function_code_add_target(&walk->code, target);
    if (r == -ENOMEM)
        return out_of_memory(walk);
    if (r < 0 && !walk->may_jump_out)
        return refuse(walk, address, "it jumps out of the function (tail call)");
    if (r < 0)
        walk->exits->jumps_out++;
    return 0;
}

/* `notrack` is written by compilers before the jump of a switch and nowhere else. Where cold parts
 * have no names, only the table itself could tell whether it leads into one. */
static int walk_indirect_jump(struct exit_walk *walk, uint64_t address, bool is_notrack)
{
    struct jump_table table;
    if (jump_table_recognise(&walk->code, &table)) {
        if (walk->table_count == JUMP_TABLES_MAX)
            return refuse(walk, address, "it has more than 256 jump tables");
        walk->tables[walk->table_count++] = table;
        return 0;
    }
    if (is_notrack && !object_file_is_stripped(walk->code.object))
        return 0;
    return refuse(walk, address,
                  is_notrack ? "a jump table without a known end"
                             : "an indirect jump that is no known jump table");
}

static int walk_jump(struct exit_walk *walk, const cs_insn *instruction)
{
    const cs_x86 *const detail = &instruction->detail->x86;
    const uint64_t address = instruction->address;
    if (!walk->first_branch)
        walk->first_branch = address;
    if (detail->op_count != 1 || instruction->id == X86_INS_LJMP)
        return refuse(walk, address, "a far jump");
    if (detail->operands[0].type == X86_OP_IMM)
        return walk_direct_jump(walk, address, (uint64_t)detail->operands[0].imm);
    return walk_indirect_jump(walk, address, detail->prefix[1] == X86_PREFIX_DS);
}

static int walk_call(struct exit_walk *walk, const cs_insn *instruction)
{
    const cs_x86 *const detail = &instruction->detail->x86;
    if (!walk->first_branch)
        walk->first_branch = instruction->address;
    if (detail->op_count != 1 || detail->operands[0].type != X86_OP_IMM)
        return 0;
    const uint64_t target = (uint64_t)detail->operands[0].imm;
    /* The return of a subroutine inside the function would not leave the function. */
    if (target != walk->code.regions[0].address && function_code_region(&walk->code, target))
        return refuse(walk, instruction->address, "it calls into its own middle");
    return 0;
}

enum flow { FLOW_ON, FLOW_PADDING, FLOW_ENDS, FLOW_MAY_END };

static enum flow flow_after(const cs_insn *instruction, bool is_call)
{
    switch (instruction->id) {
    case X86_INS_RET:
    case X86_INS_JMP:
    case X86_INS_UD2:
    case X86_INS_HLT:
        return FLOW_ENDS;
    case X86_INS_NOP:
    case X86_INS_INT3:
    case X86_INS_ENDBR64:
        return FLOW_PADDING;
    default:
        return is_call ? FLOW_MAY_END : FLOW_ON; /* what never returns is called last */
    }
}

static int walk_instruction(struct exit_walk *walk, const struct code_region *region, bool is_call)
{
    const cs_insn *const instruction = walk->instruction;
    switch (instruction->id) {
    case X86_INS_RETF:
    case X86_INS_RETFQ:
    case X86_INS_IRET:
    case X86_INS_IRETD:
    case X86_INS_IRETQ:
    case X86_INS_SYSRET:
    case X86_INS_SYSEXIT:
        return refuse(walk, instruction->address, "a far return");
    case X86_INS_LJMP:
    case X86_INS_LCALL:
        return refuse(walk, instruction->address, "a far jump or call");
    case X86_INS_UD0:
    case X86_INS_UD2B: /* capstone 4 takes their operands for instructions */
        return refuse(walk, instruction->address, "bytes that do not decode");
    case X86_INS_RET:
        if (!walk->first_branch)
            walk->first_branch = instruction->address;
        return add_exit(walk, region->file_offset + (instruction->address - region->address),
                        instruction->address);
    default:
        break;
    }
    if (code_decoder_in_group(walk->decoder, instruction, CS_GRP_JUMP))
        return walk_jump(walk, instruction);
    return is_call ? walk_call(walk, instruction) : 0;
}

/* From the first byte to the last: what lies between the instructions of compiled code is padding,
 * and every jump is checked to lead to one of the instructions that were seen. */
static int walk_region(struct exit_walk *walk, size_t index)
{
    const struct code_region region = walk->code.regions[index];
    const uint8_t *bytes = region.bytes;
    size_t left = region.size_bytes;
    uint64_t address = region.address;
    enum flow flow = FLOW_ON;
    walk->code.step_count = 0;
    while (left) {
        function_code_bit_set(region.starts, (uint32_t)(address - region.address));
        const uint64_t at = address;
        walk->instruction = code_decoder_next(walk->decoder, &bytes, &left, &address);
        if (!walk->instruction)
            return refuse(walk, at, "bytes that do not decode");
        const bool is_call = code_decoder_in_group(walk->decoder, walk->instruction, CS_GRP_CALL);
        /* glibc's single-thread shortcuts jump behind the prefix of one and the same instruction.
         */
        if (region.bytes[at - region.address] == LOCK_PREFIX && address - at > 1)
            function_code_bit_set(region.starts, (uint32_t)(at - region.address) + 1);
        function_code_record(&walk->code, walk->decoder, walk->instruction);
        int r = walk_instruction(walk, &region, is_call);
        if (r < 0)
            return r;
        const enum flow next = flow_after(walk->instruction, is_call);
        if (next != FLOW_PADDING)
            flow = next;
    }
    if (flow == FLOW_ON)
        return refuse(walk, address, "it runs on into what follows");
    return 0;
}

/* Adds where the tables lead; that may be a cold part nobody has walked yet. */
static int follow_table(struct exit_walk *walk, const struct jump_table *table)
{
    const struct elf_image *const image = &walk->code.object->image;
    const size_t entry_bytes = table->is_relative ? sizeof(int32_t) : sizeof(uint64_t);
    union {
        int32_t distances[JUMP_TABLE_ENTRIES_MAX];
        uint64_t addresses[JUMP_TABLE_ENTRIES_MAX];
    } entries;
    if (elf_image_read_address(image, table->address, &entries, table->entry_count * entry_bytes) <
        0)
        return refuse(walk, table->jump_at, "a jump table that is not in the file");
    for (uint32_t i = 0; i < table->entry_count; i++) {
        const uint64_t target = table->is_relative
                                    ? table->address + (uint64_t)(int64_t)entries.distances[i]
                                    : entries.addresses[i];
        int r = function_code_add_target(&walk->code, target);
        if (r == -ENOMEM)
            return out_of_memory(walk);
        if (r < 0)
            return refuse(walk, table->jump_at, "a jump table that leads out of the function");
    }
    return 0;
}

static int walk_all(struct exit_walk *walk)
{
    size_t tables_followed = 0;
    for (size_t i = 0; i < walk->code.region_count; i++) {
        int r = walk_region(walk, i);
        while (r >= 0 && tables_followed < walk->table_count)
            r = follow_table(walk, &walk->tables[tables_followed++]);
        if (r < 0)
            return r;
    }
    const uint64_t start = walk->code.regions[0].address;
    if (!function_code_targets_fit(&walk->code))
        return refuse(walk, start, "a jump into the middle of an instruction");
    for (size_t i = 0; i < walk->table_count; i++)
        if (function_code_is_entered(&walk->code, walk->tables[i].bound_at,
                                     walk->tables[i].jump_at))
            return refuse(walk, walk->tables[i].jump_at, "a jump table reached past its bound");
    if (function_code_holds_another(&walk->code))
        return refuse(walk, start, "another function begins inside it");
    return 0;
}

static void walk_done(struct exit_walk *walk)
{
    code_decoder_free(walk->decoder);
    function_code_done(&walk->code);
}

static int find(const struct object_file *object, const struct object_function *function,
                bool may_jump_out, struct function_exits *ret_exits, struct diag *reterr_diag)
{
    struct function_exits exits = {.count = 0};
    _cleanup_(walk_done) struct exit_walk walk = {
        .exits = &exits, .diag = reterr_diag, .may_jump_out = may_jump_out};
    if (function->is_ifunc)
        return diag_set(reterr_diag, EOPNOTSUPP, "%.200s is the resolver of an indirect function",
                        function->name);
    int r = function_code_init(&walk.code, object, function, reterr_diag);
    if (r < 0)
        return r;
    r = code_decoder_new(&walk.decoder);
    if (r == -ENOENT)
        return diag_set(reterr_diag, EOPNOTSUPP,
                        "its code cannot be decoded: libcapstone4 is "
                        "not installed");
    if (r < 0)
        return out_of_memory(&walk);
    r = walk_all(&walk);
    if (r < 0)
        return r;
    exits.entry_bytes = function_code_straight_bytes(&walk.code);
    const uint64_t branch = walk.first_branch - walk.code.regions[0].address;
    if (walk.first_branch && branch < exits.entry_bytes)
        exits.entry_bytes = (uint32_t)branch + 1;
    *ret_exits = exits;
    return 0;
}

int function_exits_find(const struct object_file *object, const struct object_function *function,
                        struct function_exits *ret_exits, struct diag *reterr_diag)
{
    return find(object, function, false, ret_exits, reterr_diag);
}

int function_exits_find_own(const struct object_file *object,
                            const struct object_function *function,
                            struct function_exits *ret_exits, struct diag *reterr_diag)
{
    return find(object, function, true, ret_exits, reterr_diag);
}
