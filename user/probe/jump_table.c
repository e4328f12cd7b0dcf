/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/jump_table.h"

#include "probe/object_internal.h"

#define BOUND_STEPS_MAX 32 /* between the comparison and the jump */

static bool writes(const struct code_step *step, register_family family)
{
    return step->writes >> family & 1;
}

/* The nearest step before `back` that writes a register; 0 when none is kept. */
static unsigned written_before(const struct function_code *code, unsigned back,
                               register_family family)
{
    const struct code_step *step;
    for (unsigned at = back + 1; (step = function_code_step(code, at)); at++)
        if (writes(step, family))
            return at;
    return 0;
}

static bool is_same_place(const struct code_operand *a, const struct code_operand *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == X86_OP_REG)
        return a->reg && a->reg == b->reg;
    return a->type == X86_OP_MEM && a->base == b->base && a->index == b->index &&
           a->scale == b->scale && a->value == b->value;
}

/* Following a comparison: `ja` lets 0 .. value through, `jae` one less. Other jumps on the same
 * flags may come first. 0: something else decides. */
static uint32_t guarded_entries(const struct function_code *code, unsigned compare_back,
                                uint64_t value, uint64_t *ret_guard)
{
    for (unsigned back = compare_back; back-- > 0;) {
        const struct code_step *const step = function_code_step(code, back);
        if (step->id == X86_INS_JA || step->id == X86_INS_JAE) {
            const uint64_t count = step->id == X86_INS_JA ? value + 1 : value;
            *ret_guard = step->address;
            return count && count <= JUMP_TABLE_ENTRIES_MAX ? (uint32_t)count : 0;
        }
        const bool keeps_flags = step->is_jump || step->id == X86_INS_MOV ||
                                 step->id == X86_INS_MOVZX || step->id == X86_INS_MOVSX ||
                                 step->id == X86_INS_MOVSXD || step->id == X86_INS_LEA;
        if (!keeps_flags || step->id == X86_INS_JMP)
            return 0;
    }
    return 0;
}

static uint64_t unsigned_value(const struct code_operand *immediate, uint8_t size_bytes)
{
    const uint64_t value = (uint64_t)immediate->value;
    return size_bytes >= 8 || !size_bytes ? value : value & ((1ull << 8 * size_bytes) - 1);
}

struct index_search {
    struct code_operand place; /* where the index was, going back */
    uint32_t implied;          /* entries that its width alone allows, or 0 */
    uint64_t guard;
};

enum index_verdict { INDEX_GOES_ON, INDEX_LOST, INDEX_BOUNDED };

/* One step further back; the index is moved to where the step took it from. */
static enum index_verdict look_at_index(const struct function_code *code, unsigned back,
                                        struct index_search *search, uint32_t *ret_entries)
{
    const struct code_step *const step = function_code_step(code, back);
    struct code_operand *const place = &search->place;
    const struct code_operand *const to = &step->operands[0], *const from = &step->operands[1];
    if (step->id == X86_INS_CMP && from->type == X86_OP_IMM && is_same_place(to, place)) {
        *ret_entries =
            guarded_entries(code, back, unsigned_value(from, to->size_bytes), &search->guard);
        return *ret_entries ? INDEX_BOUNDED : INDEX_LOST;
    }
    if (step->id == X86_INS_JMP || step->id == X86_INS_RET)
        return INDEX_LOST;
    if (place->type == X86_OP_MEM)
        return step->stores || writes(step, place->base) || writes(step, place->index)
                   ? INDEX_LOST
                   : INDEX_GOES_ON;
    if (!writes(step, place->reg))
        return INDEX_GOES_ON;
    if (to->type != X86_OP_REG || to->reg != place->reg)
        return INDEX_LOST;
    if (step->id == X86_INS_AND && from->type == X86_OP_IMM && from->value >= 0 &&
        from->value < JUMP_TABLE_ENTRIES_MAX) {
        *ret_entries = (uint32_t)from->value + 1;
        search->guard = step->address;
        return INDEX_BOUNDED;
    }
    if (step->id != X86_INS_MOV && step->id != X86_INS_MOVZX && step->id != X86_INS_MOVSXD &&
        step->id != X86_INS_MOVSX)
        return INDEX_LOST;
    if (step->id == X86_INS_MOVZX && from->size_bytes == 1 && !search->implied) {
        search->implied = 256;
        search->guard = step->address;
    }
    if (from->type != X86_OP_MEM && !(from->type == X86_OP_REG && from->reg))
        return INDEX_LOST;
    *place = *from;
    return INDEX_GOES_ON;
}

