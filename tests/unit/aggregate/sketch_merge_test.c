/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sketches that grow, merge, shrink and run out of memory. */
#include "../support/failing_alloc.h"

#include "sketch_contents.h"

static void counters_widen_when_they_overflow_and_not_before(void **state)
{
    (void)state;
    static const uint64_t limits[] = {UINT8_MAX, UINT16_MAX, UINT32_MAX};
    _cleanup_(sketch_done) struct sketch sketch = {0};
    record(&sketch, 5000, 3);
    record(&sketch, 5500, 200);
    uint64_t count = 3;
    for (unsigned width_log2 = 0; width_log2 < 3; width_log2++) {
        for (; count < limits[width_log2] && width_log2 < 2; count++)
            record(&sketch, 5000, 1);
        record(&sketch, 5000, limits[width_log2] - count);
        assert_int_equal(sketch.pages[0]->width_log2, width_log2);
        assert_int_equal(sketch_heap_bytes(&sketch), 32 + 16 + (64u << width_log2));
        record(&sketch, 5000, 1);
        count = limits[width_log2] + 1;
        assert_int_equal(sketch.pages[0]->width_log2, width_log2 + 1);
        assert_true(sketch_count(&sketch) == count + 200);
    }
    record(&sketch, 5000, UINT64_MAX - 1);
    record(&sketch, 5000, 1);
    _cleanup_free_ struct contents *contents = contents_of(&sketch);
    assert_int_equal(contents->n, 2);
    assert_true(contents->counts[0] == UINT64_MAX); /* saturated */
    assert_int_equal(contents->counts[1], 200);
    assert_true(sketch_count(&sketch) == UINT64_MAX);
    assert_bytes_add_up(&sketch);
}

static void counters_widen_while_merging_and_halving(void **state)
{
    (void)state;
    static const uint64_t limits[] = {UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t limit = limits[i];
        _cleanup_(sketch_done) struct sketch into = {0}, from = {0}, even = {0};
        record(&into, 5000, limit - 1);
        record(&into, 5400, 100);
        record(&from, 5000, 1);
        record(&from, 5400, 100);
        assert_int_equal(sketch_merge(&into, &from), 0);
        assert_int_equal(into.pages[0]->width_log2, i);
        assert_int_equal(sketch_merge(&into, &from), 0);
        assert_int_equal(into.pages[0]->width_log2, i == 3 ? 3 : i + 1);
        _cleanup_free_ struct contents *merged = contents_of(&into);
        assert_true(merged->counts[0] == (i == 3 ? limit : limit + 1));
        assert_int_equal(merged->counts[1], 300);

        size_t bucket = loris_sketch_bucket(5000) & ~1u;
        assert_int_equal(sketch_record(&even, (uint32_t)bucket, limit), 0);
        assert_int_equal(sketch_record(&even, (uint32_t)bucket + 1, 1), 0);
        sketch_halve(&even);
        assert_int_equal(even.pages[0]->width_log2, i == 3 ? 3 : i + 1);
        assert_true(sketch_count(&even) == (i == 3 ? limit : limit + 1));
        assert_bytes_add_up(&even);
    }
}

static void merging_is_counting_both(void **state)
{
    (void)state;
    enum { N = 3000 };
    _cleanup_(sketch_done) struct sketch all = {0}, sum = {0};
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[i], N);
        _cleanup_(sketch_done) struct sketch part = {0};
        record_all(&part, values, N);
        record_all(&all, values, N);
        assert_int_equal(sketch_merge(&sum, &part), 0);
        assert_same(&sum, &all);
        assert_bytes_add_up(&sum);
    }
    assert_int_equal(sketch_merge(&sum, &sum), 0);
    assert_int_equal(sketch_count(&sum), 2 * N * DISTRIBUTION_COUNT);
}

