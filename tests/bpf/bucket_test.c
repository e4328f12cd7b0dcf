/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's form of loris_sketch_bucket(), run by the kernel, against the agent's form of it. */
#include <linux/types.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "bucket.skel.h"
#pragma GCC diagnostic pop

#include "bucket_batch.h"
#include "loris/sketch.h"

#define RANDOM_VALUES 1000000u

struct fixture {
    struct bucket *skeleton;
    struct bucket_batch batch;
    uint32_t filled;
    uint64_t compared;
    uint64_t told_by_long_double;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    if (geteuid() != 0) {
        puts("[          ] skipped: loading BPF programs needs root");
        return 0;
    }
    fixture.skeleton = bucket__open_and_load();
    return fixture.skeleton ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    bucket__destroy(fixture->skeleton);
    return 0;
}

/* ceil(64 * log2(value)), or -1 where 64 bits of mantissa cannot tell. */
static int long_double_ceil_log2_64(uint64_t value)
{
    long double exponent = 64 * log2l((long double)value);
    if (fabsl(exponent - roundl(exponent)) < 0x1p-48L)
        return -1;
    return (int)ceill(exponent);
}

static void compare(struct fixture *fixture, uint64_t value, uint32_t in_kernel)
{
    uint32_t here = loris_sketch_bucket(value);
    if (in_kernel != here || in_kernel >= LORIS_SKETCH_BUCKETS)
        fail_msg("%llu: bucket %u in the kernel, %u here", (unsigned long long)value, in_kernel,
                 here);
    fixture->compared++;
    int exponent = value ? long_double_ceil_log2_64(value) : -1;
    if (exponent < 0)
        return;
    fixture->told_by_long_double++;
    if (in_kernel != (uint32_t)exponent + LORIS_PAGE_BUCKETS - 1)
        fail_msg("%llu: bucket %u in the kernel, %d by long double", (unsigned long long)value,
                 in_kernel, exponent + LORIS_PAGE_BUCKETS - 1);
}

static void run_batch(struct fixture *fixture)
{
    uint32_t zero = 0;
    struct bucket_batch *batch = &fixture->batch;
    int map_fd = bpf_map__fd(fixture->skeleton->maps.batches);
    memset(batch->buckets, 0xff, sizeof(batch->buckets));
    assert_int_equal(bpf_map_update_elem(map_fd, &zero, batch, BPF_ANY), 0);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    int program_fd = bpf_program__fd(fixture->skeleton->progs.fill_buckets);
    assert_int_equal(bpf_prog_test_run_opts(program_fd, &options), 0);
    assert_int_equal(options.retval, 0);
    assert_int_equal(bpf_map_lookup_elem(map_fd, &zero, batch), 0);
    for (uint32_t i = 0; i < fixture->filled; i++)
        compare(fixture, batch->values[i], batch->buckets[i]);
    fixture->filled = 0;
}

static void check_value(struct fixture *fixture, uint64_t value)
{
    fixture->batch.values[fixture->filled++] = value;
    if (fixture->filled == BUCKET_BATCH)
        run_batch(fixture);
}

/* Two values on either side; around 0 and 2^64 they wrap, which only tests more. */
static void check_around(struct fixture *fixture, uint64_t boundary)
{
    for (uint64_t value = boundary - 2; value != boundary + 3; value++)
        check_value(fixture, value);
}

static void every_boundary_and_its_neighbours_have_one_bucket_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->skeleton)
        skip();
    for (unsigned log2 = 0; log2 < 64; log2++) {
        for (unsigned k = 0; k < LORIS_PAGE_BUCKETS; k++) {
            uint64_t boundary = loris_sketch_threshold[k] >> (63 - log2);
            check_around(fixture, boundary);
            /* The same boundary without the table, exact to a few units in the last place. */
            check_around(fixture, (uint64_t)exp2l((long double)log2 + k / 64.0L));
            if (boundary < UINT64_MAX)
                assert_true(log2 < 7 ||
                            loris_sketch_bucket(boundary) + 1 == loris_sketch_bucket(boundary + 1));
        }
    }
    check_around(fixture, 0);
    run_batch(fixture);
    assert_in_range(fixture->compared, 64 * 64 * 10, 64 * 64 * 10 + 5);
    assert_in_range(fixture->told_by_long_double, 20000, fixture->compared);
}

static void every_small_value_has_one_bucket_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->skeleton)
        skip();
    for (uint64_t value = 0; value < 100 * BUCKET_BATCH; value++)
        check_value(fixture, value);
    assert_int_equal(fixture->compared, 100 * BUCKET_BATCH);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_u64(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return mixed ^ (mixed >> 31);
}

/* Spread over all powers of two. */
static void a_million_random_values_have_one_bucket_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->skeleton)
        skip();
    uint64_t random = 2026;
    for (uint32_t i = 0; i < RANDOM_VALUES; i++)
        check_value(fixture, random_u64(&random) >> (i % 64));
    run_batch(fixture);
    assert_int_equal(fixture->compared, RANDOM_VALUES);
    assert_in_range(fixture->told_by_long_double, RANDOM_VALUES * 9 / 10, RANDOM_VALUES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_boundary_and_its_neighbours_have_one_bucket_on_both_sides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_small_value_has_one_bucket_on_both_sides, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_million_random_values_have_one_bucket_on_both_sides,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
