/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"

static void the_seed_stays_for_the_process(void **state)
{
    (void)state;
    uint64_t seed = hash_seed();
    assert_true(seed != 0);
    assert_true(hash_seed() == seed);
}

static void is_xxh3_with_the_given_seed(void **state)
{
    (void)state;
    /* published by xxHash: XXH3_64bits of nothing with seed 0 */
    assert_true(hash_bytes("", 0, 0) == 0x2d06800538d394c2u);
    assert_true(hash_bytes("loris", 5, 1) == hash_bytes("loris", 5, 1));
    assert_true(hash_bytes("loris", 5, 1) != hash_bytes("loris", 5, 2));
    assert_true(hash_bytes("loris", 5, 1) != hash_bytes("lorid", 5, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_stays_for_the_process),
        cmocka_unit_test(is_xxh3_with_the_given_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
