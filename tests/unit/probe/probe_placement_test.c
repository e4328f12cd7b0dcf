/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/probe_placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "elf_fixture.h"
#include "probe/emulated_instruction.h"

#define CODE(...) ((const uint8_t[]){__VA_ARGS__})
#define PADDING   0x90, 0x90, 0x90, 0x90, 0xc3 /* behind what is looked at */

/* The function under test is "f" at AT, with room for neighbours on both sides. */
#define AT 0x100

static bool always(void *context)
{
    (void)context;
    return true;
}

static void begin(struct elf_fixture *elf, const uint8_t *code, size_t length)
{
    fixture_begin(elf);
    fixture_function(elf, "f", AT, code, length);
}

static struct placement choose_with(struct elf_fixture *elf, struct placement_options options)
{
    struct object_file *object = NULL;
    struct probe_placement *chooser = NULL;
    struct placement placement = {.obstacle = 99};
    struct diag diag = {0};
    const struct object_function *functions;
    fixture_symbol_table(elf, SHT_SYMTAB);
    if (object_file_open(fixture_end(elf), &object, &diag) < 0)
        fail_msg("%s", diag.what);
    assert_int_equal(probe_placement_new(object, &options, &chooser), 0);
    const size_t count = object_file_functions(object, &functions);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(functions[i].name, "f"))
            assert_int_equal(probe_placement_choose(chooser, &functions[i], &placement), 0);
    probe_placement_free(chooser);
    object_file_free(object);
    fixture_done(elf);
    return placement;
}

static struct placement choose(struct elf_fixture *elf)
{
    return choose_with(elf, (struct placement_options){.keeps_arguments = true});
}

static struct placement choose_in(const uint8_t *code, size_t length)
{
    struct elf_fixture elf;
    begin(&elf, code, length);
    return choose(&elf);
}

static void expect_place(struct placement placement, unsigned offset, const char *instruction)
{
    char reason[PLACEMENT_REASON_SIZE];
    probe_placement_reason(&placement, reason);
    if (!placement.is_emulated)
        fail_msg("not moved: %s", reason);
    assert_int_equal(placement.offset_bytes, offset);
    assert_string_equal(placement.instruction, instruction);
    assert_string_equal(reason, "");
    assert_int_equal(placement.is_cheap_at_entry, offset == 0);
}

static void expect_entry(struct placement placement, const char *words)
{
    char reason[PLACEMENT_REASON_SIZE];
    probe_placement_reason(&placement, reason);
    assert_false(placement.is_emulated);
    assert_int_equal(placement.offset_bytes, 0);
    if (!strstr(reason, words))
        fail_msg("'%s' lacks '%s'", reason, words);
}

#define EXPECT_PLACE(offset, instruction, ...)                                                     \
    expect_place(choose_in(CODE(__VA_ARGS__), sizeof(CODE(__VA_ARGS__))), offset, instruction)
#define EXPECT_ENTRY(words, ...)                                                                   \
    expect_entry(choose_in(CODE(__VA_ARGS__), sizeof(CODE(__VA_ARGS__))), words)

static void stays_where_the_entry_is_emulated(void **state)
{
    (void)state;
    EXPECT_PLACE(0, "push rbp", 0x55, PADDING);
    EXPECT_PLACE(0, "push r12", 0x41, 0x54, PADDING);
    EXPECT_PLACE(0, "nop", 0x90, PADDING);
    EXPECT_PLACE(0, "nop", 0x66, 0x90, PADDING);
    EXPECT_PLACE(0, "jmp +0x4", 0xeb, 0x02, PADDING);
    EXPECT_PLACE(0, "jne -0x7e", 0x75, 0x80, PADDING);
    EXPECT_PLACE(0, "je +0x1006", 0x0f, 0x84, 0x00, 0x10, 0x00, 0x00, PADDING);
    EXPECT_PLACE(0, "call -0x10", 0xe8, 0xeb, 0xff, 0xff, 0xff, PADDING);
}

