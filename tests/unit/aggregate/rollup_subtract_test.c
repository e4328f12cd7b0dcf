/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"
#include "rollup_cases.h"

static struct rollup *since(const struct series_table *table, const struct rollup *mark,
                            uint64_t now_ns, rollup_group_fn group)
{
    struct rollup *rollup = read_rows(table, 0, now_ns, group);
    assert_int_equal(rollup_subtract(rollup, mark, parent, NULL), 0);
    return rollup;
}

static void a_mark_begins_an_exact_interval(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 1, 50, 1000, true, 1);
    record_times(table, 2, 60, 100, false, 1);
    struct rollup *mark = read_rows(table, 0, 100, by_process);
    record_times(table, 1, 7, 3000, false, 200);
    record_times(table, 5, 3, 10, false, 200);
    struct rollup *rows = since(table, mark, 400, by_process);
    assert_int_equal(rows->row_count, 2); /* 2 was idle */
    assert_int_equal(rows->rows[0].key.who, 1);
    const struct latency_stat *stat = &rows->rows[0].stat;
    assert_int_equal(stat->count, 7);
    assert_int_equal(stat->errors, 0);
    assert_int_equal(stat->sum_ns, 21000);
    assert_in_range(stat->min_ns, 2970, 3000); /* the bucket's bound, not the 1000 of before */
    assert_int_equal(stat->max_ns, 3000);
    assert_int_equal(rows->rows[0].window_ns, 300);
    assert_false(rows->rows[0].estimated);
    assert_int_equal(rows->rows[1].stat.count, 3);
    assert_int_equal(rows->rows[1].stat.min_ns, 10);
    rollup_free(rows);
    rollup_free(mark);
    series_table_free(table);
}

static void what_was_folded_since_the_mark_is_taken_from_where_it_went(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 11, 100, 1000, false, 1); /* name 1, unit 1 */
    record_times(table, 21, 30, 2000, false, 1);
    struct rollup *mark = read_rows(table, 0, 1, by_process);

    record_times(table, 11, 20, 4000, false, 2);
    series_table_fold(table, key_of(SERIES_PROCESS, 11), 2); /* exited */
    struct rollup *rows = since(table, mark, 3, by_process);
    assert_int_equal(rows->row_count, 1);
    assert_int_equal(row_count(rows, SERIES_NAME, 1), 20);
    assert_false(rows->rows[0].estimated);
    rollup_free(rows);

    /* Evicted, and back with more calls than before: the serial tells. */
    record_times(table, 11, 150, 1000, false, 3);
    series_table_fold(table, key_of(SERIES_NAME, 1), 3);
    series_table_fold(table, key_of(SERIES_UNIT, 1), 3);
    rows = since(table, mark, 4, by_process);
    assert_int_equal(row_count(rows, SERIES_PROCESS, 11), 150);
    assert_int_equal(row_count(rows, SERIES_OTHER, 0), 20);
    assert_int_equal(rows->row_count, 2);
    assert_false(rows->rows[0].estimated);
    rollup_free(rows);
    rollup_free(mark);
    series_table_free(table);
}

static struct series_key forgetful_parent(struct series_key key, void *context)
{
    (void)context;
    return (struct series_key){.probe = key.probe, .level = SERIES_OTHER};
}

static void a_chain_that_changed_costs_the_row_not_the_sum(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 11, 100, 1000, false, 1);
    struct rollup *mark = read_rows(table, 0, 1, by_process);
    series_table_fold(table, key_of(SERIES_PROCESS, 11), 2);
    record_times(table, 12, 200, 1000, true, 2);
    struct rollup *rows = read_rows(table, 0, 3, by_process);
    assert_int_equal(rollup_subtract(rows, mark, forgetful_parent, NULL), 0);
    struct latency_stat sum = sum_of(rows);
    assert_int_equal(sum.count, 200);
    assert_int_equal(sum.errors, 200);
    assert_int_equal(sum.sum_ns, 200000);
    assert_true(find_row(rows, SERIES_PROCESS, 12)->estimated); /* it paid for 11 */
    latency_stat_done(&sum);
    rollup_free(rows);
    rollup_free(mark);
    series_table_free(table);
}

static void assert_sketches_equal(const struct sketch *is, const struct sketch *expected)
{
    struct sketch left = {0}, right = {0};
    assert_int_equal(sketch_merge(&left, is), 0);
    assert_int_equal(sketch_merge(&right, expected), 0);
    while (left.halvings < right.halvings)
        sketch_halve(&left);
    while (right.halvings < left.halvings)
        sketch_halve(&right);
    assert_int_equal(sketch_count(&left), sketch_count(&right));
    sketch_subtract(&left, &right);
    assert_int_equal(sketch_count(&left), 0);
    sketch_done(&left);
    sketch_done(&right);
}

/* The truth since the mark, and whether a process' series is the one of the mark. */
struct truth {
    struct latency_stat all;
    uint64_t by_process[60];
    bool folded[60];
};

