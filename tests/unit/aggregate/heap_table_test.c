/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/heap_table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define GROUPS    50

static struct heap_table *new_table(uint32_t groups_max)
{
    struct heap_table *table = NULL;
    assert_int_equal(heap_table_new(groups_max, 42, &table), 0);
    return table;
}

static struct heap_key process(uint32_t target, uint64_t who)
{
    return (struct heap_key){target, HEAP_PROCESS, who};
}

static void finds_what_was_made_and_nothing_else(void **state)
{
    (void)state;
    _cleanup_(heap_table_free_cleanup) struct heap_table *table = new_table(GROUPS);
    for (uint64_t i = 0; i < GROUPS; i++)
        heap_table_get(table, process(1, i))->counts.bytes = i;
    for (uint64_t i = 0; i < GROUPS; i++)
        assert_int_equal(heap_table_find(table, process(1, i))->counts.bytes, i);
    assert_null(heap_table_find(table, process(2, 0)));
    assert_null(heap_table_find(table, (struct heap_key){1, HEAP_UNIT, 0}));
    assert_int_equal(heap_table_count(table), GROUPS);
}

static void what_finds_no_room_goes_to_the_others_of_its_target(void **state)
{
    (void)state;
    _cleanup_(heap_table_free_cleanup) struct heap_table *table = new_table(2);
    heap_table_get(table, process(1, 1));
    heap_table_get(table, process(1, 2));
    struct heap_group *others = heap_table_get(table, process(7, 3));
    assert_int_equal(others->key.target, 7);
    assert_int_equal(others->key.level, HEAP_UNIT);
    assert_int_equal(others->key.who, 0);
    assert_ptr_equal(heap_table_get(table, process(7, 4)), others);
    assert_int_equal(heap_table_count(table), 3);
}

/* Against an array: a removal may not lose what lies behind it in the index. */
static void random_removals_lose_nothing_else(void **state)
{
    (void)state;
    bool is_there[GROUPS] = {false};
    size_t count = 0;
    srand(7);
    _cleanup_(heap_table_free_cleanup) struct heap_table *table = new_table(GROUPS);
    for (int step = 0; step < 20000; step++) {
        uint64_t who = (uint64_t)rand() % GROUPS;
        if (rand() % 2) {
            count += !is_there[who];
            is_there[who] = true;
            struct heap_group *group = heap_table_get(table, process(1, who));
            group->counts.bytes = who;
            assert_int_equal(sketch_record(&group->sizes, 640 + (uint32_t)who, 1), 0);
        } else {
            count -= is_there[who];
            is_there[who] = false;
            heap_table_remove(table, process(1, who));
        }
        assert_int_equal(heap_table_count(table), count);
        for (uint64_t i = 0; step % 100 == 0 && i < GROUPS; i++) {
            struct heap_group *found = heap_table_find(table, process(1, i));
            assert_int_equal(found != NULL, is_there[i]);
            if (found)
                assert_int_equal(found->counts.bytes, i);
        }
    }
}

static void removing_a_target_leaves_the_others(void **state)
{
    (void)state;
    _cleanup_(heap_table_free_cleanup) struct heap_table *table = new_table(GROUPS);
    for (uint64_t i = 0; i < GROUPS; i++)
        heap_table_get(table, process(1 + (uint32_t)(i % 2), i));
    heap_table_remove_target(table, 2);
    assert_int_equal(heap_table_count(table), GROUPS / 2);
    for (uint64_t i = 0; i < GROUPS; i += 2)
        assert_non_null(heap_table_find(table, process(1, i)));
}

static struct loris_heap_row some_counts(void)
{
    return (struct loris_heap_row){
        .calls = {[LORIS_HEAP_MALLOC] = 10, [LORIS_HEAP_REALLOC] = 4, [LORIS_HEAP_FREE] = 6},
        .failures = {[LORIS_HEAP_MALLOC] = 1},
        .bytes = 1200,
        .live_bytes = 500,
        .live_count = 5,
        .frees = 5,
        .frees_null = 1,
        .released_by_realloc = 1,
        .resized = 2,
        .vanished = 1,
        .size_min_inverted = ~8ull,
        .size_max = 300,
    };
}

