/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

/* The module once more, over maps that are arrays. */
#define kernel_counters_new           tested_kernel_counters_new
#define kernel_counters_free          tested_kernel_counters_free
#define kernel_counters_ledger        tested_kernel_counters_ledger
#define kernel_counters_walk          tested_kernel_counters_walk
#define kernel_counters_rare          tested_kernel_counters_rare
#define kernel_counters_take          tested_kernel_counters_take
#define kernel_counters_forget        tested_kernel_counters_forget
#define kernel_counters_bytes         tested_kernel_counters_bytes
#define kernel_counters_storage_bytes tested_kernel_counters_storage_bytes
#define kernel_side_cpus              fake_kernel_side_cpus
#define kernel_side_config            fake_kernel_side_config
#define kernel_side_map               fake_kernel_side_map
#define bpf_map_lookup_elem           fake_bpf_map_lookup_elem
#include "ingest/kernel_counters.c"

#include "random_numbers.h"

#define CPUS   3
#define PROBES 4
#define PAGES  40

/* What the kernel side holds, in the shapes of bpf/maps.bpf.h. */
struct kernel_side {
    struct kernel_side_config config;
    struct loris_ledger ledger[PROBES][CPUS];
    struct loris_rare_ledger rare[CPUS];
    uint32_t directory[PROBES][LORIS_SKETCH_PAGES + 1];
    uint64_t coarse[PROBES][LORIS_SKETCH_PAGES];
    uint64_t pages[PAGES][CPUS][LORIS_PAGE_BUCKETS];
    uint32_t pages_used;         /* ids from 1 */
    enum kernel_map failing_map; /* read fails with EIO; KERNEL_MAPS: none */
    uint32_t reads;
    void (*before_page)(void); /* runs once, when a page is read */
};

static struct kernel_side side;

uint32_t fake_kernel_side_cpus(const struct kernel_side *of)
{
    (void)of;
    return CPUS;
}

const struct kernel_side_config *fake_kernel_side_config(const struct kernel_side *of)
{
    return &of->config;
}

int fake_kernel_side_map(const struct kernel_side *of, enum kernel_map map)
{
    (void)of;
    return 1000 + (int)map;
}

int fake_bpf_map_lookup_elem(int fd, const void *key, void *value)
{
    uint32_t index;
    memcpy(&index, key, sizeof(index));
    side.reads++;
    if (fd - 1000 == (int)side.failing_map) {
        errno = EIO;
        return -1;
    }
    switch (fd - 1000) {
    case KERNEL_MAP_PROBE_LEDGER:
        memcpy(value, side.ledger[index], sizeof(side.ledger[index]));
        return 0;
    case KERNEL_MAP_RARE_LEDGER:
        memcpy(value, side.rare, sizeof(side.rare));
        return 0;
    case KERNEL_MAP_SKETCH_DIRS:
        memcpy(value, side.directory[index], sizeof(side.directory[index]));
        return 0;
    case KERNEL_MAP_SKETCH_COARSES:
        memcpy(value, side.coarse[index], sizeof(side.coarse[index]));
        return 0;
    case KERNEL_MAP_SKETCH_PAGES:
        assert_in_range(index, 1, side.pages_used);
        if (side.before_page)
            take_ptr(side.before_page)();
        memcpy(value, side.pages[index], sizeof(side.pages[index]));
        return 0;
    default:
        fail_msg("map %d is not read here", fd - 1000);
        return -1;
    }
}

/* The kernel's sketch_count(): in a page, or coarsely when there are no more. */
static void count_call(uint32_t probe, uint32_t cpu, uint64_t latency_ns, bool error)
{
    struct loris_ledger *ledger = &side.ledger[probe][cpu];
    uint32_t bucket = loris_sketch_bucket(latency_ns);
    uint32_t page = bucket / LORIS_PAGE_BUCKETS;
    uint32_t *id = &side.directory[probe][page];
    if (!*id && side.pages_used + 1 < PAGES)
        *id = ++side.pages_used;
    if (*id) {
        side.pages[*id][cpu][bucket % LORIS_PAGE_BUCKETS]++;
    } else {
        side.coarse[probe][page]++;
        ledger->sketch_coarse++;
    }
    ledger->entered++;
    ledger->returned++;
    ledger->counted++;
    ledger->sketch_errors += error;
    ledger->sketch_sum_ns += latency_ns;
    if (ledger->sketch_min_inverted < ~latency_ns)
        ledger->sketch_min_inverted = ~latency_ns;
    if (ledger->sketch_max_ns < latency_ns)
        ledger->sketch_max_ns = latency_ns;
}

