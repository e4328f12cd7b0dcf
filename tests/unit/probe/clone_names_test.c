/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/clone_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_base(const char *name, const char *base, bool is_cold)
{
    bool cold = !is_cold;
    assert_int_equal(clone_base_length(name, &cold), strlen(base));
    assert_int_equal(strncmp(name, base, strlen(base)), 0);
    assert_int_equal(cold, is_cold);
}

static void cuts_compiler_suffixes(void **state)
{
    (void)state;
    expect_base("work", "work", false);
    expect_base("work.constprop.0", "work", false);
    expect_base("work.isra.12.part.3", "work", false);
    expect_base("work.part.0.cold", "work", true);
    expect_base("work.cold.7", "work", true);
    expect_base("work.lto_priv.0.constprop.1", "work", false);
    expect_base("work.llvm.1234567890", "work", false);
    expect_base("ns.work.cold", "ns.work", true);
}

static void leaves_other_dots_alone(void **state)
{
    (void)state;
    expect_base("", "", false);
    expect_base(".", ".", false);
    expect_base(".cold", ".cold", false);
    expect_base("work.1", "work.1", false);
    expect_base("work.constprop.", "work.constprop.", false);
    expect_base("work.constprop.0x", "work.constprop.0x", false);
    expect_base("main.(*T).part2", "main.(*T).part2", false);
    expect_base("work.colder", "work.colder", false);
}

static void clones_match_their_function(void **state)
{
    (void)state;
    assert_true(clone_name_matches("work", "work.isra.0"));
    assert_true(clone_name_matches("w*k", "work.isra.0"));
    assert_true(clone_name_matches("work.isra.0", "work.isra.0"));
    assert_false(clone_name_matches("work", "works"));
    assert_false(clone_name_matches("work", "work.init"));
    char base[5];
    assert_true(clone_base_name("work.isra.0", base, sizeof(base)));
    assert_string_equal(base, "work");
    assert_false(clone_base_name("works.isra.0", base, sizeof(base)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_compiler_suffixes),
        cmocka_unit_test(leaves_other_dots_alone),
        cmocka_unit_test(clones_match_their_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
