/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rollup_cases.h"

/* --- reading ---------------------------------------------------------------------------------- */

static void groups_by_process_unit_or_none(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 1, 5, 100, false, 10); /* name 1, unit 1 */
    record_times(table, 4, 7, 200, true, 20);  /* name 4, unit 1 */
    record_times(table, 2, 7, 300, false, 30); /* name 2, unit 2 */
    record_call(table, (struct series_key){PROBE + 1, SERIES_PROCESS, 1}, 9, false, 30);

    struct rollup *rollup = read_rows(table, 0, 40, by_process);
    assert_int_equal(rollup->row_count, 3);
    assert_int_equal(rollup->rows[0].key.who, 2); /* as many calls as 4, but the lower key */
    assert_int_equal(rollup->rows[1].key.who, 4);
    assert_int_equal(rollup->rows[2].key.who, 1);
    assert_int_equal(rollup->rows[1].stat.errors, 7);
    assert_int_equal(rollup->rows[1].window_ns, 30); /* since the first call of all */
    assert_false(rollup->rows[0].estimated);
    rollup_free(rollup);

    rollup = read_rows(table, 0, 40, by_unit);
    assert_int_equal(rollup->row_count, 2);
    assert_int_equal(row_count(rollup, SERIES_UNIT, 1), 12);
    assert_int_equal(row_count(rollup, SERIES_UNIT, 2), 7);
    rollup_free(rollup);

    rollup = read_rows(table, 0, 40, by_none);
    assert_int_equal(rollup->row_count, 1);
    assert_int_equal(rollup->rows[0].stat.count, 19);
    assert_int_equal(rollup->rows[0].stat.sum_ns, 500 + 1400 + 2100);
    rollup_free(rollup);
    series_table_free(table);
}

static void rows_without_calls_in_the_window_are_absent(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 1, 5, 100, false, 1);
    record_times(table, 2, 6, 100, false, 5 * SECOND);
    struct rollup *rollup = read_rows(table, SECOND, 5 * SECOND + 5, by_process);
    assert_int_equal(rollup->row_count, 1);
    assert_int_equal(rollup->rows[0].key.who, 2);
    assert_int_equal(rollup->rows[0].window_ns, SECOND + 5);
    rollup_free(rollup);
    rollup = read_rows(table, SECOND, 50 * SECOND, by_process);
    assert_int_equal(rollup->row_count, 0);
    rollup_spread(rollup);
    rollup_free(rollup);
    series_table_free(table);
}

/* --- spreading -------------------------------------------------------------------------------- */

static void one_row_for_all_is_exact_whoever_counted(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 1, 5, 100, false, 1);
    count_in_kernel(table, 95, 200, 10, 1);
    struct rollup *rollup = read_rows(table, 0, 2, by_none);
    rollup_spread(rollup);
    assert_int_equal(rollup->row_count, 1);
    assert_int_equal(rollup->rows[0].stat.count, 100);
    assert_int_equal(sketch_count(&rollup->rows[0].stat.sketch), 100);
    assert_false(rollup->rows[0].estimated);
    rollup_free(rollup);
    series_table_free(table);
}

static void broken_down_rows_share_what_the_kernel_counted(void **state)
{
    (void)state;
    random_state = 1;
    for (unsigned round = 0; round < 300; round++) {
        struct series_table *table = new_table(1 << 20);
        for (uint64_t pid = 0; pid < 1 + random_below(8); pid++)
            record_times(table, pid, 1 + random_below(40), random_below(3) * random_below(900),
                         random_below(3) == 0, 1);
        uint64_t counted = 1 + random_below(1000);
        count_in_kernel(table, counted, random_below(700), random_below(counted + 1), 1);
        struct rollup *rollup = read_rows(table, 0, 2, by_process);
        struct latency_stat before = sum_of(rollup);
        rollup_spread(rollup);
        struct latency_stat after = sum_of(rollup);
        assert_int_equal(after.count, before.count);
        assert_int_equal(after.errors, before.errors);
        assert_int_equal(after.sum_ns, before.sum_ns);
        for (size_t i = 0; i < rollup->row_count; i++) {
            const struct rollup_row *row = &rollup->rows[i];
            assert_true(row->estimated);
            assert_int_equal(row->key.level, SERIES_PROCESS);
            assert_true(row->stat.errors <= row->stat.count);
            assert_true(i == 0 || rollup->rows[i - 1].stat.count >= row->stat.count);
            /* in proportion, to the call */
            double exact = (double)sketch_count(&row->stat.sketch) * (double)before.count /
                           (double)(before.count - counted);
            assert_true((double)row->stat.count > exact - 1.001 &&
                        (double)row->stat.count < exact + 1.001);
        }
        latency_stat_done(&before);
        latency_stat_done(&after);
        rollup_free(rollup);
        series_table_free(table);
    }
}