static void passes_endbr64_and_plain_instructions(void **state)
{
    (void)state;
    EXPECT_PLACE(4, "push rbx", 0xf3, 0x0f, 0x1e, 0xfa, 0x53, PADDING);
    /* test rdi,rdi; je: as in free() */
    EXPECT_PLACE(3, "je +0x7", 0x48, 0x85, 0xff, 0x74, 0x02, PADDING);
    /* mov rax,[rdi]; xor r10d,r10d; cmp rax,r10; lea r11,[rax+1]; movq xmm0,rax; push */
    EXPECT_PLACE(18, "push rbp", 0x48, 0x8b, 0x07, 0x45, 0x31, 0xd2, 0x4c, 0x39, 0xd0, 0x4c, 0x8d,
                 0x58, 0x01, 0x66, 0x48, 0x0f, 0x6e, 0xc0, 0x55, PADDING);
    /* mov [rdi],rsi: a store that is not to the stack */
    EXPECT_PLACE(3, "push rbp", 0x48, 0x89, 0x37, 0x55, PADDING);
    /* mov rax,[rsp+8]: an argument on the stack */
    EXPECT_PLACE(5, "push rbp", 0x48, 0x8b, 0x44, 0x24, 0x08, 0x55, PADDING);
}

static void passes_at_most_five(void **state)
{
    (void)state;
    EXPECT_PLACE(10, "push rbp", 0x31, 0xc0, 0x31, 0xc0, 0x31, 0xc0, 0x31, 0xc0, 0x31, 0xc0, 0x55,
                 PADDING);
    EXPECT_ENTRY("none of the first instructions", 0x31, 0xc0, 0x31, 0xc0, 0x31, 0xc0, 0x31, 0xc0,
                 0x31, 0xc0, 0x31, 0xc0, 0x55, PADDING);
}

static void never_passes_what_leaves_or_moves_the_stack(void **state)
{
    (void)state;
    EXPECT_ENTRY("the stack pointer moves at +0", 0x48, 0x83, 0xec, 0x08, 0x55, PADDING);
    EXPECT_ENTRY("the stack pointer moves at +4", 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x08,
                 0x55, PADDING);
    EXPECT_ENTRY("the stack pointer moves", 0x5b, 0x53, PADDING);             /* pop rbx */
    EXPECT_ENTRY("the stack pointer moves", 0x6a, 0x01, 0x55, PADDING);       /* push 1 */
    EXPECT_ENTRY("the stack pointer moves", 0x48, 0x83, 0xe4, 0xf0, PADDING); /* and rsp,-16 */
    EXPECT_ENTRY("left at +2", 0x31, 0xc0, 0xc3, 0x55, PADDING);              /* ret */
    EXPECT_ENTRY("left at +0", 0xc3, 0x55, PADDING);
    EXPECT_ENTRY("left at +0", 0xff, 0xe0, 0x55, PADDING);                 /* jmp rax */
    EXPECT_ENTRY("left at +0", 0x0f, 0x0b, 0x55, PADDING);                 /* ud2 */
    EXPECT_ENTRY("+0", 0x0f, 0x05, 0x55, PADDING);                         /* syscall */
    EXPECT_ENTRY("+0", 0xe3, 0x00, 0x55, PADDING);                         /* jrcxz */
    EXPECT_ENTRY("+0", 0xc7, 0xf8, 0x00, 0x00, 0x00, 0x00, 0x55, PADDING); /* xbegin */
}

