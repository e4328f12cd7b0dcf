/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "identity/name_pool.h"

static void one_name_has_one_id(void **state)
{
    (void)state;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(100, 1, &pool), 0);
    uint32_t redis = name_pool_intern(pool, "redis");
    uint32_t nginx = name_pool_intern(pool, "nginx");
    assert_int_not_equal(redis, nginx);
    assert_int_not_equal(redis, NAME_POOL_OTHER);
    assert_int_equal(name_pool_intern(pool, "redis"), redis);
    assert_string_equal(name_pool_name(pool, nginx), "nginx");
    assert_string_equal(name_pool_name(pool, NAME_POOL_OTHER), "(other)");
    assert_string_equal(name_pool_name(pool, 77), "(other)");
    assert_int_equal(name_pool_intern(pool, "(other)"), NAME_POOL_OTHER);
    assert_int_equal(name_pool_count(pool), 3);
    assert_string_equal(name_pool_name(pool, name_pool_intern(pool, "")), "");
}

static void names_keep_ids_and_places_through_growth(void **state)
{
    (void)state;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(20001, 7, &pool), 0);
    uint64_t bytes_before = name_pool_bytes(pool);
    const char *places[20000];
    uint32_t ids[20000];
    char name[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "unit-%d.service", i);
        ids[i] = name_pool_intern(pool, name);
        places[i] = name_pool_name(pool, ids[i]);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "unit-%d.service", i);
        assert_int_equal(name_pool_intern(pool, name), ids[i]);
        assert_ptr_equal(name_pool_name(pool, ids[i]), places[i]);
        assert_string_equal(places[i], name);
    }
    assert_int_equal(name_pool_refused(pool), 0);
    /* 18 bytes of name, 8 of pointer, 4 of slot, at most twice */
    assert_in_range((name_pool_bytes(pool) - bytes_before) / 20000, 18, 42);
}

static void names_of_all_lengths_keep_apart(void **state)
{
    (void)state;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(5001, 7, &pool), 0);
    uint32_t ids[5000];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            char name[64];
            snprintf(name, sizeof(name), "%d%.*s", i, i * 7 % 41,
                     "----------------------------------------");
            uint32_t id = name_pool_intern(pool, name);
            if (round == 0)
                ids[i] = id;
            assert_int_equal(id, ids[i]);
            assert_string_equal(name_pool_name(pool, id), name);
        }
    }
}

static void a_full_pool_refuses_and_counts(void **state)
{
    (void)state;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(3, 1, &pool), 0);
    uint32_t first = name_pool_intern(pool, "a");
    uint32_t second = name_pool_intern(pool, "b");
    assert_int_equal(name_pool_intern(pool, "c"), NAME_POOL_OTHER);
    assert_int_equal(name_pool_refused(pool), 1);
    assert_int_equal(name_pool_intern(pool, "a"), first);
    assert_int_equal(name_pool_intern(pool, "b"), second);
    assert_int_equal(name_pool_count(pool), 3);
}

static void names_are_sanitized_and_cut(void **state)
{
    (void)state;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(10, 1, &pool), 0);
    assert_string_equal(name_pool_name(pool, name_pool_intern(pool, "a\x1b[m\xff")), "a?[m?");
    char name[1000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(strlen(name_pool_name(pool, name_pool_intern(pool, name))),
                     NAME_POOL_NAME_BYTES - 1);
}

static void refuses_senseless_sizes(void **state)
{
    (void)state;
    struct name_pool *pool = NULL;
    assert_int_equal(name_pool_new(0, 1, &pool), -EINVAL);
    assert_int_equal(name_pool_new(UINT32_MAX, 1, &pool), -EINVAL);
    assert_null(pool);
}

static void intern_many(void *context)
{
    (void)context;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = NULL;
    if (name_pool_new(1000, 1, &pool) < 0)
        return;
    char name[32];
    unsigned refused = 0;
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "name-%d", i);
        uint32_t id = name_pool_intern(pool, name);
        refused += id == NAME_POOL_OTHER;
        if (id != NAME_POOL_OTHER)
            assert_string_equal(name_pool_name(pool, id), name);
    }
    assert_int_equal(name_pool_count(pool), 401 - refused);
    assert_int_equal(name_pool_refused(pool), refused);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(intern_many, NULL), 8, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_has_one_id),
        cmocka_unit_test(names_keep_ids_and_places_through_growth),
        cmocka_unit_test(names_of_all_lengths_keep_apart),
        cmocka_unit_test(a_full_pool_refuses_and_counts),
        cmocka_unit_test(names_are_sanitized_and_cut),
        cmocka_unit_test(refuses_senseless_sizes),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
