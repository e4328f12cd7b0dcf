/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/plain_instruction.h"

/* Moves and computations, which cannot trap but for the memory they use. */
static bool is_known(unsigned id)
{
    switch (id) {
    case X86_INS_ENDBR64:
    case X86_INS_NOP:
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
    case X86_INS_LEA:
    case X86_INS_TEST:
    case X86_INS_CMP:
    case X86_INS_XOR:
    case X86_INS_OR:
    case X86_INS_AND:
    case X86_INS_ADD:
    case X86_INS_ADC:
    case X86_INS_SUB:
    case X86_INS_SBB:
    case X86_INS_INC:
    case X86_INS_DEC:
    case X86_INS_NEG:
    case X86_INS_NOT:
    case X86_INS_SHL:
    case X86_INS_SHR:
    case X86_INS_SAR:
    case X86_INS_ROL:
    case X86_INS_ROR:
    case X86_INS_BT:
    case X86_INS_BSF:
    case X86_INS_BSR:
    case X86_INS_TZCNT:
    case X86_INS_LZCNT:
    case X86_INS_POPCNT:
    case X86_INS_BSWAP:
    case X86_INS_CDQE:
    case X86_INS_CWDE:
    case X86_INS_SETA:
    case X86_INS_SETAE:
    case X86_INS_SETB:
    case X86_INS_SETBE:
    case X86_INS_SETE:
    case X86_INS_SETNE:
    case X86_INS_SETG:
    case X86_INS_SETGE:
    case X86_INS_SETL:
    case X86_INS_SETLE:
    case X86_INS_SETS:
    case X86_INS_SETNS:
    case X86_INS_CMOVA:
    case X86_INS_CMOVAE:
    case X86_INS_CMOVB:
    case X86_INS_CMOVBE:
    case X86_INS_CMOVE:
    case X86_INS_CMOVNE:
    case X86_INS_CMOVG:
    case X86_INS_CMOVGE:
    case X86_INS_CMOVL:
    case X86_INS_CMOVLE:
    case X86_INS_CMOVS:
    case X86_INS_CMOVNS:
    case X86_INS_IMUL:
    case X86_INS_MOVD:
    case X86_INS_MOVQ:
    case X86_INS_MOVSS:
    case X86_INS_MOVSD:
    case X86_INS_MOVAPS:
    case X86_INS_MOVAPD:
    case X86_INS_MOVUPS:
    case X86_INS_MOVUPD:
    case X86_INS_MOVDQA:
    case X86_INS_MOVDQU:
    case X86_INS_PXOR:
    case X86_INS_XORPS:
    case X86_INS_XORPD:
    case X86_INS_UCOMISS:
    case X86_INS_UCOMISD:
    case X86_INS_COMISS:
    case X86_INS_COMISD:
    case X86_INS_PUNPCKLQDQ:
    case X86_INS_VMOVD:
    case X86_INS_VMOVQ:
    case X86_INS_VMOVDQU:
    case X86_INS_VMOVDQA:
    case X86_INS_VPXOR:
        return true;
    default:
        return false;
    }
}

static bool is_stack_pointer(x86_reg reg)
{
    return reg == X86_REG_RSP || reg == X86_REG_ESP || reg == X86_REG_SP || reg == X86_REG_SPL;
}

static bool is_argument(x86_reg reg)
{
    switch (reg) {
    case X86_REG_RDI:
    case X86_REG_EDI:
    case X86_REG_DI:
    case X86_REG_DIL:
    case X86_REG_RSI:
    case X86_REG_ESI:
    case X86_REG_SI:
    case X86_REG_SIL:
    case X86_REG_RDX:
    case X86_REG_EDX:
    case X86_REG_DX:
    case X86_REG_DL:
    case X86_REG_DH:
    case X86_REG_RCX:
    case X86_REG_ECX:
    case X86_REG_CX:
    case X86_REG_CL:
    case X86_REG_CH:
    case X86_REG_R8:
    case X86_REG_R8D:
    case X86_REG_R8W:
    case X86_REG_R8B:
    case X86_REG_R9:
    case X86_REG_R9D:
    case X86_REG_R9W:
    case X86_REG_R9B:
        return true;
    default:
        return false;
    }
}

