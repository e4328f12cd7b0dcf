/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probe/calibration_code.h"

#define TRAP   0xcc
#define RETURN 0xc3

static int open_code(void **state)
{
    static struct calibration_code code;
    *state = &code;
    return calibration_code_init(&code, NULL);
}

static int close_code(void **state)
{
    calibration_code_done(*state);
    return 0;
}

static uint8_t byte_at(const struct calibration_code *code, uint64_t offset)
{
    uint8_t byte = 0;
    assert_int_equal(pread(code->fd, &byte, 1, (off_t)offset), 1);
    return byte;
}

static enum calibration_place place_at(const struct calibration_code *code, uint64_t offset)
{
    uint8_t bytes[16] = {0};
    assert_int_equal(pread(code->fd, bytes, sizeof(bytes), (off_t)offset), sizeof(bytes));
    return calibration_place_of(bytes, sizeof(bytes));
}

typedef void (*function_fn)(const struct calibration_code *code,
                            const struct calibration_function *function, unsigned copy,
                            enum calibration_place place);

static void each_function(const struct calibration_code *code, function_fn on_function)
{
    struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX];
    for (unsigned copy = 0; copy < CALIBRATION_COPIES; copy++) {
        for (unsigned place = 0; place < CALIBRATION_PLACES; place++) {
            size_t count =
                calibration_code_functions(code, copy, (enum calibration_place)place, functions);
            assert_in_range(count, 1, CALIBRATION_FUNCTIONS_MAX);
            for (size_t i = 0; i < count; i++)
                on_function(code, &functions[i], copy, (enum calibration_place)place);
        }
    }
}

static void call(const struct calibration_code *code, const struct calibration_function *function,
                 unsigned copy, enum calibration_place place)
{
    (void)code, (void)copy, (void)place;
    function->probed();
    function->bare();
}

static void its_functions_can_be_called(void **state)
{
    each_function(*state, call);
}

static void check_offsets(const struct calibration_code *code,
                          const struct calibration_function *function, unsigned copy,
                          enum calibration_place place)
{
    (void)copy, (void)place;
    uint8_t in_memory = *(const uint8_t *)(uintptr_t)function->probed;
    assert_int_equal(byte_at(code, function->entry), in_memory);
    assert_int_equal(byte_at(code, function->exit), RETURN);
    assert_int_equal(byte_at(code, function->exit + 1), TRAP);
    assert_true(function->entry < function->mark && function->mark < function->exit);
    assert_ptr_not_equal(function->probed, function->bare);
}

static void its_offsets_lead_to_entry_and_exit(void **state)
{
    each_function(*state, check_offsets);
}

static void check_place(const struct calibration_code *code,
                        const struct calibration_function *function, unsigned copy,
                        enum calibration_place place)
{
    (void)copy;
    enum calibration_place mark = place_at(code, function->mark);
    if (place == CALIBRATION_MARK || place == CALIBRATION_MARK_NOP5) {
        enum calibration_place nop = place == CALIBRATION_MARK ? CALIBRATION_NOP : CALIBRATION_NOP5;
        assert_int_equal(place_at(code, function->entry), nop);
        assert_int_equal(mark, nop);
    } else {
        assert_int_equal(place_at(code, function->entry), place);
    }
}

static void its_functions_start_as_their_place_says(void **state)
{
    each_function(*state, check_place);
}

static uint64_t seen[CALIBRATION_COPIES * CALIBRATION_PLACES * CALIBRATION_FUNCTIONS_MAX];
static size_t seen_count;

static void check_unseen(const struct calibration_code *code,
                         const struct calibration_function *function, unsigned copy,
                         enum calibration_place place)
{
    (void)code, (void)copy, (void)place;
    for (size_t i = 0; i < seen_count; i++)
        assert_int_not_equal(seen[i], function->entry);
    seen[seen_count++] = function->entry;
}

static void no_two_copies_share_a_function(void **state)
{
    seen_count = 0;
    each_function(*state, check_unseen);
}

static void nobody_can_change_it(void **state)
{
    const struct calibration_code *code = *state;
    assert_int_equal(pwrite(code->fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(code->fd, 0), -1);
    assert_int_equal(fcntl(code->fd, F_ADD_SEALS, F_SEAL_SHRINK), -1);
}

static enum calibration_place place_of(const char *code, size_t bytes)
{
    return calibration_place_of((const uint8_t *)code, bytes);
}

static void knows_what_is_emulated(void **state)
{
    (void)state;
    assert_int_equal(place_of("\x53", 1), CALIBRATION_PUSH);     /* push %rbx */
    assert_int_equal(place_of("\x41\x57", 2), CALIBRATION_PUSH); /* push %r15 */
    assert_int_equal(place_of("\x90", 1), CALIBRATION_NOP);      /* nop */
    assert_int_equal(place_of("\x66\x90", 2), CALIBRATION_NOP);  /* xchg %ax, %ax */
    assert_int_equal(place_of("\x66\x0f\x1f\x44\x00\x00", 6), CALIBRATION_NOP);
    assert_int_equal(place_of("\xeb\x10", 2), CALIBRATION_NOP); /* jmp */
    assert_int_equal(place_of("\x74\x53", 2), CALIBRATION_NOP); /* je */
    assert_int_equal(place_of("\x0f\x84\x10\x00\x00\x00", 6), CALIBRATION_NOP);
    assert_int_equal(place_of("\xe8\x10\x00\x00\x00", 5), CALIBRATION_NOP);
    assert_int_equal(place_of("\x0f\x1f\x44\x00\x00", 5), CALIBRATION_NOP5);
}

static void knows_what_is_stepped(void **state)
{
    (void)state;
    assert_int_equal(place_of("\xf3\x0f\x1e\xfa", 4), CALIBRATION_STEPPED); /* endbr64 */
    assert_int_equal(place_of("\x48\x89\xf8", 3), CALIBRATION_STEPPED);     /* mov %rdi, %rax */
    assert_int_equal(place_of("\x41\x89\xd0", 3), CALIBRATION_STEPPED);     /* mov %edx, %r8d */
    assert_int_equal(place_of("\x48\x83\xec\x08", 4), CALIBRATION_STEPPED); /* sub $8, %rsp */
    assert_int_equal(place_of("\x0f\xb6\x07", 3), CALIBRATION_STEPPED);     /* movzbl */
    assert_int_equal(place_of("\x66\x89\xd0", 3), CALIBRATION_STEPPED);     /* mov %dx, %ax */
}

static void unreadable_code_gets_the_smaller_bias(void **state)
{
    (void)state;
    assert_int_equal(place_of("", 0), CALIBRATION_NOP);
}

static void every_place_has_a_name(void **state)
{
    (void)state;
    for (unsigned place = 0; place < CALIBRATION_PLACES; place++)
        assert_string_not_equal(calibration_place_name((enum calibration_place)place), "?");
    assert_string_equal(calibration_place_name(CALIBRATION_PLACES), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_functions_can_be_called),
        cmocka_unit_test(its_offsets_lead_to_entry_and_exit),
        cmocka_unit_test(its_functions_start_as_their_place_says),
        cmocka_unit_test(no_two_copies_share_a_function),
        cmocka_unit_test(nobody_can_change_it),
        cmocka_unit_test(knows_what_is_emulated),
        cmocka_unit_test(knows_what_is_stepped),
        cmocka_unit_test(unreadable_code_gets_the_smaller_bias),
        cmocka_unit_test(every_place_has_a_name),
    };
    return cmocka_run_group_tests(tests, open_code, close_code);
}