static void merging_takes_the_coarser_resolution(void **state)
{
    (void)state;
    enum { N = 5000 };
    _cleanup_free_ uint64_t *values = values_of(distribution_named("log-normal 4"), 2 * N);
    for (unsigned a = 0; a <= SKETCH_HALVINGS_MAX; a++) {
        for (unsigned b = 0; b <= SKETCH_HALVINGS_MAX; b++) {
            unsigned coarser = a > b ? a : b;
            _cleanup_(sketch_done) struct sketch into = {.halvings = (uint8_t)a};
            _cleanup_(sketch_done) struct sketch from = {.halvings = (uint8_t)b};
            _cleanup_(sketch_done) struct sketch both = {.halvings = (uint8_t)coarser};
            record_all(&into, values, N);
            record_all(&from, values + N, N);
            record_all(&both, values, 2 * N);
            assert_int_equal(sketch_merge(&into, &from), 0);
            assert_int_equal(into.halvings, coarser);
            assert_int_equal(from.halvings, b);
            assert_same(&into, &both);

            /* And back: what was there before is gone again. */
            _cleanup_(sketch_done) struct sketch first = {.halvings = (uint8_t)coarser};
            record_all(&first, values, N);
            assert_int_equal(sketch_subtract(&into, &from), 0);
            assert_same(&into, &first);
            assert_bytes_add_up(&into);
        }
    }
}

static void subtracting_undoes_merging_and_frees_what_it_empties(void **state)
{
    (void)state;
    enum { N = 3000 };
    for (size_t i = 0; i < DISTRIBUTION_COUNT; i++) {
        _cleanup_free_ uint64_t *values = values_of(&distributions[i], N);
        _cleanup_(sketch_done) struct sketch kept = {0}, sum = {0}, other = {0};
        record_all(&kept, values, N / 3);
        record_all(&sum, values, N / 3);
        record_all(&other, values + N / 3, N - N / 3);
        assert_int_equal(sketch_merge(&sum, &other), 0);
        assert_int_equal(sketch_subtract(&sum, &other), 0);
        assert_same(&sum, &kept);
        assert_true(sum.touched == kept.touched);
        assert_int_equal(sketch_subtract(&sum, &kept), 0);
        assert_int_equal(sketch_count(&sum), 0);
        assert_true(sum.touched == 0);
        assert_bytes_add_up(&sum);
        record_all(&sum, values, N); /* still of use */
        assert_int_equal(sketch_count(&sum), N);
    }
}

static void subtracting_more_than_there_is_leaves_nothing(void **state)
{
    (void)state;
    _cleanup_(sketch_done) struct sketch from = {0}, earlier = {0};
    const uint64_t values[] = {0, 1, 300, 70000};
    for (size_t i = 0; i < 4; i++) {
        record(&from, values[i], 5 + i);
        record(&earlier, values[i], i == 2 ? 5 : 1000);
    }
    record(&earlier, 1ULL << 40, 9);
    assert_int_equal(sketch_subtract(&from, &earlier), 0);
    assert_int_equal(sketch_count(&from), 2);
    uint64_t low, high;
    assert_true(sketch_extremes(&from, &low, &high));
    assert_true(low <= 300 && 300 <= high && high < 310);
    assert_int_equal(sketch_count(&earlier), 3014);
}

/* Sketches for the steps with failing allocations, and what the value should be if one fails. */
struct step {
    struct sketch start, other;
    bool merges;
    uint32_t bucket;
    uint64_t count;
};

static void copy_of(struct sketch *to, const struct sketch *from)
{
    to->halvings = from->halvings;
    assert_int_equal(sketch_merge(to, from), 0);
}

