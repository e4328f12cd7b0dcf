/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sketch answers. Merging and memory: sketch_merge_test.c. */
#include "sketch_contents.h"

#define PROMISED_ERROR 0.0055
/* Below this, rounding to whole ns may carry an answer beyond the promised error. */
#define ROUNDING_SHOWS_NS 2715

static void assert_near(const char *what, uint64_t answer, uint64_t truth, double error)
{
    double rounding = error == PROMISED_ERROR && truth >= ROUNDING_SHOWS_NS ? 0 : 0.5;
    double allowed = error * (double)truth + rounding;
    if ((double)distance_u64(answer, truth) > allowed)
        fail_msg("%s: %llu instead of %llu", what, (unsigned long long)answer,
                 (unsigned long long)truth);
}

static void assert_quantiles_near(const char *what, const struct sketch *sketch,
                                  const uint64_t *sorted, size_t n, double error)
{
    uint64_t answers[ORACLE_QUANTILES];
    sketch_quantiles(sketch, oracle_quantiles, ORACLE_QUANTILES, answers);
    for (size_t i = 0; i < ORACLE_QUANTILES; i++)
        assert_near(what, answers[i], oracle_nearest_rank(sorted, n, oracle_permille[i]), error);
}

static void quantiles_of_every_distribution_are_within_the_promise(void **state)
{
    (void)state;
    assert_in_range(DISTRIBUTION_COUNT, 20, 1000);
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[i], DISTRIBUTION_VALUES);
        _cleanup_(sketch_done) struct sketch sketch = {0};
        record_all(&sketch, values, DISTRIBUTION_VALUES);
        assert_int_equal(sketch_count(&sketch), DISTRIBUTION_VALUES);
        assert_bytes_add_up(&sketch);
        qsort(values, DISTRIBUTION_VALUES, sizeof(*values), compare_u64);
        assert_quantiles_near(distributions[i].name, &sketch, values, DISTRIBUTION_VALUES,
                              PROMISED_ERROR);
    }
}

static void halving_is_recounting_within_its_error_at_every_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[i], DISTRIBUTION_VALUES / 10);
        _cleanup_(sketch_done) struct sketch halved = {0};
        size_t n = DISTRIBUTION_VALUES / 10;
        record_all(&halved, values, n);
        uint64_t *sorted = values;
        qsort(sorted, n, sizeof(*sorted), compare_u64);
        for (unsigned level = 1; level <= SKETCH_HALVINGS_MAX + 1; level++) {
            unsigned halvings = level > SKETCH_HALVINGS_MAX ? SKETCH_HALVINGS_MAX : level;
            size_t bytes = sketch_heap_bytes(&halved);
            sketch_halve(&halved);
            assert_int_equal(halved.halvings, halvings);
            assert_true(sketch_heap_bytes(&halved) <= bytes);
            assert_bytes_add_up(&halved);

            _cleanup_(sketch_done) struct sketch recounted = {.halvings = (uint8_t)halvings};
            record_all(&recounted, values, n);
            assert_same(&halved, &recounted);
            assert_quantiles_near(distributions[i].name, &halved, sorted, n,
                                  sketch_relative_error(&halved) + 1e-9);
        }
    }
}

static void relative_error_is_that_of_the_formula(void **state)
{
    (void)state;
    struct sketch sketch = {0};
    assert_true(sketch_relative_error(&sketch) < PROMISED_ERROR);
    for (; sketch.halvings < SKETCH_HALVINGS_MAX; sketch_halve(&sketch)) {
        long double ratio = exp2l((long double)(1 << sketch.halvings) / 64);
        long double expected = (ratio - 1) / (ratio + 1);
        assert_true(fabsl(sketch_relative_error(&sketch) - expected) < 1e-16L);
    }
    assert_true(fabs(sketch_relative_error(&sketch) - 1.0 / 3) < 1e-15);
}

/* 2*lo*hi/(lo+hi) is off by the same ratio at both ends, and sketch_relative_error tells which. */
static void estimate_is_equally_far_from_both_ends_of_each_bucket(void **state)
{
    (void)state;
    struct sketch sketch = {0};
    double error = sketch_relative_error(&sketch);
    for (uint32_t bucket = LORIS_PAGE_BUCKETS; bucket < LORIS_SKETCH_BUCKETS; bucket++) {
        double lower, upper;
        sketch_bucket_bounds(bucket, &lower, &upper);
        assert_true(lower == exp2((bucket - 64) / 64.0) && upper == exp2((bucket - 63) / 64.0));
        long double estimate = 2.0L * lower * upper / ((long double)lower + upper);
        assert_true(fabsl((estimate - lower) / lower - error) < 1e-14L);
        assert_true(fabsl((upper - estimate) / upper - error) < 1e-14L);
    }
}