static void never_passes_what_is_not_plain(void **state)
{
    (void)state;
    EXPECT_ENTRY("+0", 0xf4, 0x55, PADDING);                       /* hlt */
    EXPECT_ENTRY("+0", 0xf3, 0xa4, 0x55, PADDING);                 /* rep movsb */
    EXPECT_ENTRY("+0", 0xa5, 0x55, PADDING);                       /* movsd */
    EXPECT_ENTRY("no plain one", 0xf0, 0xff, 0x00, 0x55, PADDING); /* lock inc [rax] */
    EXPECT_ENTRY("+0", 0x0f, 0x31, 0x55, PADDING);                 /* rdtsc: also writes rdx */
    EXPECT_ENTRY("+0", 0x48, 0xf7, 0xe8, 0x55, PADDING);           /* imul rax: also rdx */
    EXPECT_ENTRY("no plain one", 0x8e, 0xe0, 0x55, PADDING);       /* mov fs,eax */
    EXPECT_ENTRY("no plain one", 0x0f, 0x22, 0xd8, 0x55, PADDING); /* mov cr3,rax */
    EXPECT_ENTRY("decode", 0x06, 0x55, PADDING);
    struct elf_fixture elf;
    begin(&elf, CODE(0x0f, 0x31, 0x55, PADDING), 8);
    expect_entry(choose_with(&elf, (struct placement_options){0}), "no plain one");
}

static void keeps_the_return_address_where_it_is(void **state)
{
    (void)state;
    EXPECT_ENTRY("address is used at +0", 0x48, 0x89, 0x04, 0x24, 0x55,
                 PADDING); /* mov [rsp],rax */
    EXPECT_ENTRY("address is used at +0", 0x48, 0x89, 0x7c, 0x24, 0xf8, 0x55, PADDING);
    EXPECT_ENTRY("address is used at +0", 0x4c, 0x8d, 0x54, 0x24, 0x08, 0x55,
                 PADDING);                                                  /* lea r10 */
    EXPECT_ENTRY("address is used at +0", 0x48, 0x89, 0xe0, 0x55, PADDING); /* mov rax,rsp */
    EXPECT_ENTRY("address is used at +0", 0xff, 0x04, 0x24, 0x55, PADDING); /* inc [rsp] */
}

static void keeps_arguments_only_where_they_are_read(void **state)
{
    (void)state;
    static const uint8_t writes[][8] = {
        {0x31, 0xff, 0x55, PADDING}, /* xor edi,edi */
        {0x89, 0xc6, 0x55, PADDING}, /* mov esi,eax */
        {0xb2, 0x01, 0x55, PADDING}, /* mov dl,1 */
        {0xb5, 0x01, 0x55, PADDING}, /* mov ch,1 */
    };
    struct elf_fixture elf;
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        expect_entry(choose_in(writes[i], 8), "an argument register is written at +0");
        begin(&elf, writes[i], 8);
        expect_place(choose_with(&elf, (struct placement_options){0}), 2, "push rbp");
    }
    EXPECT_ENTRY("an argument register", 0x45, 0x31, 0xc0, 0x55, PADDING); /* xor r8d,r8d */
    EXPECT_ENTRY("an argument register", 0x49, 0xff, 0xc1, 0x55, PADDING); /* inc r9 */
    EXPECT_PLACE(3, "push rbp", 0x45, 0x31, 0xd2, 0x55, PADDING);          /* xor r10d,r10d */
}

static void a_loop_over_the_place_keeps_the_entry(void **state)
{
    (void)state;
    /* mov eax,1; 5: dec eax; jne 5: the loop begins at +5 and ends on the place */
    EXPECT_ENTRY("something leads to +5", 0xb8, 0x01, 0x00, 0x00, 0x00, 0xff, 0xc8, 0x75, 0xfc,
                 0xc3);
    /* The same over a long distance. */
    EXPECT_ENTRY("something leads to +2", 0x31, 0xc0, 0x55, 0x0f, 0x85, 0xf9, 0xff, 0xff, 0xff,
                 0xc3);
    /* Behind the place, or back to the entry itself: neither counts a call twice. */
    EXPECT_PLACE(2, "push rbp", 0x31, 0xc0, 0x55, 0x75, 0xfe, 0xc3);
    EXPECT_PLACE(2, "push rbp", 0x31, 0xc0, 0x55, 0x75, 0xfb, 0xc3);
    /* What looks like a jump to it is the operand of: mov eax, 0xfc75 */
    EXPECT_PLACE(2, "push rbp", 0x31, 0xc0, 0x55, 0x53, 0xb8, 0x75, 0xf9, 0x00, 0x00, 0xc3);
}

