/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct table_column columns[] = {
    {"NAME", .is_name = true},
    {"COUNT", .is_right = true},
    {"MEAN", .is_right = true, .giving = 2},
    {"MAX", .is_right = true, .giving = 1},
};

static void fill(struct table *table, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_cell(table, cells[i]);
}

static void assert_table(const char *const *cells, size_t count, unsigned width,
                         const char *expected)
{
    struct table *table = NULL;
    struct text out = {0};
    assert_int_equal(table_new(columns, 4, &table), 0);
    fill(table, cells, count);
    table_print(table, width, 0, false, &out);
    assert_int_equal(out.failed, 0);
    assert_string_equal(out.bytes, expected);
    text_done(&out);
    table_free(table);
}

static const char *const cells[] = {
    "a", "1", "10 ns", "2 s", "user:/usr/lib/libvery-long.so.1:function", "1,234,567", "7", "8 ms",
};

static void aligns_to_the_content(void **state)
{
    (void)state;
    assert_table(cells, 8, 0,
                 "NAME                                          COUNT   MEAN   MAX\n"
                 "a                                                 1  10 ns   2 s\n"
                 "user:/usr/lib/libvery-long.so.1:function  1,234,567      7  8 ms\n");
}

static void cuts_names_in_the_middle(void **state)
{
    (void)state;
    assert_table(cells, 8, 50,
                 "NAME                            COUNT   MEAN   MAX\n"
                 "a                                   1  10 ns   2 s\n"
                 "user:/usr/li..o.1:function  1,234,567      7  8 ms\n");
}

static void drops_columns_before_names_become_useless(void **state)
{
    (void)state;
    assert_table(cells, 8, 40,
                 "NAME                         COUNT   MAX\n"
                 "a                                1   2 s\n"
                 "user:/usr/l..1:function  1,234,567  8 ms\n");
    assert_table(cells, 8, 20,
                 "NAME           COUNT\n"
                 "a                  1\n"
                 "user..ion  1,234,567\n");
}

static void never_exceeds_the_width(void **state)
{
    (void)state;
    for (unsigned width = 16; width < 100; width++) {
        struct table *table = NULL;
        struct text out = {0};
        assert_int_equal(table_new(columns, 4, &table), 0);
        fill(table, cells, 8);
        table_print(table, width, 0, false, &out);
        for (const char *line = out.bytes; *line; line += strcspn(line, "\n") + 1)
            assert_true(strcspn(line, "\n") <= width);
        text_done(&out);
        table_free(table);
    }
}

static void counts_characters_and_not_bytes(void **state)
{
    (void)state;
    static const char *const accents[] = {"f\xc3\xbcnf", "1", "2", "3", "abcd", "1", "2", "3"};
    assert_table(accents, 8, 0,
                 "NAME  COUNT  MEAN  MAX\n"
                 "f\xc3\xbcnf      1     2    3\n"
                 "abcd      1     2    3\n");
}

static void shows_no_control_characters(void **state)
{
    (void)state;
    static const char *const evil[] = {"a\033[2Jb", "1\n", "2", "3"};
    assert_table(evil, 4, 0, "NAME    COUNT  MEAN  MAX\na?[2Jb     1?     2    3\n");
}

static void leaves_out_an_incomplete_row(void **state)
{
    (void)state;
    assert_table(cells, 6, 0, "NAME  COUNT   MEAN  MAX\na         1  10 ns  2 s\n");
    assert_table(cells, 0, 0, "NAME  COUNT  MEAN  MAX\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns_to_the_content),
        cmocka_unit_test(cuts_names_in_the_middle),
        cmocka_unit_test(drops_columns_before_names_become_useless),
        cmocka_unit_test(never_exceeds_the_width),
        cmocka_unit_test(counts_characters_and_not_bytes),
        cmocka_unit_test(shows_no_control_characters),
        cmocka_unit_test(leaves_out_an_incomplete_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
