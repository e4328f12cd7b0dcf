/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/function_exits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "elf_fixture.h"

#define AT(offset) (FIXTURE_CODE_OFFSET + (offset))

/* The function under test is "f" at 0; what else there is comes before the call. */
static int find(struct elf_fixture *elf, struct function_exits *exits, struct diag *diag)
{
    struct object_file *object = NULL;
    const struct object_function *functions;
    if (object_file_open(fixture_end(elf), &object, diag) < 0)
        fail_msg("%s", diag->what);
    const size_t count = object_file_functions(object, &functions);
    int r = 1;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(functions[i].name, "f"))
            r = function_exits_find(object, &functions[i], exits, diag);
    object_file_free(object);
    fixture_done(elf);
    return r;
}

static void add_f(struct elf_fixture *elf, const void *code, size_t length)
{
    fixture_begin(elf);
    fixture_function(elf, "f", 0, code, length);
}

static void expect_exits(struct elf_fixture *elf, const uint64_t *offsets, size_t count)
{
    struct function_exits exits = {0};
    struct diag diag = {0};
    fixture_symbol_table(elf, SHT_SYMTAB);
    if (find(elf, &exits, &diag) != 0)
        fail_msg("%s", diag.what);
    assert_int_equal(exits.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(exits.file_offsets[i], AT(offsets[i]));
}

static void expect_refusal(struct elf_fixture *elf, const char *words)
{
    struct function_exits exits = {.count = 77};
    struct diag diag = {0};
    fixture_symbol_table(elf, SHT_SYMTAB);
    assert_int_equal(find(elf, &exits, &diag), -EOPNOTSUPP);
    assert_int_equal(exits.count, 77);
    if (!strstr(diag.what, words))
        fail_msg("'%s' lacks '%s'", diag.what, words);
}

static void finds_every_return(void **state)
{
    (void)state;
    struct elf_fixture elf;
    /* test edi,edi; je +2; repz ret... ; bnd ret; ret 8 */
    static const uint8_t code[] = {0x85, 0xff, 0x74, 0x02, 0xf3, 0xc3, 0x75,
                                   0x02, 0xf2, 0xc3, 0xc2, 0x08, 0x00};
    add_f(&elf, code, sizeof(code));
    expect_exits(&elf, (const uint64_t[]){4, 8, 10}, 3);
}

static void accepts_functions_that_never_return(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const uint8_t calls[] = {0x50, 0xe8, 0x00, 0x01, 0x00, 0x00}; /* push; call elsewhere */
    add_f(&elf, calls, sizeof(calls));
    expect_exits(&elf, NULL, 0);
    static const uint8_t loops[] = {0x90, 0xeb, 0xfe}; /* nop; jmp to itself */
    add_f(&elf, loops, sizeof(loops));
    expect_exits(&elf, NULL, 0);
    static const uint8_t traps[] = {0x0f, 0x0b};
    add_f(&elf, traps, sizeof(traps));
    expect_exits(&elf, NULL, 0);
}

static void refuses_tail_calls(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const uint8_t jump[] = {0x90, 0xe9, 0x00, 0x01, 0x00, 0x00};
    add_f(&elf, jump, sizeof(jump));
    expect_refusal(&elf, "jumps out of the function (tail call) (+0x1)");
    static const uint8_t conditional[] = {0x0f, 0x84, 0x00, 0x01, 0x00, 0x00, 0xc3};
    add_f(&elf, conditional, sizeof(conditional));
    expect_refusal(&elf, "tail call");
    static const uint8_t indirect[] = {0xff, 0xe0};
    add_f(&elf, indirect, sizeof(indirect));
    expect_refusal(&elf, "an indirect jump");
}

static void refuses_what_cannot_be_followed(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const uint8_t garbage[] = {0x90, 0x06, 0xc3};
    add_f(&elf, garbage, sizeof(garbage));
    expect_refusal(&elf, "bytes that do not decode (+0x1)");
    static const uint8_t cut[] = {0x90, 0x48, 0x89};
    add_f(&elf, cut, sizeof(cut));
    expect_refusal(&elf, "bytes that do not decode");
    static const uint8_t open_end[] = {0x90, 0x50};
    add_f(&elf, open_end, sizeof(open_end));
    expect_refusal(&elf, "runs on into what follows");
    static const uint8_t into_middle[] = {0xeb, 0x01, 0xb8, 0xc3, 0x00, 0x00, 0x00, 0xc3};
    add_f(&elf, into_middle, sizeof(into_middle));
    expect_refusal(&elf, "into the middle of an instruction");
    static const uint8_t to_start[] = {0xff, 0xc8, 0x75, 0xfc, 0xc3};
    add_f(&elf, to_start, sizeof(to_start));
    expect_refusal(&elf, "jumps back to its first instruction");
    static const uint8_t own_call[] = {0xe8, 0x00, 0x00, 0x00, 0x00, 0xc3};
    add_f(&elf, own_call, sizeof(own_call));
    expect_refusal(&elf, "calls into its own middle");
    static const uint8_t far_return[] = {0x48, 0xcb};
    add_f(&elf, far_return, sizeof(far_return));
    expect_refusal(&elf, "a far return");
    add_f(&elf, far_return, 0);
    expect_refusal(&elf, "does not say its size");
}

static void refuses_functions_with_another_entry(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const uint8_t code[] = {0x90, 0x90, 0xc3};
    add_f(&elf, code, sizeof(code));
    fixture_symbol(&elf, "inside", STT_FUNC, FIXTURE_CODE_ADDRESS + 1, 2);
    expect_refusal(&elf, "another function begins inside it");
}

static void refuses_more_returns_than_it_can_hold(void **state)
{
    (void)state;
    struct elf_fixture elf;
    uint8_t code[FUNCTION_EXITS_MAX + 1];
    memset(code, 0xc3, sizeof(code));
    add_f(&elf, code, sizeof(code));
    expect_refusal(&elf, "more than 256 return instructions");
    add_f(&elf, code, FUNCTION_EXITS_MAX);
    uint64_t all[FUNCTION_EXITS_MAX];
    for (size_t i = 0; i < FUNCTION_EXITS_MAX; i++)
        all[i] = i;
    expect_exits(&elf, all, FUNCTION_EXITS_MAX);
}

static void follows_jumps_into_the_cold_part(void **state)
{
    (void)state;
    struct elf_fixture elf;
    /* je cold (at 0x40); ret */
    static const uint8_t code[] = {0x0f, 0x84, 0x3a, 0x00, 0x00, 0x00, 0xc3};
    /* nop; ret; jmp back to the ret of f */
    static const uint8_t cold[] = {0x90, 0xc3, 0xe9, 0xbf, 0xff, 0xff, 0xff};
    add_f(&elf, code, sizeof(code));
    fixture_function(&elf, "f.cold", 0x40, cold, sizeof(cold));
    expect_exits(&elf, (const uint64_t[]){6, 0x41}, 2);

    add_f(&elf, code, sizeof(code));
    fixture_function(&elf, "other.cold", 0x40, cold, sizeof(cold));
    expect_refusal(&elf, "tail call");

    /* An alias gives the cold part its name. */
    add_f(&elf, code, sizeof(code));
    fixture_symbol(&elf, "g", STT_FUNC, FIXTURE_CODE_ADDRESS, sizeof(code));
    fixture_function(&elf, "g.cold", 0x40, cold, sizeof(cold));
    expect_exits(&elf, (const uint64_t[]){6, 0x41}, 2);
}

static void jumps_behind_a_lock_prefix_are_fine(void **state)
{
    (void)state;
    struct elf_fixture elf;
    /* je 1f; lock; 1: cmpxchg %edx,(%rdi); ret */
    static const uint8_t code[] = {0x74, 0x01, 0xf0, 0x0f, 0xb1, 0x17, 0xc3};
    add_f(&elf, code, sizeof(code));
    expect_exits(&elf, (const uint64_t[]){6}, 1);
}

/* As gcc writes a switch of four cases; the table lies at 0x100. */
static const uint8_t switch_code[] = {
    0x83, 0xff, 0x03,                         /* 00 cmp $3,%edi */
    0x77, 0x17,                               /* 03 ja 1c */
    0x48, 0x8d, 0x15, 0xf4, 0x00, 0x00, 0x00, /* 05 lea 0xf4(%rip),%rdx = 100 */
    0x89, 0xff,                               /* 0c mov %edi,%edi */
    0x48, 0x63, 0x04, 0xba,                   /* 0e movslq (%rdx,%rdi,4),%rax */
    0x48, 0x01, 0xd0,                         /* 12 add %rdx,%rax */
    0xff, 0xe0,                               /* 15 jmp *%rax */
    0xc3,                                     /* 17 ret */
    0x90, 0xc3,                               /* 18 nop; ret */
    0x90, 0xc3,                               /* 1a nop; ret */
    0xc3,                                     /* 1c ret */
};

static void add_switch(struct elf_fixture *elf, const uint8_t *code, const int32_t *table,
                       size_t entries)
{
    add_f(elf, code, sizeof(switch_code));
    memcpy(elf->bytes + AT(0x100), table, entries * sizeof(*table));
}

static void reads_bounded_jump_tables(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const int32_t table[] = {0x17 - 0x100, 0x18 - 0x100, 0x1a - 0x100, 0x17 - 0x100};
    add_switch(&elf, switch_code, table, 4);
    expect_exits(&elf, (const uint64_t[]){0x17, 0x19, 0x1b, 0x1c}, 4);
}

static void refuses_jump_tables_that_lead_astray(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const int32_t outside[] = {0x17 - 0x100, 0x18 - 0x100, 0x80 - 0x100, 0x17 - 0x100};
    add_switch(&elf, switch_code, outside, 4);
    expect_refusal(&elf, "leads out of the function");
    static const int32_t crooked[] = {0x17 - 0x100, 0x06 - 0x100, 0x1a - 0x100, 0x17 - 0x100};
    add_switch(&elf, switch_code, crooked, 4);
    expect_refusal(&elf, "into the middle of an instruction");
    static const int32_t behind_bound[] = {0x17 - 0x100, 0x0c - 0x100, 0x1a - 0x100, 0x17 - 0x100};
    add_switch(&elf, switch_code, behind_bound, 4);
    expect_refusal(&elf, "reached past its bound");

    static const int32_t fine[] = {0x17 - 0x100, 0x18 - 0x100, 0x1a - 0x100, 0x17 - 0x100};
    uint8_t code[sizeof(switch_code)];
    memcpy(code, switch_code, sizeof(code));
    code[3] = 0x74; /* je instead of ja: no bound */
    add_switch(&elf, code, fine, 4);
    expect_refusal(&elf, "an indirect jump");
    memcpy(code, switch_code, sizeof(code));
    code[1] = 0xfe; /* compares %esi */
    add_switch(&elf, code, fine, 4);
    expect_refusal(&elf, "an indirect jump");
    memcpy(code, switch_code, sizeof(code));
    memcpy(code + 0x0c, "\xff\xc7", 2); /* inc %edi after the comparison */
    add_switch(&elf, code, fine, 4);
    expect_refusal(&elf, "an indirect jump");
}

static void believes_notrack_only_where_cold_parts_have_names(void **state)
{
    (void)state;
    struct elf_fixture elf;
    static const uint8_t code[] = {0x3e, 0xff, 0xe0, 0xc3}; /* notrack jmp *%rax; ret */
    add_f(&elf, code, sizeof(code));
    expect_exits(&elf, (const uint64_t[]){3}, 1);

    struct function_exits exits = {0};
    struct diag diag = {0};
    add_f(&elf, code, sizeof(code));
    fixture_symbol_table(&elf, SHT_DYNSYM);
    assert_int_equal(find(&elf, &exits, &diag), -EOPNOTSUPP);
    assert_non_null(strstr(diag.what, "a jump table without a known end"));
}

static void tells_how_far_the_entry_is_straight(void **state)
{
    (void)state;
    struct elf_fixture elf;
    struct function_exits exits = {0};
    struct diag diag = {0};
    /* endbr64; nop; 5: dec %eax; jne 5; ret */
    static const uint8_t loop[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x90, 0xff, 0xc8, 0x75, 0xfc, 0xc3};
    add_f(&elf, loop, sizeof(loop));
    fixture_symbol_table(&elf, SHT_SYMTAB);
    assert_int_equal(find(&elf, &exits, &diag), 0);
    assert_int_equal(exits.entry_bytes, 5);
    /* nop; call; ret */
    static const uint8_t calls[] = {0x90, 0xe8, 0x00, 0x01, 0x00, 0x00, 0xc3};
    add_f(&elf, calls, sizeof(calls));
    fixture_symbol_table(&elf, SHT_SYMTAB);
    assert_int_equal(find(&elf, &exits, &diag), 0);
    assert_int_equal(exits.entry_bytes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_return),
        cmocka_unit_test(accepts_functions_that_never_return),
        cmocka_unit_test(refuses_tail_calls),
        cmocka_unit_test(refuses_what_cannot_be_followed),
        cmocka_unit_test(refuses_functions_with_another_entry),
        cmocka_unit_test(refuses_more_returns_than_it_can_hold),
        cmocka_unit_test(follows_jumps_into_the_cold_part),
        cmocka_unit_test(jumps_behind_a_lock_prefix_are_fine),
        cmocka_unit_test(reads_bounded_jump_tables),
        cmocka_unit_test(refuses_jump_tables_that_lead_astray),
        cmocka_unit_test(believes_notrack_only_where_cold_parts_have_names),
        cmocka_unit_test(tells_how_far_the_entry_is_straight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