static uint64_t answer_for(uint64_t value)
{
    _cleanup_(sketch_done) struct sketch sketch = {0};
    uint64_t answer;
    record(&sketch, value, 1);
    sketch_quantiles(&sketch, (const double[]){0.5}, 1, &answer);
    return answer;
}

static void ends_of_every_bucket_are_answered_within_the_stated_error(void **state)
{
    (void)state;
    double error = sketch_relative_error(&(struct sketch){0}) + 1e-9;
    for (unsigned i = 1; i < 4096; i++) {
        uint64_t boundary = loris_sketch_threshold[i % 64] >> (63 - i / 64);
        assert_near("upper end", answer_for(boundary), boundary, error);
        assert_near("lower end", answer_for(boundary + 1), boundary + 1, error);
    }
    assert_near("last", answer_for(UINT64_MAX), UINT64_MAX, error);
}

static void small_values_are_answered_exactly_and_the_rest_to_half_a_nanosecond(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 92; value++)
        assert_int_equal(answer_for(value), value);
    for (uint64_t value = 92; value < 20000; value++)
        assert_near("value", answer_for(value), value, PROMISED_ERROR);
}

static void ranks_are_those_of_the_decimal_fraction(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 1000; n++) {
        /* Value 2^k is the k-th part of the counts: rank = percent of n is seen at the edges. */
        for (unsigned percent = 1; percent <= 100; percent += 3) {
            unsigned rank = (percent * n + 99) / 100;
            _cleanup_(sketch_done) struct sketch sketch = {0};
            if (rank > 1)
                record(&sketch, 2, rank - 1);
            record(&sketch, 4, 1);
            if (n > rank)
                record(&sketch, 8, n - rank);
            uint64_t answer;
            sketch_quantiles(&sketch, (const double[]){percent / 100.0}, 1, &answer);
            assert_int_equal(answer, 4);
        }
    }
}

static void an_empty_sketch_answers_zero_and_owns_nothing(void **state)
{
    (void)state;
    struct sketch sketch = {0};
    uint64_t answers[] = {7, 7}, low = 3, high = 4;
    sketch_quantiles(&sketch, (const double[]){0.5, 1}, 2, answers);
    assert_int_equal(answers[0], 0);
    assert_int_equal(answers[1], 0);
    sketch_quantiles(&sketch, NULL, 0, NULL);
    assert_int_equal(sketch_count(&sketch), 0);
    assert_int_equal(sketch_heap_bytes(&sketch), 0);
    assert_false(sketch_extremes(&sketch, &low, &high));
    assert_int_equal(low, 3);
    assert_int_equal(high, 4);
    sketch_halve(&sketch);
    assert_int_equal(sketch_merge(&sketch, &(struct sketch){0}), 0);
    assert_int_equal(sketch_subtract(&sketch, &(struct sketch){0}), 0);
    record(&sketch, 5000, 0);
    assert_int_equal(sketch_heap_bytes(&sketch), 0);
    sketch_done(&sketch);
}

static void extremes_enclose_every_value_as_tightly_as_the_buckets(void **state)
{
    (void)state;
    enum { N = 2000 };
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[i], N);
        _cleanup_(sketch_done) struct sketch sketch = {0};
        record_all(&sketch, values, N);
        qsort(values, N, sizeof(*values), compare_u64);
        for (unsigned level = 0; level <= SKETCH_HALVINGS_MAX; level++, sketch_halve(&sketch)) {
            uint64_t low, high;
            assert_true(sketch_extremes(&sketch, &low, &high));
            assert_true(low <= values[0] && values[N - 1] <= high);
            unsigned shift = sketch.halvings;
            assert_true(loris_sketch_bucket(low) >> shift ==
                        loris_sketch_bucket(values[0]) >> shift);
            assert_true(loris_sketch_bucket(high) >> shift ==
                        loris_sketch_bucket(values[N - 1]) >> shift);
        }
    }
}