static void step_fails_or_works(void *context)
{
    struct step *step = context;
    _cleanup_(sketch_done) struct sketch sketch = {0}, before = {0};
    failing_alloc.armed = false; /* only what is under test may fail */
    copy_of(&sketch, &step->start);
    copy_of(&before, &step->start);
    failing_alloc.armed = true;
    int status = step->merges ? sketch_merge(&sketch, &step->other)
                              : sketch_record(&sketch, step->bucket, step->count);
    failing_alloc.armed = false;
    assert_true(status == 0 || status == -ENOMEM);
    assert_bytes_add_up(&sketch);
    if (status == -ENOMEM) {
        while (before.halvings < sketch.halvings)
            sketch_halve(&before);
        assert_same(&sketch, &before);
        assert_true(sketch.touched == before.touched);
    } else {
        assert_true(sketch_count(&sketch) > sketch_count(&before));
    }
}

static void a_failed_allocation_leaves_the_value_unchanged(void **state)
{
    (void)state;
    _cleanup_free_ uint64_t *values = values_of(distribution_named("log-normal 2"), 3000);
    struct step step = {.bucket = loris_sketch_bucket(5000), .count = 1};
    assert_in_range(failing_alloc_each(step_fails_or_works, &step), 2, 2); /* pointers, page */
    for (unsigned power = 0; power < 20; power++) {
        record(&step.start, 1ULL << (3 * power + 1), UINT8_MAX);
        step.bucket = loris_sketch_bucket(1ULL << (3 * power + 1));
        assert_in_range(failing_alloc_each(step_fails_or_works, &step), 1, 1); /* wider page */
        step.bucket = loris_sketch_bucket(1ULL << 63);
        step.count = 1ULL << (3 * power);
        assert_in_range(failing_alloc_each(step_fails_or_works, &step), 1, 2);
        step.count = 1;
    }
    step.merges = true;
    record_all(&step.other, values, 3000);
    record(&step.other, 2, 1);
    assert_in_range(failing_alloc_each(step_fails_or_works, &step), 8, 100);
    sketch_halve(&step.start);
    assert_in_range(failing_alloc_each(step_fails_or_works, &step), 8, 100);
    sketch_halve(&step.other);
    sketch_halve(&step.other);
    assert_in_range(failing_alloc_each(step_fails_or_works, &step), 8, 100);
    sketch_done(&step.start);
    sketch_done(&step.other);
}

static void halve_without_memory(void *context)
{
    const struct sketch *start = context;
    _cleanup_(sketch_done) struct sketch halved = {0}, expected = {0};
    failing_alloc.armed = false;
    copy_of(&halved, start);
    copy_of(&expected, start);
    failing_alloc.armed = true;
    for (unsigned i = 0; i < SKETCH_HALVINGS_MAX; i++)
        sketch_halve(&halved);
    assert_int_equal(sketch_subtract(&halved, &(struct sketch){0}), 0);
    failing_alloc.armed = false;
    for (unsigned i = 0; i < SKETCH_HALVINGS_MAX; i++)
        sketch_halve(&expected);
    assert_same(&halved, &expected);
    assert_bytes_add_up(&halved);
    /* A block that could not shrink is used up before a larger one is asked for. */
    record(&halved, 5000, UINT32_MAX);
    record(&expected, 5000, UINT32_MAX);
    assert_same(&halved, &expected);
    assert_bytes_add_up(&halved);
}

static void halving_needs_no_memory(void **state)
{
    (void)state;
    _cleanup_free_ uint64_t *values = values_of(distribution_named("log-normal 1"), 20000);
    _cleanup_(sketch_done) struct sketch sketch = {0};
    record_all(&sketch, values, 20000);
    assert_in_range(failing_alloc_each(halve_without_memory, &sketch), 6, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_widen_when_they_overflow_and_not_before),
        cmocka_unit_test(counters_widen_while_merging_and_halving),
        cmocka_unit_test(merging_is_counting_both),
        cmocka_unit_test(merging_takes_the_coarser_resolution),
        cmocka_unit_test(subtracting_undoes_merging_and_frees_what_it_empties),
        cmocka_unit_test(subtracting_more_than_there_is_leaves_nothing),
        cmocka_unit_test(a_failed_allocation_leaves_the_value_unchanged),
        cmocka_unit_test(halving_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
