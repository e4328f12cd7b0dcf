/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loris/sketch.h"
#include "probe/cost_estimate.h"

#define CALLS 16

static void takes_the_median_chunk_for_the_cost(void **state)
{
    (void)state;
    struct cost_estimate_chunk chunks[] = {
        {100, 100 + 70 * CALLS}, {100, 100 + 50 * CALLS}, {100, 100 + 60 * CALLS}};
    assert_true(cost_estimate_slowdown_ns(chunks, 3, CALLS) == 60);
}

static void is_not_moved_by_chunks_that_were_interrupted(void **state)
{
    (void)state;
    struct cost_estimate_chunk chunks[21];
    for (size_t i = 0; i < 21; i++)
        chunks[i] = (struct cost_estimate_chunk){200, 200 + 500 * CALLS};
    for (size_t i = 0; i < 5; i++) {
        chunks[i].probed_ns += 4000000; /* preempted while probed */
        chunks[20 - i].bare_ns += 4000000;
    }
    assert_true(cost_estimate_slowdown_ns(chunks, 21, CALLS) == 500);
}

static void costs_nothing_rather_than_less(void **state)
{
    (void)state;
    struct cost_estimate_chunk chunk = {1000, 900};
    assert_true(cost_estimate_slowdown_ns(&chunk, 1, CALLS) == 0);
    assert_true(cost_estimate_slowdown_ns(&chunk, 0, CALLS) == 0);
    assert_true(cost_estimate_slowdown_ns(&chunk, 1, 0) == 0);
}

static void takes_the_median_round(void **state)
{
    (void)state;
    double rounds_ns[] = {470, 450, 460};
    assert_true(cost_estimate_of_rounds_ns(rounds_ns, 3) == 460);
    double two_ns[] = {460, 450};
    assert_true(cost_estimate_of_rounds_ns(two_ns, 2) == 450);
    assert_true(cost_estimate_of_rounds_ns(two_ns, 0) == 0);
}

static void takes_the_least_round_when_it_is_of_another_kind(void **state)
{
    (void)state;
    double emulated_ns[] = {9600, 450, 9500};
    assert_true(cost_estimate_of_rounds_ns(emulated_ns, 3) == 450);
    double disturbed_ns[] = {600, 600, 450};
    assert_true(cost_estimate_of_rounds_ns(disturbed_ns, 3) == 450);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Feeds values as a sketch would hold them. */
static struct cost_estimate_median median_of(const uint64_t *values, size_t count)
{
    struct cost_estimate_median median = {.total = count};
    uint64_t *counts = calloc(LORIS_SKETCH_BUCKETS, sizeof(*counts));
    assert_non_null(counts);
    for (size_t i = 0; i < count; i++)
        counts[loris_sketch_bucket(values[i])]++;
    for (uint32_t bucket = 0; bucket < LORIS_SKETCH_BUCKETS; bucket++)
        cost_estimate_median_add(&median, bucket, counts[bucket]);
    free(counts);
    return median;
}

static void finds_the_median_of_a_sketch(void **state)
{
    (void)state;
    uint64_t values[1001];
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 40; round++) {
        uint64_t spread = 1ull << (round % 20 + 1);
        for (size_t i = 0; i < 1001; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            values[i] = 300 + random % spread;
        }
        struct cost_estimate_median median = median_of(values, 1001);
        qsort(values, 1001, sizeof(values[0]), compare);
        assert_true(median.found);
        /* Within its bucket, whose width is 1.1 %. */
        assert_true(fabs(median.value_ns - (double)values[500]) <= 0.0115 * (double)values[500]);
    }
}