static void random_operation(struct series_table *table, struct truth *truth, uint64_t now)
{
    uint64_t pid = random_below(60), latency = random_below(50) * random_below(1000);
    switch (random_below(40)) {
    case 0: {
        uint32_t level = (uint32_t)random_below(3);
        pid = level == SERIES_PROCESS ? pid : random_below(10);
        series_table_fold(table, key_of(level, pid), now);
        if (level == SERIES_PROCESS)
            truth->folded[pid] = true;
        break;
    }
    case 1:
        if (random_below(3) > 0)
            break;
        count_in_kernel(table, 10, latency, 3, now);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(latency_stat_record(&truth->all, latency, i < 3, 1), 0);
        break;
    default:
        uint32_t weight = random_below(5) == 0 ? 1 + (uint32_t)random_below(300) : 1;
        record_weighed(table, key_of(SERIES_PROCESS, pid), latency, latency % 5 == 0, weight, now);
        assert_int_equal(latency_stat_record(&truth->all, latency, latency % 5 == 0, weight), 0);
        truth->by_process[pid] += weight;
    }
}

static void check_interval(const struct rollup *rows, const struct truth *truth, bool evicting)
{
    struct latency_stat sum = sum_of(rows);
    assert_int_equal(sum.count, truth->all.count);
    assert_int_equal(sum.errors, truth->all.errors);
    assert_int_equal(sum.sum_ns, truth->all.sum_ns);
    assert_int_equal(sum.thinned_square, truth->all.thinned_square);
    assert_sketches_equal(&sum.sketch, &truth->all.sketch);
    latency_stat_done(&sum);
    for (size_t i = 0; i < rows->row_count; i++) {
        assert_true(rows->rows[i].stat.errors <= rows->rows[i].stat.count);
        assert_true(rows->rows[i].stat.min_ns <= rows->rows[i].stat.max_ns);
    }
    for (uint64_t pid = 0; pid < 60 && !evicting; pid++)
        if (!truth->folded[pid] && find_row(rows, SERIES_PROCESS, pid))
            assert_int_equal(row_count(rows, SERIES_PROCESS, pid), truth->by_process[pid]);
}

static void run_intervals(uint64_t max_bytes, rollup_group_fn group, unsigned rounds)
{
    bool evicting = max_bytes < 1 << 20;
    struct series_table *table = new_table(max_bytes);
    uint64_t now = 1;
    for (unsigned round = 0; round < rounds; round++) {
        struct truth truth = {0};
        latency_stat_init(&truth.all);
        struct rollup *mark = read_rows(table, 0, now, group);
        for (uint64_t operations = random_below(1500); operations > 0; operations--) {
            now += random_below(SECOND / 100);
            random_operation(table, &truth, now);
            if (evicting && random_below(4) == 0) {
                uint64_t pid = 1000 + random_below(100000);
                record_times(table, pid, 1, 77, false, now);
                assert_int_equal(latency_stat_record(&truth.all, 77, false, 1), 0);
            }
        }
        struct rollup *rows = since(table, mark, now, group);
        check_interval(rows, &truth, evicting || group != by_process);
        rollup_spread(rows);
        struct latency_stat sum = sum_of(rows);
        assert_int_equal(sum.count, truth.all.count);
        latency_stat_done(&sum);
        rollup_free(rows);
        rollup_free(mark);
        latency_stat_done(&truth.all);
    }
    if (evicting)
        assert_true(series_table_figures(table).folded_evicted > 100);
    series_table_free(table);
}

static void intervals_add_up_whatever_was_folded_in_between(void **state)
{
    (void)state;
    random_state = 2;
    run_intervals(64 << 20, by_process, 100);
    run_intervals(64 << 20, by_unit, 100);
    run_intervals(64 << 20, by_none, 20);
    run_intervals(96 * 1024, by_process, 100);
    run_intervals(96 * 1024, by_unit, 100);
}

struct prepared {
    struct series_table *table;
    struct rollup *mark;
};

static void read_and_subtract(void *context)
{
    struct prepared *prepared = context;
    struct rollup *rollup = NULL;
    int status = rollup_new(prepared->table, PROBE, 0, 9, by_process, NULL, &rollup);
    if (status == 0) {
        status = rollup_subtract(rollup, prepared->mark, parent, NULL);
        if (status == 0)
            rollup_spread(rollup);
    }
    assert_true(status == 0 || status == -ENOMEM);
    rollup_free(rollup);
}

static void a_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    struct prepared prepared = {.table = new_table(1 << 20)};
    for (uint64_t pid = 0; pid < 20; pid++)
        record_times(prepared.table, pid, 60, pid * 1000, false, 1);
    prepared.mark = read_rows(prepared.table, 0, 1, by_process);
    for (uint64_t pid = 0; pid < 20; pid += 2)
        series_table_fold(prepared.table, key_of(SERIES_PROCESS, pid), 2);
    count_in_kernel(prepared.table, 5, 5, 0, 3);
    record_times(prepared.table, 1, 60, 99999, false, 3);
    assert_in_range(failing_alloc_each(read_and_subtract, &prepared), 30, 5000);
    rollup_free(prepared.mark);
    series_table_free(prepared.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_begins_an_exact_interval),
        cmocka_unit_test(what_was_folded_since_the_mark_is_taken_from_where_it_went),
        cmocka_unit_test(a_chain_that_changed_costs_the_row_not_the_sum),
        cmocka_unit_test(intervals_add_up_whatever_was_folded_in_between),
        cmocka_unit_test(a_failed_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