/* xor eax,eax; push rbp; ... */
static const uint8_t movable[] = {0x31, 0xc0, 0x55, PADDING};

static void a_jump_of_a_neighbour_keeps_the_entry(void **state)
{
    (void)state;
    struct elf_fixture elf;
    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "before", AT - 4, CODE(0x90, 0x90, 0xeb, 0x02), 4);
    expect_entry(choose(&elf), "something leads to +2");

    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "after", AT + 0x70, CODE(0x74, 0x90, 0xc3), 3); /* to +2 */
    expect_entry(choose(&elf), "something leads to +2");

    /* Only an operand of: mov ax, 0x02eb; it is known for one where the neighbour is known. */
    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "before", AT - 4, CODE(0x66, 0xb8, 0xeb, 0x02), 4);
    expect_place(choose(&elf), 2, "push rbp");
    begin(&elf, movable, sizeof(movable));
    memcpy(elf.bytes + FIXTURE_CODE_OFFSET + AT - 4, CODE(0x66, 0xb8, 0xeb, 0x02), 4);
    expect_entry(choose(&elf), "something leads to +2");

    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "far", 0, CODE(0xe9, 0xfd, 0x00, 0x00, 0x00), 5);
    expect_entry(choose(&elf), "something leads to +2");

    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "far", 0, CODE(0xe8, 0xfb, 0x00, 0x00, 0x00, 0xc3), 6); /* calls f */
    expect_place(choose(&elf), 2, "push rbp");

    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "far", 0, CODE(0x0f, 0x84, 0xfb, 0x00, 0x00, 0x00, 0xc3), 7); /* to +1 */
    expect_entry(choose(&elf), "something leads to +1");
}

static void an_address_taken_keeps_the_entry(void **state)
{
    (void)state;
    struct elf_fixture elf;
    const uint64_t place = FIXTURE_CODE_ADDRESS + AT + 2;
    begin(&elf, movable, sizeof(movable));
    fixture_symbol(&elf, "label", STT_NOTYPE, place, 0);
    expect_entry(choose(&elf), "something leads to +2");

    begin(&elf, movable, sizeof(movable));
    fixture_symbol(&elf, "alias", STT_FUNC, FIXTURE_CODE_ADDRESS + AT, sizeof(movable));
    expect_place(choose(&elf), 2, "push rbp");

    /* lea rax,[rip+0xfb] */
    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "far", 0, CODE(0x48, 0x8d, 0x05, 0xfb, 0x00, 0x00, 0x00, 0xc3), 8);
    expect_entry(choose(&elf), "something leads to +2");

    /* A pointer in the data, which has no relocation at fixed addresses. */
    begin(&elf, movable, sizeof(movable));
    memcpy(elf.bytes + FIXTURE_DATA_OFFSET + 16, &place, sizeof(place));
    expect_entry(choose(&elf), "something leads to +2");

    begin(&elf, movable, sizeof(movable));
    const Elf64_Rela relocation = {.r_info = R_X86_64_RELATIVE, .r_addend = (int64_t)place};
    fixture_section(
        &elf, ".rela.dyn",
        (Elf64_Shdr){.sh_type = SHT_RELA, .sh_flags = SHF_ALLOC, .sh_entsize = sizeof(relocation)},
        &relocation, sizeof(relocation));
    expect_entry(choose(&elf), "something leads to +2");
}

static void a_jump_table_that_leads_to_it_keeps_the_entry(void **state)
{
    (void)state;
    struct elf_fixture elf;
    const uint8_t leads[] = {0x48, 0x8d, 0x15, 0xf9, 0x02, 0x00, 0x00, 0xc3}; /* lea rdx: +0x300 */
    for (int32_t to = AT + 2; to <= AT + 3; to++) {
        const int32_t table[] = {-0x300, 0x10 - 0x300, to - 0x300, 0x7fffffff};
        begin(&elf, movable, sizeof(movable));
        fixture_function(&elf, "switch", 0, leads, sizeof(leads));
        memcpy(elf.bytes + FIXTURE_CODE_OFFSET + 0x300, table, sizeof(table));
        if (to == AT + 2)
            expect_entry(choose(&elf), "something leads to +2");
        else
            expect_place(choose(&elf), 2, "push rbp");
    }
}