static void a_row_that_answers_for_others_is_no_surer(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    for (uint64_t i = 0; i < 100; i++)
        record_weighed(table, key_of(SERIES_PROCESS, i % 2), 100, false, i % 2 ? 64 : 1, 1);
    count_in_kernel(table, 10000, 200, 0, 1);
    struct rollup *rollup = read_rows(table, 0, 2, by_process);
    double before = latency_stat_rank_error(&find_row(rollup, SERIES_PROCESS, 1)->stat);
    assert_true(before > 0.1 && before < 0.2);
    rollup_spread(rollup);
    const struct latency_stat *after = &find_row(rollup, SERIES_PROCESS, 1)->stat;
    assert_true(after->count > 10000);
    double change = latency_stat_rank_error(after) - before;
    assert_true(change > -1e-4 && change < 1e-4);
    assert_true(latency_stat_rank_error(&find_row(rollup, SERIES_PROCESS, 0)->stat) == 0);
    rollup_free(rollup);

    /* One row for all takes in what is exact, too: its error is smaller. */
    rollup = read_rows(table, 0, 2, by_none);
    rollup_spread(rollup);
    assert_true(latency_stat_rank_error(&rollup->rows[0].stat) < before / 3);
    rollup_free(rollup);
    series_table_free(table);
}

static void what_nobody_is_known_for_stays_a_row_of_its_own(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    count_in_kernel(table, 95, 200, 10, 1);
    struct rollup *rollup = read_rows(table, 0, 2, by_process);
    rollup_spread(rollup);
    assert_int_equal(rollup->row_count, 1);
    assert_int_equal(rollup->rows[0].key.level, SERIES_UNATTRIBUTED);
    assert_int_equal(rollup->rows[0].stat.count, 95);
    assert_false(rollup->rows[0].estimated);
    rollup_free(rollup);
    series_table_free(table);
}

/* --- derived ---------------------------------------------------------------------------------- */

static void derives_what_an_answer_shows(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20);
    record_times(table, 1, 90, 10, false, 1);
    record_times(table, 1, 9, 20, true, 1);
    record_times(table, 1, 1, 1000000, false, 1);
    struct rollup *rollup = read_rows(table, 0, 2 * SECOND + 1, by_none);
    struct derived derived;
    rollup_derive(&rollup->rows[0], &derived);
    assert_int_equal(derived.mean_ns, 10011); /* 1001080 / 100 = 10010.8 */
    assert_int_equal(derived.min_ns, 10);
    assert_int_equal(derived.max_ns, 1000000);
    assert_int_equal(derived.p50_ns, 10);
    assert_int_equal(derived.p90_ns, 10);
    assert_int_equal(derived.p95_ns, 20);
    assert_int_equal(derived.p99_ns, 20);
    assert_in_range(derived.p999_ns, 994500, 1000000);
    assert_true(derived.error_ratio == 0.09);
    assert_true(derived.rate_per_s == 50);
    assert_true(derived.concurrency > 0.0005 && derived.concurrency < 0.000501);
    assert_true(derived.relative_error > 0.0054 && derived.relative_error < 0.0055);
    rollup_free(rollup);

    struct rollup_row empty = {.window_ns = 0};
    latency_stat_init(&empty.stat);
    rollup_derive(&empty, &derived);
    assert_int_equal(derived.min_ns, 0);
    assert_true(derived.rate_per_s == 0);
    series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_by_process_unit_or_none),
        cmocka_unit_test(rows_without_calls_in_the_window_are_absent),
        cmocka_unit_test(one_row_for_all_is_exact_whoever_counted),
        cmocka_unit_test(broken_down_rows_share_what_the_kernel_counted),
        cmocka_unit_test(a_row_that_answers_for_others_is_no_surer),
        cmocka_unit_test(what_nobody_is_known_for_stays_a_row_of_its_own),
        cmocka_unit_test(derives_what_an_answer_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