static uint32_t find_bound(const struct function_code *code, unsigned from, register_family index,
                           uint64_t *ret_guard)
{
    struct index_search search = {.place = {.type = X86_OP_REG, .reg = index}};
    for (unsigned back = from + 1; back <= from + BOUND_STEPS_MAX; back++) {
        if (!function_code_step(code, back))
            break;
        uint32_t entries = 0;
        const uint64_t implied_guard = search.guard;
        const enum index_verdict verdict = look_at_index(code, back, &search, &entries);
        if (verdict == INDEX_BOUNDED) {
            *ret_guard = search.guard;
            return entries;
        }
        if (verdict == INDEX_LOST) {
            search.guard = implied_guard;
            break;
        }
    }
    *ret_guard = search.guard;
    return search.implied;
}

/* jmp *T(, I, 8), or the same in two instructions. */
static bool recognise_absolute(const struct function_code *code, unsigned back,
                               const struct code_operand *entry, struct jump_table *table)
{
    if (code->object->image.header.e_type != ET_EXEC || entry->base || !entry->index ||
        entry->scale != 8 || entry->value <= 0)
        return false;
    table->address = (uint64_t)entry->value;
    table->is_relative = false;
    table->entry_count = find_bound(code, back, entry->index, &table->bound_at);
    return table->entry_count > 0;
}

/* The distance was loaded from the table into one operand of the addition, the other one holds the
 * table's address. */
static bool recognise_relative(const struct function_code *code, unsigned add_back,
                               register_family distance, register_family base,
                               struct jump_table *table)
{
    const unsigned load_back = written_before(code, add_back, distance);
    const struct code_step *const load = load_back ? function_code_step(code, load_back) : NULL;
    if (!load || load->id != X86_INS_MOVSXD || load->operands[0].reg != distance)
        return false;
    const struct code_operand *const entry = &load->operands[1];
    if (entry->type != X86_OP_MEM || entry->base != base || !entry->index || entry->scale != 4 ||
        entry->value)
        return false;
    const unsigned base_back = written_before(code, add_back, base);
    const struct code_step *const lea = base_back ? function_code_step(code, base_back) : NULL;
    if (!lea || base_back < load_back || lea->id != X86_INS_LEA ||
        lea->operands[1].base != REGISTER_RIP || lea->operands[1].index)
        return false;
    table->address = lea->next + (uint64_t)lea->operands[1].value;
    table->is_relative = true;
    table->entry_count = find_bound(code, load_back, entry->index, &table->bound_at);
    return table->entry_count > 0;
}

bool jump_table_recognise(const struct function_code *code, struct jump_table *ret_table)
{
    const struct code_step *const jump = function_code_step(code, 0);
    const struct code_operand *const to = &jump->operands[0];
    struct jump_table table = {.jump_at = jump->address};
    if (jump->operand_count != 1)
        return false;
    bool found = false;
    if (to->type == X86_OP_MEM) {
        found = recognise_absolute(code, 0, to, &table);
    } else if (to->type == X86_OP_REG && to->reg) {
        const unsigned back = written_before(code, 0, to->reg);
        const struct code_step *const last = back ? function_code_step(code, back) : NULL;
        if (last && last->id == X86_INS_ADD && last->operands[0].reg == to->reg &&
            last->operands[1].type == X86_OP_REG && last->operands[1].reg)
            found = recognise_relative(code, back, to->reg, last->operands[1].reg, &table) ||
                    recognise_relative(code, back, last->operands[1].reg, to->reg, &table);
        else if (last && last->id == X86_INS_MOV && last->operands[1].type == X86_OP_MEM)
            found = recognise_absolute(code, back, &last->operands[1], &table);
    }
    if (found)
        *ret_table = table;
    return found;
}