struct fixture {
    struct kernel_counters *counters;
    uint64_t fine[LORIS_SKETCH_BUCKETS]; /* reported in all */
    uint64_t coarse[LORIS_SKETCH_PAGES];
    uint32_t calls_back;
};

static void on_bucket(uint32_t bucket, uint64_t count, bool is_coarse, void *context)
{
    struct fixture *fixture = context;
    assert_true(bucket < LORIS_SKETCH_BUCKETS && count > 0);
    fixture->calls_back++;
    if (is_coarse)
        fixture->coarse[bucket / LORIS_PAGE_BUCKETS] += count;
    else
        fixture->fine[bucket] += count;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    memset(&side, 0, sizeof(side));
    side.config.probes_max = PROBES;
    side.failing_map = KERNEL_MAPS;
    *state = &fixture;
    return kernel_counters_new(&side, &fixture.counters);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kernel_counters_free(fixture->counters);
    return 0;
}

static struct kernel_gain take(struct fixture *fixture, uint32_t probe)
{
    struct kernel_gain gain;
    assert_int_equal(kernel_counters_take(fixture->counters, probe, on_bucket, fixture, &gain), 0);
    return gain;
}

static void a_ledger_is_the_sum_over_all_cpus(void **state)
{
    struct fixture *fixture = *state;
    struct loris_ledger sum;
    const size_t fields = sizeof(sum) / sizeof(uint64_t);
    for (uint64_t cpu = 0; cpu < CPUS; cpu++)
        for (size_t i = 0; i < fields; i++)
            ((uint64_t *)&side.ledger[2][cpu])[i] = 100 * i + cpu + 1;
    assert_int_equal(kernel_counters_ledger(fixture->counters, 2, &sum), 0);
    for (size_t i = 0; i < fields; i++) {
        if (i * 8 == offsetof(struct loris_ledger, thin))
            continue;
        bool is_extreme = i * 8 == offsetof(struct loris_ledger, sketch_min_inverted) ||
                          i * 8 == offsetof(struct loris_ledger, sketch_max_ns);
        assert_int_equal(((uint64_t *)&sum)[i], is_extreme ? 100 * i + 3 : 300 * i + 6);
    }
    assert_int_equal(kernel_counters_ledger(fixture->counters, 1, &sum), 0);
    assert_int_equal(sum.entered, 0);
}

static void calls_that_wait_are_summed_without_the_gaps(void **state)
{
    struct fixture *fixture = *state;
    struct loris_ledger sum;
    for (uint64_t cpu = 0; cpu < CPUS; cpu++)
        side.ledger[2][cpu].thin = (10 + cpu) << 32 | 0xffffffffu;
    assert_int_equal(kernel_counters_ledger(fixture->counters, 2, &sum), 0);
    assert_int_equal(loris_ledger_waiting(&sum), 33);
}

static void the_rare_ledger_is_the_sum_over_all_cpus(void **state)
{
    struct fixture *fixture = *state;
    struct loris_rare_ledger sum;
    for (uint64_t cpu = 0; cpu < CPUS; cpu++)
        side.rare[cpu] = (struct loris_rare_ledger){.submitted = 10 + cpu, .ring_full = cpu};
    assert_int_equal(kernel_counters_rare(fixture->counters, &sum), 0);
    assert_int_equal(sum.submitted, 33);
    assert_int_equal(sum.ring_full, 3);
}

static void a_probe_without_counts_costs_one_read(void **state)
{
    struct fixture *fixture = *state;
    side.ledger[1][0].entered = side.ledger[1][0].returned = 7;
    assert_int_equal(take(fixture, 1).count, 0);
    assert_int_equal(side.reads, 1);
    assert_int_equal(fixture->calls_back, 0);
}

static void a_call_is_reported_once(void **state)
{
    struct fixture *fixture = *state;
    count_call(1, 0, 1000, true);
    count_call(1, 2, 1000, false);
    count_call(1, 1, 5, false);
    struct kernel_gain gain = take(fixture, 1);
    assert_int_equal(gain.count, 3);
    assert_int_equal(gain.errors, 1);
    assert_int_equal(gain.sum_ns, 2005);
    assert_int_equal(gain.min_ns, 5);
    assert_int_equal(gain.max_ns, 1000);
    assert_false(gain.coarse);
    assert_int_equal(fixture->calls_back, 2);
    assert_int_equal(fixture->fine[loris_sketch_bucket(1000)], 2);
    assert_int_equal(take(fixture, 1).count, 0);
    assert_int_equal(fixture->calls_back, 2);
    count_call(1, 1, 1000, false);
    gain = take(fixture, 1);
    assert_int_equal(gain.count, 1);
    assert_int_equal(gain.errors, 0);
    assert_int_equal(gain.sum_ns, 1000);
}