static void adds_counts_and_lets_the_dead_hold_nothing(void **state)
{
    (void)state;
    struct loris_heap_row sum = {0};
    const struct loris_heap_row one = some_counts();
    heap_counts_add(&sum, &one, true);
    heap_counts_add(&sum, &one, false);
    assert_int_equal(sum.calls[LORIS_HEAP_MALLOC], 20);
    assert_int_equal(heap_counts_calls(&sum), 28);
    assert_int_equal(heap_counts_failures(&sum), 2);
    assert_int_equal(heap_counts_succeeded(&sum), 24);
    assert_int_equal(sum.live_bytes, 500);
    assert_int_equal(sum.live_count, 5);
    assert_int_equal(sum.vanished, 1 + 1 + 5);
    assert_int_equal(~sum.size_min_inverted, 8);
    assert_int_equal(sum.size_max, 300);
    /* Where every block went, before and after. */
    assert_int_equal(sum.live_count, heap_counts_succeeded(&sum) - sum.resized - sum.frees -
                                         sum.vanished - sum.untracked + 2);
}

static void growth_is_what_was_gained_within_the_window(void **state)
{
    (void)state;
    struct heap_growth growth = {0};
    for (uint64_t i = 0; i <= 20; i++) /* 100 bytes a second, for 200 s */
        heap_growth_observe(&growth, (int64_t)(i * 1000), i * 10 * SECOND_NS, 60 * SECOND_NS);
    double grown = heap_growth_per_s(&growth, 20500, 205 * SECOND_NS, 60 * SECOND_NS);
    assert_true(fabs(grown - 100) < 0.001);
    /* It stands still, and then gives back. */
    for (uint64_t i = 21; i <= 40; i++)
        heap_growth_observe(&growth, 20000, i * 10 * SECOND_NS, 60 * SECOND_NS);
    assert_true(heap_growth_per_s(&growth, 20000, 400 * SECOND_NS, 60 * SECOND_NS) == 0);
    assert_true(heap_growth_per_s(&growth, 14000, 400 * SECOND_NS, 60 * SECOND_NS) < -99);
}

static void the_whole_window_is_looked_back_however_long(void **state)
{
    (void)state;
    static const uint64_t windows_s[] = {2, 10, 60, 600};
    for (size_t i = 0; i < sizeof(windows_s) / sizeof(windows_s[0]); i++) {
        struct heap_growth growth = {0};
        uint64_t window_s = windows_s[i];
        /* 100 bytes a second, seen once a second, and nothing in the second half of a window. */
        for (uint64_t at = 0; at <= 4 * window_s; at++)
            heap_growth_observe(&growth, (int64_t)(100 * at), at * SECOND_NS, window_s * SECOND_NS);
        int64_t live_bytes = (int64_t)(400 * window_s);
        for (uint64_t at = 4 * window_s + 1; at <= 4 * window_s + window_s / 2; at++)
            heap_growth_observe(&growth, live_bytes, at * SECOND_NS, window_s * SECOND_NS);
        double grown = heap_growth_per_s(
            &growth, live_bytes, (4 * window_s + window_s / 2) * SECOND_NS, window_s * SECOND_NS);
        assert_true(grown > 40 && grown < 70);
    }
}

static void a_moment_is_no_time_to_grow_in(void **state)
{
    (void)state;
    struct heap_growth growth = {0};
    assert_true(heap_growth_per_s(&growth, 1 << 30, SECOND_NS, 60 * SECOND_NS) == 0);
    heap_growth_observe(&growth, 0, SECOND_NS, 60 * SECOND_NS);
    assert_true(heap_growth_per_s(&growth, 1 << 30, SECOND_NS + 1, 60 * SECOND_NS) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_made_and_nothing_else),
        cmocka_unit_test(what_finds_no_room_goes_to_the_others_of_its_target),
        cmocka_unit_test(random_removals_lose_nothing_else),
        cmocka_unit_test(removing_a_target_leaves_the_others),
        cmocka_unit_test(adds_counts_and_lets_the_dead_hold_nothing),
        cmocka_unit_test(growth_is_what_was_gained_within_the_window),
        cmocka_unit_test(the_whole_window_is_looked_back_however_long),
        cmocka_unit_test(a_moment_is_no_time_to_grow_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