static void walk_ascends_and_tells_the_layouts_bounds(void **state)
{
    (void)state;
    _cleanup_(sketch_done) struct sketch sketch = {0};
    record(&sketch, UINT64_MAX, 3);
    record(&sketch, 1024, 4);
    record(&sketch, 1025, 5);
    record(&sketch, 0, 6);
    record(&sketch, 1, 7);
    assert_int_equal(sketch_record(&sketch, 17, 1), 0); /* unused by the layout: counts as 1 ns */
    const uint64_t counts[] = {6, 8, 4, 5, 3};
    for (unsigned level = 0; level <= SKETCH_HALVINGS_MAX; level++, sketch_halve(&sketch)) {
        double step = exp2((double)(1u << level) / 64);
        const double expected[][2] = {{0, 0},
                                      {1 / step, 1},
                                      {1024 / step, 1024},
                                      {1024, 1024 * step},
                                      {0x1p64 / step, 0x1p64}};
        _cleanup_free_ struct contents *contents = contents_of(&sketch);
        assert_int_equal(contents->n, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(contents->counts[i], counts[i]);
            for (int end = 0; end < 2; end++)
                assert_true(fabs(contents->bounds[i][end] - expected[i][end]) <=
                            1e-15 * expected[i][end]);
        }
    }
}

static void clearing_keeps_the_resolution_and_done_does_not(void **state)
{
    (void)state;
    struct sketch sketch = {0};
    for (unsigned power = 0; power < 64; power++)
        record(&sketch, 1ULL << power, 1);
    record(&sketch, UINT64_MAX, 1);
    record(&sketch, 0, 1);
    assert_int_equal(sketch_count(&sketch), 66);
    assert_true(sketch.touched == UINT64_MAX);
    assert_true(sketch_heap_bytes(&sketch) <= 64 * 80 + 528);
    sketch_halve(&sketch);
    sketch_clear(&sketch);
    assert_int_equal(sketch.halvings, 1);
    assert_int_equal(sketch_count(&sketch), 0);
    assert_int_equal(sketch_heap_bytes(&sketch), 0);
    record(&sketch, 77, 1);
    sketch_done(&sketch);
    assert_int_equal(sketch.halvings, 0);
    assert_int_equal(sketch_heap_bytes(&sketch), 0);
}

static void records_each_up_to_the_first_that_needs_memory(void **state)
{
    (void)state;
    struct random_source source = {.state = 9};
    for (unsigned round = 0; round < 20; round++) {
        struct sketch one = {0}, each = {0};
        uint16_t buckets[40];
        for (uint64_t i = random_u64(&source) % 7; i > 0; i--) {
            sketch_halve(&one);
            sketch_halve(&each);
        }
        for (unsigned i = 0; i < 600; i++) {
            unsigned count = (unsigned)(random_u64(&source) % 41), put = 0;
            for (unsigned b = 0; b < count; b++)
                buckets[b] = (uint16_t)loris_sketch_bucket(random_u64(&source) % 900);
            while (put < count) {
                put += sketch_try_record_each(&each, buckets + put, count - put);
                assert_true(put <= count);
                if (put < count) {
                    assert_false(sketch_try_record(&each, buckets[put], 1));
                    assert_int_equal(sketch_record(&each, buckets[put++], 1), 0);
                }
            }
            for (unsigned b = 0; b < count; b++)
                assert_int_equal(sketch_record(&one, buckets[b], 1), 0);
        }
        assert_same(&one, &each);
        assert_bytes_add_up(&each);
        sketch_done(&one);
        sketch_done(&each);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_of_every_distribution_are_within_the_promise),
        cmocka_unit_test(halving_is_recounting_within_its_error_at_every_level),
        cmocka_unit_test(relative_error_is_that_of_the_formula),
        cmocka_unit_test(estimate_is_equally_far_from_both_ends_of_each_bucket),
        cmocka_unit_test(ends_of_every_bucket_are_answered_within_the_stated_error),
        cmocka_unit_test(small_values_are_answered_exactly_and_the_rest_to_half_a_nanosecond),
        cmocka_unit_test(ranks_are_those_of_the_decimal_fraction),
        cmocka_unit_test(an_empty_sketch_answers_zero_and_owns_nothing),
        cmocka_unit_test(extremes_enclose_every_value_as_tightly_as_the_buckets),
        cmocka_unit_test(walk_ascends_and_tells_the_layouts_bounds),
        cmocka_unit_test(records_each_up_to_the_first_that_needs_memory),
        cmocka_unit_test(clearing_keeps_the_resolution_and_done_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