static void calls_without_a_page_are_reported_by_their_power_of_two(void **state)
{
    struct fixture *fixture = *state;
    side.pages_used = PAGES;
    count_call(0, 0, 0, false);
    count_call(0, 1, 1500, false);
    count_call(0, 2, 2000, false);
    struct kernel_gain gain = take(fixture, 0);
    assert_int_equal(gain.count, 3);
    assert_true(gain.coarse);
    assert_int_equal(fixture->coarse[0], 1);
    assert_int_equal(fixture->coarse[loris_sketch_bucket(1500) / LORIS_PAGE_BUCKETS], 2);
    assert_int_equal(take(fixture, 0).count, 0);
}

/* The ledger is read before the pages, and a call may add to both in between. */
static void a_count_that_ran_ahead_of_the_ledger_is_not_taken_twice(void **state)
{
    struct fixture *fixture = *state;
    count_call(1, 0, 1000, false);
    count_call(1, 0, 1000, false);
    side.ledger[1][0].counted--;
    assert_int_equal(take(fixture, 1).count, 2);
    side.ledger[1][0].counted++;
    assert_int_equal(take(fixture, 1).count, 0);
    count_call(1, 0, 1000, false);
    assert_int_equal(take(fixture, 1).count, 1);
}

static void a_count_behind_the_ledger_comes_with_the_next_take(void **state)
{
    struct fixture *fixture = *state;
    count_call(1, 0, 1000, false);
    side.ledger[1][0].counted++;
    assert_int_equal(take(fixture, 1).count, 1);
    side.pages[side.directory[1][loris_sketch_bucket(1000) / LORIS_PAGE_BUCKETS]][0]
              [loris_sketch_bucket(1000) % LORIS_PAGE_BUCKETS]++;
    assert_int_equal(take(fixture, 1).count, 1);
}

static void call_in_between(void)
{
    count_call(1, 2, 1000, true);
}

/* A call between the reads of ledger and page is in the page, so its time must be there, too. */
static void a_count_comes_with_its_errors_and_sum(void **state)
{
    struct fixture *fixture = *state;
    count_call(1, 0, 1000, false);
    side.before_page = call_in_between;
    struct kernel_gain gain = take(fixture, 1);
    assert_int_equal(gain.count, 2);
    assert_int_equal(gain.errors, 1);
    assert_int_equal(gain.sum_ns, 2000);
    gain = take(fixture, 1);
    assert_int_equal(gain.count, 0);
    assert_int_equal(gain.sum_ns, 0);
}

/* The time is written before the page: a take in between must keep it for the next. */
static void a_sum_without_its_call_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    count_call(1, 0, 1000, false);
    side.ledger[1][0].counted++; /* of a call that has come no further */
    assert_int_equal(take(fixture, 1).sum_ns, 1000);
    side.ledger[1][0].sketch_sum_ns += 1000;
    struct kernel_gain gain = take(fixture, 1);
    assert_int_equal(gain.count, 0);
    assert_int_equal(gain.sum_ns, 0);
    side.pages[side.directory[1][loris_sketch_bucket(1000) / LORIS_PAGE_BUCKETS]][0]
              [loris_sketch_bucket(1000) % LORIS_PAGE_BUCKETS]++;
    gain = take(fixture, 1);
    assert_int_equal(gain.count, 1);
    assert_int_equal(gain.sum_ns, 1000);
}

/* A failed take reports nothing, so nothing may be taken for reported: errors and sum included. */
static void what_a_failed_take_left_comes_with_the_next(void **state)
{
    struct fixture *fixture = *state;
    static const enum kernel_map maps[] = {KERNEL_MAP_PROBE_LEDGER, KERNEL_MAP_SKETCH_DIRS,
                                           KERNEL_MAP_SKETCH_PAGES};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        struct kernel_gain gain;
        count_call(1, 0, 1000, true);
        side.failing_map = maps[i];
        assert_int_equal(kernel_counters_take(fixture->counters, 1, on_bucket, fixture, &gain),
                         -EIO);
        side.failing_map = KERNEL_MAPS;
        gain = take(fixture, 1);
        assert_int_equal(gain.count, 1);
        assert_int_equal(gain.errors, 1);
        assert_int_equal(gain.sum_ns, 1000);
    }
}