static void passes_a_nop5_behind_others_where_it_becomes_a_call(void **state)
{
    (void)state;
    const struct placement_options calls = {.nop5_becomes_call = always};
    struct elf_fixture elf;
    static const uint8_t first[] = {0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55, 0xc3};
    begin(&elf, first, sizeof(first));
    expect_place(choose_with(&elf, calls), 0, "nop");
    begin(&elf, first, sizeof(first));
    expect_place(choose_with(&elf, (struct placement_options){0}), 5, "push rbp");
    static const uint8_t after_endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00};
    begin(&elf, after_endbr64, sizeof(after_endbr64));
    expect_place(choose_with(&elf, calls), 4, "nop");
    static const uint8_t after_mov[] = {0x48, 0x89, 0xf8, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55, 0xc3};
    begin(&elf, after_mov, sizeof(after_mov));
    expect_place(choose_with(&elf, calls), 8, "push rbp");
    begin(&elf, after_mov, sizeof(after_mov) - 2);
    expect_entry(choose_with(&elf, calls), "none of the first instructions");
}

static void does_not_trust_sizes(void **state)
{
    (void)state;
    struct elf_fixture elf;
    fixture_begin(&elf);
    memcpy(elf.bytes + FIXTURE_CODE_OFFSET + AT, movable, sizeof(movable));
    fixture_symbol(&elf, "f", STT_FUNC, FIXTURE_CODE_ADDRESS + AT, 0);
    expect_entry(choose(&elf), "does not say its size");
    expect_entry(choose_in(movable, 2), "none of the first");
    expect_entry(choose_in(movable, 1), "decode");
    EXPECT_ENTRY("decode", 0x31, 0xc0, 0x41); /* half a push r12 */
    EXPECT_ENTRY("decode", 0x31, 0xc0, 0x74);
    /* The last bytes of the segment, a size beyond it. */
    fixture_begin(&elf);
    memcpy(elf.bytes + FIXTURE_CODE_OFFSET + FIXTURE_CODE_BYTES - 3, movable, 3);
    fixture_symbol(&elf, "f", STT_FUNC, FIXTURE_CODE_ADDRESS + FIXTURE_CODE_BYTES - 3, 1u << 30);
    expect_place(choose(&elf), 2, "push rbp");
    fixture_begin(&elf);
    memcpy(elf.bytes + FIXTURE_CODE_OFFSET, movable, sizeof(movable));
    fixture_symbol(&elf, "f", STT_FUNC, FIXTURE_CODE_ADDRESS, UINT64_MAX);
    expect_place(choose(&elf), 2, "push rbp");
}

static void a_table_that_cannot_be_read_keeps_the_entry(void **state)
{
    (void)state;
    struct elf_fixture elf;
    begin(&elf, movable, sizeof(movable));
    fixture_section(&elf, ".rela.dyn",
                    (Elf64_Shdr){.sh_type = SHT_RELA, .sh_flags = SHF_ALLOC, .sh_entsize = 7},
                    "seven..", 7);
    expect_entry(choose(&elf), "cannot be ruled out");
    begin(&elf, CODE(0x55, PADDING), 6);
    fixture_section(&elf, ".rela.dyn",
                    (Elf64_Shdr){.sh_type = SHT_RELA, .sh_flags = SHF_ALLOC, .sh_entsize = 7},
                    "seven..", 7);
    expect_place(choose(&elf), 0, "push rbp"); /* needs no proof */
}

