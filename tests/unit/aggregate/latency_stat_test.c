/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include "aggregate/latency_stat.h"
#include "sketch_contents.h"

static void assert_figures(const struct latency_stat *stat, const uint64_t *values, size_t n,
                           uint64_t errors)
{
    uint64_t sum = 0, min = UINT64_MAX, max = 0;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(sum, values[i], &sum))
            sum = UINT64_MAX;
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    assert_true(stat->count == n && stat->errors == errors);
    assert_true(stat->min_ns == min && stat->max_ns == max);
    assert_true(stat->sum_ns == sum);
    assert_true(sketch_count(&stat->sketch) == n);
}

static void record_calls(struct latency_stat *stat, const uint64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(latency_stat_record(stat, values[i], i % 10 == 0), 0);
}

static void figures_and_quantiles_agree_with_a_sorted_oracle(void **state)
{
    (void)state;
    for (size_t d = 0; d < DISTRIBUTION_COUNT; d++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[d], DISTRIBUTION_VALUES);
        size_t n = DISTRIBUTION_VALUES;
        _cleanup_(latency_stat_done) struct latency_stat stat;
        latency_stat_init(&stat);
        record_calls(&stat, values, n);
        assert_figures(&stat, values, n, n / 10);

        qsort(values, n, sizeof(*values), compare_u64);
        uint64_t answers[ORACLE_QUANTILES];
        latency_stat_quantiles(&stat, oracle_quantiles, ORACLE_QUANTILES, answers);
        for (size_t i = 0; i < ORACLE_QUANTILES; i++) {
            uint64_t truth = oracle_nearest_rank(values, n, oracle_permille[i]);
            double allowed = 0.0055 * (double)truth + (truth < 2715 ? 0.5 : 0); /* whole ns */
            if ((double)distance_u64(answers[i], truth) > allowed)
                fail_msg("%s: %llu instead of %llu", distributions[d].name,
                         (unsigned long long)answers[i], (unsigned long long)truth);
            assert_in_range(answers[i], stat.min_ns, stat.max_ns);
        }
    }
}

static void quantiles_stay_between_least_and_greatest(void **state)
{
    (void)state;
    static const double quantiles[] = {0.001, 0.5, 1};
    static const uint64_t edges[] = {1ULL << 20, (1ULL << 20) + 1, 1050000, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        uint64_t answers[3];
        _cleanup_(latency_stat_done) struct latency_stat stat;
        latency_stat_init(&stat);
        assert_int_equal(latency_stat_record(&stat, edges[i], false), 0);
        for (unsigned level = 0; level <= SKETCH_HALVINGS_MAX; level++) {
            latency_stat_quantiles(&stat, quantiles, 3, answers);
            for (size_t q = 0; q < 3; q++) /* one value: exact at every resolution */
                assert_true(answers[q] == edges[i]);
            sketch_halve(&stat.sketch);
        }
    }
}

static void an_empty_stat_answers_zero(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat, other;
    latency_stat_init(&stat);
    latency_stat_init(&other);
    uint64_t answers[] = {9, 9};
    latency_stat_quantiles(&stat, (const double[]){0.5, 0.9}, 2, answers);
    assert_true(answers[0] == 0 && answers[1] == 0);
    assert_true(stat.min_ns == UINT64_MAX && stat.max_ns == 0);
    assert_int_equal(latency_stat_merge(&stat, &other), 0);
    assert_true(stat.count == 0 && stat.min_ns == UINT64_MAX);

    assert_int_equal(latency_stat_record(&other, 70, true), 0);
    assert_int_equal(latency_stat_merge(&stat, &other), 0);
    assert_figures(&stat, (const uint64_t[]){70}, 1, 1);
}

static void merging_is_recording_both(void **state)
{
    (void)state;
    enum { N = 2000 };
    for (size_t d = 0; d < DISTRIBUTION_COUNT; d++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[d], 2 * N);
        _cleanup_(latency_stat_done) struct latency_stat first, second, both;
        latency_stat_init(&first);
        latency_stat_init(&second);
        latency_stat_init(&both);
        record_calls(&first, values, N);
        record_calls(&second, values + N, N);
        record_calls(&both, values, 2 * N);
        assert_int_equal(latency_stat_merge(&first, &second), 0);
        assert_figures(&first, values, 2 * N, 2 * N / 10);
        assert_true(first.sum_ns == both.sum_ns);
        assert_same(&first.sketch, &both.sketch);
        assert_figures(&second, values + N, N, N / 10);
    }
}

static void sum_saturates_instead_of_wrapping(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    assert_int_equal(latency_stat_record(&stat, UINT64_MAX - 5, false), 0);
    assert_int_equal(latency_stat_record(&stat, 5, false), 0);
    assert_true(stat.sum_ns == UINT64_MAX);
    assert_int_equal(latency_stat_record(&stat, 5, false), 0);
    assert_true(stat.sum_ns == UINT64_MAX);
    assert_int_equal(latency_stat_merge(&stat, &stat), 0);
    assert_true(stat.sum_ns == UINT64_MAX && stat.count == 6);
}

static void clearing_keeps_the_resolution_only(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    assert_int_equal(latency_stat_record(&stat, 5000, true), 0);
    sketch_halve(&stat.sketch);
    latency_stat_clear(&stat);
    assert_true(stat.count == 0 && stat.errors == 0 && stat.sum_ns == 0);
    assert_true(stat.min_ns == UINT64_MAX && stat.max_ns == 0);
    assert_int_equal(stat.sketch.halvings, 1);
    assert_int_equal(sketch_heap_bytes(&stat.sketch), 0);
    latency_stat_done(&stat);
    assert_int_equal(stat.sketch.halvings, 0);
}

static void record_and_merge(void *context)
{
    const struct latency_stat *from = context;
    static const uint64_t values[] = {0, 1, 40, 5000, 5000, 1ULL << 60};
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    uint64_t recorded = 0, sum = 0, max = 0;
    for (size_t i = 0; i < 6; i++) {
        int status = latency_stat_record(&stat, values[i], false);
        assert_true(status == 0 || status == -ENOMEM);
        if (status < 0)
            continue;
        recorded++;
        sum += values[i];
        max = values[i];
    }
    assert_true(stat.count == recorded && stat.sum_ns == sum && stat.max_ns == max);
    assert_true(sketch_count(&stat.sketch) == recorded);
    int status = latency_stat_merge(&stat, from);
    assert_true(status == 0 || status == -ENOMEM);
    recorded += status == 0 ? from->count : 0;
    assert_true(stat.count == recorded && sketch_count(&stat.sketch) == recorded);
    assert_true(stat.sum_ns == (status == 0 ? sum + from->sum_ns : sum));
}

static void a_failed_allocation_records_nothing(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat from;
    latency_stat_init(&from);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(latency_stat_record(&from, 3 + i % 2 * 4997, false), 0);
    assert_in_range(failing_alloc_each(record_and_merge, &from), 5, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_and_quantiles_agree_with_a_sorted_oracle),
        cmocka_unit_test(quantiles_stay_between_least_and_greatest),
        cmocka_unit_test(an_empty_stat_answers_zero),
        cmocka_unit_test(merging_is_recording_both),
        cmocka_unit_test(sum_saturates_instead_of_wrapping),
        cmocka_unit_test(clearing_keeps_the_resolution_only),
        cmocka_unit_test(a_failed_allocation_records_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