static void a_probe_that_was_reset_begins_again(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes = kernel_counters_bytes(fixture->counters);
    kernel_counters_forget(fixture->counters, 1);
    for (int life = 0; life < 3; life++) {
        memset(&side.ledger[1], 0, sizeof(side.ledger[1]));
        memset(side.directory, 0, sizeof(side.directory));
        memset(side.pages, 0, sizeof(side.pages));
        side.pages_used = 0;
        count_call(1, 0, 1000, false);
        count_call(1, 0, 1ull << 40, false);
        assert_int_equal(take(fixture, 1).count, 2);
        assert_true(kernel_counters_bytes(fixture->counters) > bytes);
        kernel_counters_forget(fixture->counters, 1);
        assert_int_equal(kernel_counters_bytes(fixture->counters), bytes);
    }
}

/* Random calls on random CPUs, taken at random moments: sums are those of a plain array. */
static void agrees_with_a_plain_array_over_random_calls(void **state)
{
    struct fixture *fixture = *state;
    static uint64_t expected[LORIS_SKETCH_BUCKETS];
    uint64_t random = 11, sum_ns = 0, errors = 0;
    struct kernel_gain total = {0};
    memset(expected, 0, sizeof(expected));
    for (unsigned round = 0; round < 100000; round++) {
        uint64_t latency_ns = random_u64(&random) >> (24 + random_below(&random, 40));
        bool error = random_below(&random, 10) == 0;
        count_call(3, random_below(&random, CPUS), latency_ns, error);
        expected[loris_sketch_bucket(latency_ns)]++;
        sum_ns += latency_ns;
        errors += error;
        if (random_below(&random, 50) && round < 99999)
            continue;
        struct kernel_gain gain = take(fixture, 3);
        total.count += gain.count;
        total.errors += gain.errors;
        total.sum_ns += gain.sum_ns;
        assert_int_equal(total.count, round + 1);
    }
    assert_true(total.sum_ns == sum_ns);
    assert_int_equal(total.errors, errors);
    for (uint32_t page = 0; page < LORIS_SKETCH_PAGES; page++) {
        uint64_t whole = 0;
        for (uint32_t bucket = page * LORIS_PAGE_BUCKETS; bucket < (page + 1) * LORIS_PAGE_BUCKETS;
             bucket++) {
            whole += expected[bucket] - fixture->fine[bucket];
            assert_true(fixture->fine[bucket] <= expected[bucket]);
        }
        assert_int_equal(whole, fixture->coarse[page]);
    }
}

static void count_under_failures(void *context)
{
    struct fixture *fixture = context;
    struct kernel_counters *counters = NULL;
    struct kernel_gain gain;
    struct loris_rare_ledger rare;
    memset(fixture->fine, 0, sizeof(fixture->fine));
    int status = kernel_counters_new(&side, &counters);
    assert_true(status == 0 || status == -ENOMEM);
    if (status)
        return;
    status = kernel_counters_rare(counters, &rare);
    assert_true(status == 0 || status == -ENOMEM);
    uint64_t count = 0;
    for (int tries = 0; tries < 3; tries++) {
        status = kernel_counters_take(counters, 1, on_bucket, fixture, &gain);
        assert_true(status == 0 || status == -ENOMEM);
        count += status ? 0 : gain.count;
    }
    assert_true(count ==
                fixture->fine[loris_sketch_bucket(9)] + fixture->fine[loris_sketch_bucket(1000)]);
    kernel_counters_free(counters);
}

static void survives_every_failed_allocation(void **state)
{
    count_call(1, 0, 9, false);
    count_call(1, 0, 1000, false);
    assert_in_range(failing_alloc_each(count_under_failures, *state), 7, 30);
}

#define COUNTERS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTERS_TEST(a_ledger_is_the_sum_over_all_cpus),
        COUNTERS_TEST(calls_that_wait_are_summed_without_the_gaps),
        COUNTERS_TEST(the_rare_ledger_is_the_sum_over_all_cpus),
        COUNTERS_TEST(a_probe_without_counts_costs_one_read),
        COUNTERS_TEST(a_call_is_reported_once),
        COUNTERS_TEST(calls_without_a_page_are_reported_by_their_power_of_two),
        COUNTERS_TEST(a_count_that_ran_ahead_of_the_ledger_is_not_taken_twice),
        COUNTERS_TEST(a_count_behind_the_ledger_comes_with_the_next_take),
        COUNTERS_TEST(a_count_comes_with_its_errors_and_sum),
        COUNTERS_TEST(a_sum_without_its_call_waits_for_it),
        COUNTERS_TEST(what_a_failed_take_left_comes_with_the_next),
        COUNTERS_TEST(a_probe_that_was_reset_begins_again),
        COUNTERS_TEST(agrees_with_a_plain_array_over_random_calls),
        COUNTERS_TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