static void accepts_only_what_every_kernel_emulates(void **state)
{
    (void)state;
    struct emulated_instruction instruction;
    static const uint8_t stepped[][8] = {
        {0x40, 0x53},             /* push rbx with a needless prefix */
        {0x66, 0x53},             /* push bx */
        {0x49, 0x90},             /* xchg r8,rax, which the kernel takes for a nop */
        {0x66, 0xeb, 0x00},       /* refused by the kernel */
        {0x2e, 0x74, 0x00},       /* refused by the kernel */
        {0x66, 0x0f, 0x1f, 0x00}, /* a nop as nobody writes it */
        {0xe3, 0x00},             /* jrcxz */
        {0xc3},                   /* ret */
        {0x0f, 0x1e, 0xfa},
    };
    for (size_t i = 0; i < sizeof(stepped) / sizeof(stepped[0]); i++)
        assert_false(emulated_instruction_match(stepped[i], 8, true, &instruction));
    static const uint8_t long_nop[] = {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00};
    assert_true(emulated_instruction_match(long_nop, 8, true, &instruction));
    assert_int_equal(instruction.length, 8);
    assert_false(emulated_instruction_match(long_nop, 8, false, &instruction));
    assert_false(emulated_instruction_match(long_nop, 7, true, &instruction));
    assert_false(emulated_instruction_match(long_nop, 0, true, &instruction));
}

static void survives_any_damage_to_the_file(void **state)
{
    (void)state;
    struct elf_fixture elf;
    begin(&elf, movable, sizeof(movable));
    fixture_function(&elf, "before", AT - 4, CODE(0x66, 0xb8, 0xeb, 0x02), 4);
    fixture_symbol_table(&elf, SHT_SYMTAB);
    const Elf64_Rela relocation = {.r_info = R_X86_64_RELATIVE, .r_addend = 77};
    fixture_section(
        &elf, ".rela.dyn",
        (Elf64_Shdr){.sh_type = SHT_RELA, .sh_flags = SHF_ALLOC, .sh_entsize = sizeof(relocation)},
        &relocation, sizeof(relocation));
    fixture_end(&elf);
    const size_t length = elf.length;
    for (size_t at = 0; at < length; at += at < 512 || at >= FIXTURE_DATA_OFFSET + 512 ? 1 : 64) {
        const uint8_t kept = elf.bytes[at];
        elf.bytes[at] = (uint8_t)(kept ^ (at % 3 ? 0xff : 1u << at % 8));
        const char *const path = fixture_write(&elf, at % 7 ? length : at);
        elf.bytes[at] = kept;
        struct object_file *object = NULL;
        struct probe_placement *chooser = NULL;
        struct placement placement;
        const struct object_function *functions;
        if (object_file_open(path, &object, NULL) < 0)
            continue;
        assert_int_equal(probe_placement_new(object, &(struct placement_options){0}, &chooser), 0);
        const size_t count = object_file_functions(object, &functions);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(probe_placement_choose(chooser, &functions[i], &placement), 0);
        probe_placement_free(chooser);
        object_file_free(object);
    }
    fixture_done(&elf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_where_the_entry_is_emulated),
        cmocka_unit_test(passes_endbr64_and_plain_instructions),
        cmocka_unit_test(passes_at_most_five),
        cmocka_unit_test(never_passes_what_leaves_or_moves_the_stack),
        cmocka_unit_test(never_passes_what_is_not_plain),
        cmocka_unit_test(keeps_the_return_address_where_it_is),
        cmocka_unit_test(keeps_arguments_only_where_they_are_read),
        cmocka_unit_test(a_loop_over_the_place_keeps_the_entry),
        cmocka_unit_test(a_jump_of_a_neighbour_keeps_the_entry),
        cmocka_unit_test(an_address_taken_keeps_the_entry),
        cmocka_unit_test(a_jump_table_that_leads_to_it_keeps_the_entry),
        cmocka_unit_test(passes_a_nop5_behind_others_where_it_becomes_a_call),
        cmocka_unit_test(does_not_trust_sizes),
        cmocka_unit_test(a_table_that_cannot_be_read_keeps_the_entry),
        cmocka_unit_test(survives_any_damage_to_the_file),
        cmocka_unit_test(accepts_only_what_every_kernel_emulates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