static bool is_special(x86_reg reg)
{
    return (reg >= X86_REG_CR0 && reg <= X86_REG_CR15) ||
           (reg >= X86_REG_DR0 && reg <= X86_REG_DR15) || reg == X86_REG_CS || reg == X86_REG_DS ||
           reg == X86_REG_ES || reg == X86_REG_FS || reg == X86_REG_GS || reg == X86_REG_SS;
}

/* What capstone says about access is not relied on where the stack is concerned: whatever names
 * rsp must be a load. */
static enum instruction_effect operand_effect(const cs_insn *instruction, unsigned index,
                                              bool keeps_arguments)
{
    const cs_x86_op *const operand = &instruction->detail->x86.operands[index];
    const bool only_reads = instruction->id == X86_INS_TEST || instruction->id == X86_INS_CMP ||
                            instruction->id == X86_INS_BT || instruction->id == X86_INS_NOP;
    if (operand->type == X86_OP_REG) {
        if (is_special(operand->reg))
            return EFFECT_UNKNOWN;
        if (is_stack_pointer(operand->reg))
            return index == 0 && !only_reads ? EFFECT_MOVES_STACK : EFFECT_USES_STACK;
        if (keeps_arguments && index == 0 && !only_reads && is_argument(operand->reg))
            return EFFECT_WRITES_ARGUMENT;
    }
    if (operand->type == X86_OP_MEM &&
        (is_stack_pointer(operand->mem.base) || is_stack_pointer(operand->mem.index)) &&
        (instruction->id == X86_INS_LEA || (index == 0 && !only_reads)))
        return EFFECT_USES_STACK;
    return EFFECT_PLAIN;
}

/* In case the operands do not tell all. */
static enum instruction_effect written_effect(const struct code_decoder *decoder,
                                              const cs_insn *instruction, bool keeps_arguments)
{
    cs_regs written;
    uint8_t count;
    if (!code_decoder_written(decoder, instruction, written, &count))
        return EFFECT_UNKNOWN;
    for (unsigned i = 0; i < count; i++) {
        if (is_stack_pointer((x86_reg)written[i]))
            return EFFECT_MOVES_STACK;
        if (keeps_arguments && is_argument((x86_reg)written[i]))
            return EFFECT_WRITES_ARGUMENT;
        if (is_special((x86_reg)written[i]))
            return EFFECT_UNKNOWN;
    }
    return EFFECT_PLAIN;
}

enum instruction_effect plain_instruction_effect(const struct code_decoder *decoder,
                                                 const cs_insn *instruction, bool keeps_arguments)
{
    const cs_x86 *const detail = &instruction->detail->x86;
    if (code_decoder_in_group(decoder, instruction, CS_GRP_JUMP) ||
        code_decoder_in_group(decoder, instruction, CS_GRP_CALL) ||
        code_decoder_in_group(decoder, instruction, CS_GRP_RET) ||
        code_decoder_in_group(decoder, instruction, CS_GRP_IRET) ||
        code_decoder_in_group(decoder, instruction, CS_GRP_INT) || instruction->id == X86_INS_UD2 ||
        instruction->id == X86_INS_HLT)
        return EFFECT_LEAVES;
    enum instruction_effect effect = written_effect(decoder, instruction, keeps_arguments);
    for (unsigned i = 0; effect == EFFECT_PLAIN && i < detail->op_count; i++)
        effect = operand_effect(instruction, i, keeps_arguments);
    if (effect != EFFECT_PLAIN)
        return effect;
    const bool has_repeat = detail->prefix[0] && instruction->id != X86_INS_ENDBR64; /* or lock */
    return is_known(instruction->id) && !has_repeat ? EFFECT_PLAIN : EFFECT_UNKNOWN;
}
