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
        assert_int_equal(latency_stat_record(stat, values[i], i % 10 == 0, 1), 0);
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
        assert_int_equal(latency_stat_record(&stat, edges[i], false, 1), 0);
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

    assert_int_equal(latency_stat_record(&other, 70, true, 1), 0);
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
    assert_int_equal(latency_stat_record(&stat, UINT64_MAX - 5, false, 1), 0);
    assert_int_equal(latency_stat_record(&stat, 5, false, 1), 0);
    assert_true(stat.sum_ns == UINT64_MAX);
    assert_int_equal(latency_stat_record(&stat, 5, false, 1), 0);
    assert_true(stat.sum_ns == UINT64_MAX);
    assert_int_equal(latency_stat_merge(&stat, &stat), 0);
    assert_true(stat.sum_ns == UINT64_MAX && stat.count == 6);
}

static void clearing_keeps_the_resolution_only(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    assert_int_equal(latency_stat_record(&stat, 5000, true, 1), 0);
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
        int status = latency_stat_record(&stat, values[i], false, 1);
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
        assert_int_equal(latency_stat_record(&from, 3 + i % 2 * 4997, false, 1), 0);
    assert_in_range(failing_alloc_each(record_and_merge, &from), 5, 100);
}

/* --- calls that stand for others -------------------------------------------------------------- */

static void a_weight_is_so_many_calls_alike(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat heavy, light;
    struct random_source source = {.state = 5};
    latency_stat_init(&heavy);
    latency_stat_init(&light);
    uint64_t square = 0;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t latency = random_u64(&source) >> (random_u64(&source) % 40 + 20);
        uint32_t weight = 1 + (uint32_t)(random_u64(&source) % (i % 10 ? 5 : 300));
        square += weight * (weight - 1ull);
        assert_int_equal(latency_stat_record(&heavy, latency, i % 3 == 0, weight), 0);
        for (uint32_t each = 0; each < weight; each++)
            assert_int_equal(latency_stat_record(&light, latency, i % 3 == 0, 1), 0);
    }
    assert_true(heavy.count == light.count && heavy.errors == light.errors);
    assert_true(heavy.sum_ns == light.sum_ns);
    assert_true(heavy.min_ns == light.min_ns && heavy.max_ns == light.max_ns);
    assert_same(&heavy.sketch, &light.sketch);
    assert_true(heavy.thinned_square == square && light.thinned_square == 0);
}

static void a_heavy_sum_saturates_instead_of_wrapping(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    assert_int_equal(latency_stat_record(&stat, 1ULL << 62, true, 5), 0);
    assert_true(stat.sum_ns == UINT64_MAX);
    assert_true(stat.count == 5 && stat.errors == 5 && stat.thinned_square == 20);
    stat.thinned_square = UINT64_MAX - 1;
    assert_int_equal(latency_stat_record(&stat, 1, true, 4095), 0);
    assert_true(stat.thinned_square == UINT64_MAX);
    assert_int_equal(latency_stat_merge(&stat, &stat), 0);
    assert_true(stat.thinned_square == UINT64_MAX);
    assert_true(latency_stat_rank_error(&stat) == 1);
}

static void the_rank_error_is_that_of_the_formula(void **state)
{
    (void)state;
    _cleanup_(latency_stat_done) struct latency_stat stat;
    latency_stat_init(&stat);
    assert_true(latency_stat_rank_error(&stat) == 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(latency_stat_record(&stat, i, false, 1), 0);
    assert_true(latency_stat_rank_error(&stat) == 0);
    latency_stat_clear(&stat);
    for (unsigned i = 0; i < 400; i++) /* 400 gaps of 64: sqrt(400 * 64 * 63) / (400 * 64) */
        assert_int_equal(latency_stat_record(&stat, i, false, 64), 0);
    assert_true(fabs(latency_stat_rank_error(&stat) - 0.98 * 0.0496078) < 1e-6);
    latency_stat_clear(&stat);
    assert_true(latency_stat_rank_error(&stat) == 0);
    assert_int_equal(latency_stat_record(&stat, 1, false, 4095), 0);
    assert_true(latency_stat_rank_error(&stat) > 0.97 && latency_stat_rank_error(&stat) <= 1);
}

/* The shares of all calls that lie below the value's bucket, and up to its end. */
static void true_ranks(const uint64_t *values, size_t n, uint64_t value_ns, double *ret_low,
                       double *ret_high)
{
    size_t below = 0, within = 0;
    double low_ns, high_ns;
    sketch_bucket_bounds(loris_sketch_bucket(value_ns), &low_ns, &high_ns);
    for (size_t i = 0; i < n; i++) {
        below += (double)values[i] <= low_ns;
        within += (double)values[i] <= high_ns;
    }
    *ret_low = (double)below / (double)n;
    *ret_high = (double)within / (double)n;
}

/* Calls of a distribution, thinned: gaps are uniform in 1 .. 2 * mean - 1, and the call that ends a
 * gap stands for it. */
static void thin(struct latency_stat *stat, const uint64_t *values, size_t n, uint32_t mean_gap,
                 struct random_source *source)
{
    for (size_t i = 0; i < n;) {
        uint32_t gap = 1 + (uint32_t)(random_u64(source) % (2 * mean_gap - 1));
        gap = gap < n - i ? gap : (uint32_t)(n - i); /* the end ends the last gap */
        i += gap;
        assert_int_equal(latency_stat_record(stat, values[i - 1], false, gap), 0);
    }
}

static void thinned_quantiles_lie_within_their_rank_error(void **state)
{
    (void)state;
    enum { CALLS = 8000, TRIALS = 1000 };
    static const char *const names[] = {"log-normal 1", "bimodal", "uniform wide"};
    for (unsigned k = 1; k <= 7; k += 3) {
        unsigned within[ORACLE_QUANTILES] = {0};
        struct random_source source = {.state = k};
        for (unsigned trial = 0; trial < TRIALS; trial++) {
            const struct distribution *shape = distribution_named(names[trial % 3]);
            _cleanup_free_ uint64_t *values = malloc(CALLS * sizeof(*values));
            assert_non_null(values);
            for (uint32_t i = 0; i < CALLS; i++)
                values[i] = distribution_value(shape, i, &source);
            _cleanup_(latency_stat_done) struct latency_stat stat;
            latency_stat_init(&stat);
            thin(&stat, values, CALLS, 1u << k, &source);
            assert_true(stat.count == CALLS && sketch_count(&stat.sketch) == CALLS);

            double error = latency_stat_rank_error(&stat), low, high;
            assert_true(error > 0 && error < 0.2);
            uint64_t answers[ORACLE_QUANTILES];
            latency_stat_quantiles(&stat, oracle_quantiles, ORACLE_QUANTILES, answers);
            for (size_t q = 0; q < ORACLE_QUANTILES; q++) {
                true_ranks(values, CALLS, answers[q], &low, &high);
                within[q] +=
                    low <= oracle_quantiles[q] + error && high >= oracle_quantiles[q] - error;
            }
        }
        for (size_t q = 0; q < ORACLE_QUANTILES; q++)
            if (within[q] < TRIALS * 93 / 100)
                fail_msg("1 of %u calls, q %g: %u of %u trials", 1u << k, oracle_quantiles[q],
                         within[q], TRIALS);
    }
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
        cmocka_unit_test(a_weight_is_so_many_calls_alike),
        cmocka_unit_test(a_heavy_sum_saturates_instead_of_wrapping),
        cmocka_unit_test(the_rank_error_is_that_of_the_formula),
        cmocka_unit_test(thinned_quantiles_lie_within_their_rank_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