static void places_the_median_inside_its_bucket(void **state)
{
    (void)state;
    const uint32_t bucket = loris_sketch_bucket(10000);
    const double low_ns = exp2((bucket - 64.0) / 64), high_ns = exp2((bucket - 63.0) / 64);
    struct cost_estimate_median early = {.total = 100};
    cost_estimate_median_add(&early, bucket - 1, 40);
    cost_estimate_median_add(&early, bucket, 60);
    struct cost_estimate_median late = {.total = 100};
    cost_estimate_median_add(&late, bucket, 60);
    assert_true(fabs(early.value_ns - (low_ns + (high_ns - low_ns) / 6)) < 0.01);
    assert_true(fabs(late.value_ns - (low_ns + (high_ns - low_ns) * 5 / 6)) < 0.01);
}

static void knows_no_median_when_most_calls_are_missing(void **state)
{
    (void)state;
    struct cost_estimate_median median = {.total = 100};
    cost_estimate_median_add(&median, 700, 49);
    assert_false(median.found);
    cost_estimate_median_add(&median, 701, 1);
    assert_true(median.found);
}

static void reads_an_empty_call_as_nothing(void **state)
{
    (void)state;
    struct cost_estimate_median median = {.total = 3};
    cost_estimate_median_add(&median, 0, 3);
    assert_true(median.found && median.value_ns == 0);
}

static void believes_the_first_measurement(void **state)
{
    (void)state;
    assert_int_equal(cost_estimate_follow_ns(0, 0, 450.9), 450);
    assert_int_equal(cost_estimate_follow_ns(0, 0, -3), 0);
    assert_int_equal(cost_estimate_follow_ns(0, 0, 1e30), UINT32_MAX);
}

static void falls_at_once(void **state)
{
    (void)state;
    assert_int_equal(cost_estimate_follow_ns(600, 600, 450), 450);
    assert_int_equal(cost_estimate_follow_ns(600, 700, 599.9), 599);
    assert_int_equal(cost_estimate_follow_ns(450, 450, 450), 450);
}

static void rises_when_two_measurements_in_a_row_say_so(void **state)
{
    (void)state;
    assert_int_equal(cost_estimate_follow_ns(450, 450, 600), 450);
    assert_int_equal(cost_estimate_follow_ns(450, 600, 580.5), 580);
    assert_int_equal(cost_estimate_follow_ns(450, 500, 600), 500);
    assert_int_equal(cost_estimate_follow_ns(450, 300, 600), 450);
}

static void never_passes_what_was_measured(void **state)
{
    (void)state;
    uint32_t bias_ns = 450;
    uint64_t random = 88172645463325252u;
    double last_ns = 0;
    for (unsigned i = 0; i < 1000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        double measured_ns = 300 + (double)(random % 1000);
        bias_ns = cost_estimate_follow_ns(bias_ns, last_ns, measured_ns);
        assert_true(bias_ns <= measured_ns);
        last_ns = measured_ns;
    }
}

static void tells_the_drift_as_a_ratio(void **state)
{
    (void)state;
    assert_true(cost_estimate_drift_ratio(500, 600) == 0.2);
    assert_true(cost_estimate_drift_ratio(500, 400) == 0.2);
    assert_true(cost_estimate_drift_ratio(0, 400) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_median_chunk_for_the_cost),
        cmocka_unit_test(is_not_moved_by_chunks_that_were_interrupted),
        cmocka_unit_test(costs_nothing_rather_than_less),
        cmocka_unit_test(takes_the_median_round),
        cmocka_unit_test(takes_the_least_round_when_it_is_of_another_kind),
        cmocka_unit_test(finds_the_median_of_a_sketch),
        cmocka_unit_test(places_the_median_inside_its_bucket),
        cmocka_unit_test(knows_no_median_when_most_calls_are_missing),
        cmocka_unit_test(reads_an_empty_call_as_nothing),
        cmocka_unit_test(believes_the_first_measurement),
        cmocka_unit_test(falls_at_once),
        cmocka_unit_test(rises_when_two_measurements_in_a_row_say_so),
        cmocka_unit_test(never_passes_what_was_measured),
        cmocka_unit_test(tells_the_drift_as_a_ratio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
