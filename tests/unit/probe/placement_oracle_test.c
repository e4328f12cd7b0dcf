/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every place that probe_placement moves to in real libraries, against a slow way of finding out
 * the same: decode all sections from end to end and see where the instructions lead. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "probe/code_decoder.h"
#include "probe/object_internal.h"
#include "probe/probe_placement.h"

#define ADDRESSES_MAX (64u << 20)

struct oracle {
    struct code_decoder *decoder;
    struct probe_placement *chooser;
    uint8_t *is_start, *is_target; /* byte per address */
    uint64_t addresses;
    size_t functions, at_entry, moved;
};

static bool always(void *context)
{
    (void)context;
    return true;
}

static void note_targets(struct oracle *oracle, const cs_insn *instruction)
{
    const cs_x86 *const detail = &instruction->detail->x86;
    const bool branches = code_decoder_in_group(oracle->decoder, instruction, CS_GRP_JUMP) ||
                          code_decoder_in_group(oracle->decoder, instruction, CS_GRP_CALL);
    for (unsigned i = 0; i < detail->op_count; i++) {
        const cs_x86_op *const operand = &detail->operands[i];
        uint64_t target = UINT64_MAX;
        if (branches && operand->type == X86_OP_IMM)
            target = (uint64_t)operand->imm;
        else if (instruction->id == X86_INS_LEA && operand->type == X86_OP_MEM &&
                 operand->mem.base == X86_REG_RIP)
            target = instruction->address + instruction->size + (uint64_t)operand->mem.disp;
        if (target < oracle->addresses)
            oracle->is_target[target] = 1;
    }
}

static void decode_section(struct oracle *oracle, const struct elf_image *image,
                           const Elf64_Shdr *section)
{
    char *contents = NULL;
    size_t left = 0;
    assert_int_equal(elf_image_read_section(image, section, ADDRESSES_MAX, &contents, &left), 0);
    const uint8_t *bytes = (const uint8_t *)contents;
    uint64_t address = section->sh_addr;
    while (left) {
        const uint64_t at = address;
        const cs_insn *const instruction =
            code_decoder_next(oracle->decoder, &bytes, &left, &address);
        if (!instruction) {
            bytes++, left--, address++;
            continue;
        }
        oracle->is_start[at] = 1;
        note_targets(oracle, instruction);
    }
    free(contents);
}

static void on_function(const struct object_function *function, const char *base_name,
                        void *context)
{
    struct oracle *const oracle = context;
    struct placement placement;
    (void)base_name;
    assert_int_equal(probe_placement_choose(oracle->chooser, function, &placement), 0);
    oracle->functions++;
    oracle->at_entry += placement.is_cheap_at_entry;
    if (!placement.offset_bytes)
        return;
    oracle->moved++;
    const uint64_t place = function->address + placement.offset_bytes;
    unsigned starts = 0;
    for (uint64_t at = function->address + 1; at <= place; at++) {
        if (oracle->is_target[at])
            fail_msg("%s: something leads to +%u, the place is +%u", function->name,
                     (unsigned)(at - function->address), placement.offset_bytes);
        starts += oracle->is_start[at];
    }
    if (!oracle->is_start[place] || starts > PLACEMENT_SKIPPED_MAX)
        fail_msg("%s: +%u is no instruction", function->name, placement.offset_bytes);
}

static void check_object(const char *name)
{
    char path[4096];
    struct diag diag = {0};
    struct object_file *object = NULL;
    struct oracle oracle = {.addresses = 0};
    if (object_file_resolve(name, "", path, &diag) < 0 || code_decoder_new(&oracle.decoder) < 0)
        skip();
    assert_int_equal(object_file_open(path, &object, &diag), 0);
    const struct elf_image *const image = &object->image;
    for (size_t i = 0; i < image->section_count; i++)
        if ((image->sections[i].sh_flags & SHF_ALLOC) &&
            image->sections[i].sh_addr + image->sections[i].sh_size > oracle.addresses)
            oracle.addresses = image->sections[i].sh_addr + image->sections[i].sh_size;
    assert_true(oracle.addresses && oracle.addresses < ADDRESSES_MAX);
    oracle.is_start = calloc(oracle.addresses, 1);
    oracle.is_target = calloc(oracle.addresses, 1);
    for (size_t i = 0; i < image->section_count; i++)
        if (image->sections[i].sh_flags & SHF_EXECINSTR)
            decode_section(&oracle, image, &image->sections[i]);
    for (size_t i = 0; i < object->function_count; i++)
        oracle.is_target[object->functions[i].address] = 1;

    const struct placement_options options = {.nop5_becomes_call = always};
    assert_int_equal(probe_placement_new(object, &options, &oracle.chooser), 0);
    object_file_match(object, "*", on_function, &oracle);
    print_message("%s: %zu functions, %zu cheap at the entry, %zu moved\n", name, oracle.functions,
                  oracle.at_entry, oracle.moved);
    assert_true(oracle.moved * 10 > oracle.functions);
    probe_placement_free(oracle.chooser);
    code_decoder_free(oracle.decoder);
    free(oracle.is_start);
    free(oracle.is_target);
    object_file_free(object);
}

static void agrees_with_decoding_all_of_libc(void **state)
{
    (void)state;
    check_object("libc.so.6");
}

static void agrees_with_decoding_all_of_the_cpp_library(void **state)
{
    (void)state;
    check_object("libstdc++.so.6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_decoding_all_of_libc),
        cmocka_unit_test(agrees_with_decoding_all_of_the_cpp_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
