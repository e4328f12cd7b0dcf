/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

#include "fake_kernel_side.h"

/* The module once more, over that kernel side. */
#define drain_new          tested_drain_new
#define drain_free         tested_drain_free
#define drain_pass         tested_drain_pass
#define drain_took         tested_drain_took
#define drain_complete_ns  tested_drain_complete_ns
#define drain_interval_ns  tested_drain_interval_ns
#define drain_figures      tested_drain_figures
#define drain_mapped_bytes tested_drain_mapped_bytes
#include "ingest/drain.c"

#include "failing_map.h"
#include "random_numbers.h"

#define CPUS        3
#define LOG_LOG2    9
#define LOG_RECORDS (1u << LOG_LOG2)
#define RARE_BYTES  4096u
#define MS          1000000ull

#define SEEN_MAX 4096

struct fixture {
    struct kernel_side side;
    struct drain *drain;
    bool refill; /* CPU 0 gets a new record for each that is handed over */
    uint32_t longest_batch;
    uint32_t count;
    uint32_t pids[SEEN_MAX];
    char kinds[SEEN_MAX + 1];
};

static void note(struct fixture *fixture, char kind, uint32_t pid)
{
    assert_true(fixture->count < SEEN_MAX);
    fixture->pids[fixture->count] = pid;
    fixture->kinds[fixture->count++] = kind;
}

static void on_latencies(const struct loris_latency_event *latencies, uint32_t count, void *context)
{
    struct fixture *fixture = context;
    if (count > fixture->longest_batch)
        fixture->longest_batch = count;
    for (uint32_t i = 0; i < count; i++) {
        note(fixture, 'l', latencies[i].pid);
        if (fixture->refill)
            fake_sample_log_submit(&fixture->side.samples, 0, &latencies[i]);
    }
}

static void on_process(const struct loris_process_event *event, void *context)
{
    note(context, 'p', event->pid);
}

static void on_cgroup(const struct loris_cgroup_event *event, void *context)
{
    note(context, 'c', event->pid);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    static const struct drain_config config = {
        .interval_min_ns = 10 * MS, .interval_max_ns = 1000 * MS, .bite_records = 100};
    memset(&fixture, 0, sizeof(fixture));
    fake_kernel_side_init(&fixture.side, CPUS, LOG_LOG2, RARE_BYTES);
    *state = &fixture;
    return drain_new(&fixture.side, &config, &fixture.drain);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    drain_free(fixture->drain);
    fake_kernel_side_done(&fixture->side);
    return 0;
}

static struct loris_latency_event latency_of(uint32_t pid)
{
    return (struct loris_latency_event){.tag = LORIS_EVENT_LATENCY, .weight = 1, .pid = pid};
}

static bool offer_latency(struct fixture *fixture, uint32_t cpu, uint32_t pid)
{
    const struct loris_latency_event event = latency_of(pid);
    return fake_sample_log_submit(&fixture->side.samples, cpu, &event);
}

static void put_latency(struct fixture *fixture, uint32_t cpu, uint32_t pid)
{
    assert_true(offer_latency(fixture, cpu, pid));
}

static struct loris_process_event process_of(uint32_t pid)
{
    return (struct loris_process_event){
        .tag = LORIS_EVENT_PROCESS, .edge = LORIS_PROCESS_FORK, .pid = pid};
}

static void put_process(struct fixture *fixture, uint32_t cpu, uint32_t pid)
{
    const struct loris_process_event event = process_of(pid);
    assert_true(fake_ring_submit(&fixture->side.rare[cpu], &event, sizeof(event)));
}

static bool pass(struct fixture *fixture, uint64_t now_ns)
{
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, fixture};
    fixture->count = 0;
    memset(fixture->kinds, 0, sizeof(fixture->kinds));
    return drain_pass(fixture->drain, &sink, now_ns);
}

static struct drain_figures figures(struct fixture *fixture)
{
    return drain_figures(fixture->drain);
}

static void a_pass_over_empty_logs_and_rings_is_complete(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(drain_complete_ns(fixture->drain), 0);
    assert_false(pass(fixture, 5 * MS));
    assert_int_equal(fixture->count, 0);
    assert_int_equal(drain_complete_ns(fixture->drain), 5 * MS);
    assert_int_equal(figures(fixture).passes, 1);
}

static void who_is_there_comes_before_what_they_did(void **state)
{
    struct fixture *fixture = *state;
    put_latency(fixture, 0, 1);
    put_latency(fixture, 2, 2);
    put_process(fixture, 2, 3);
    put_process(fixture, 1, 4);
    assert_false(pass(fixture, 1));
    assert_string_equal(fixture->kinds, "ppll");
    assert_int_equal(figures(fixture).events.latencies, 2);
    assert_int_equal(figures(fixture).events.rare, 2);
}

static void every_cpu_is_first_in_its_turn(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t turn = 0; turn < 2 * CPUS; turn++) {
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            put_latency(fixture, cpu, cpu);
        assert_false(pass(fixture, turn));
        assert_int_equal(fixture->count, CPUS);
        assert_int_equal(fixture->pids[0], turn % CPUS);
    }
}

static void a_bite_is_never_exceeded_and_nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;
    uint32_t total = 0, passes = 0;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        for (uint32_t i = 0; i < 150; i++)
            put_latency(fixture, cpu, i);
    for (bool more = true; more; passes++) {
        more = pass(fixture, 100 + passes);
        assert_true(fixture->count <= 100);
        assert_true(more == (fixture->count == 100));
        total += fixture->count;
        assert_int_equal(drain_complete_ns(fixture->drain), more ? 0 : 100 + passes);
    }
    assert_int_equal(total, 3 * 150);
}

static void a_log_is_emptied_across_its_end(void **state)
{
    struct fixture *fixture = *state;
    fake_sample_log_begin_at(&fixture->side.samples, 1, 5 * LOG_RECORDS - 20);
    for (uint32_t i = 0; i < 60; i++)
        put_latency(fixture, 1, i);
    assert_false(pass(fixture, 4));
    assert_int_equal(fixture->count, 60);
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(fixture->pids[i], i);
    assert_int_equal(drain_complete_ns(fixture->drain), 4);
}

static void the_sink_never_gets_more_than_a_batch(void **state)
{
    struct fixture *fixture = *state;
    fixture->drain->config.bite_records = 3 * LOG_RECORDS;
    for (uint32_t i = 0; i < LOG_RECORDS; i++)
        put_latency(fixture, 2, i);
    assert_false(pass(fixture, 4));
    assert_int_equal(fixture->count, LOG_RECORDS);
    assert_int_equal(fixture->longest_batch, EVENT_BATCH_MAX);
    assert_int_equal(drain_complete_ns(fixture->drain), 4);
}

static void a_bite_covers_rare_records_too(void **state)
{
    struct fixture *fixture = *state;
    uint32_t total = 0;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        for (uint32_t i = 0; i < 70; i++)
            put_process(fixture, cpu, i);
    put_latency(fixture, 0, 1);
    for (bool more = true; more; total += fixture->count) {
        more = pass(fixture, 5);
        assert_true(fixture->count <= 100);
        assert_int_equal(drain_complete_ns(fixture->drain), more ? 0 : 5);
    }
    assert_int_equal(total, CPUS * 70 + 1);
}

static void what_comes_while_a_pass_goes_on_is_left_for_the_next(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t before = EVENT_BATCH_MAX + 50;
    fixture->drain->config.bite_records = 3 * LOG_RECORDS;
    fixture->refill = true;
    for (uint32_t i = 0; i < before; i++)
        put_latency(fixture, 0, i);
    assert_false(pass(fixture, 4));
    assert_int_equal(fixture->count, before);
    assert_int_equal(drain_complete_ns(fixture->drain), 4);
}

/* The first one of a CPU is being filled: those behind it wait, those of other CPUs do not. */
static void a_busy_sample_holds_completeness_back(void **state)
{
    struct fixture *fixture = *state;
    const struct loris_latency_event event = latency_of(7);
    uint64_t busy = 0;
    assert_false(pass(fixture, 1));
    assert_true(fake_sample_log_reserve(&fixture->side.samples, 1, &busy));
    put_latency(fixture, 0, 1);
    put_latency(fixture, 1, 8);
    put_latency(fixture, 2, 2);
    assert_false(pass(fixture, 2));
    assert_int_equal(fixture->count, 2);
    assert_int_equal(drain_complete_ns(fixture->drain), 1);
    fake_sample_log_commit(&fixture->side.samples, 1, busy, &event);
    assert_false(pass(fixture, 3));
    assert_int_equal(fixture->count, 2);
    assert_int_equal(fixture->pids[0], 7);
    assert_int_equal(fixture->pids[1], 8);
    assert_int_equal(drain_complete_ns(fixture->drain), 3);
}

static void a_busy_rare_record_holds_completeness_back(void **state)
{
    struct fixture *fixture = *state;
    const struct loris_process_event event = process_of(7);
    uint64_t busy = 0;
    assert_true(fake_ring_reserve(&fixture->side.rare[1], &event, sizeof(event), &busy));
    put_latency(fixture, 1, 1);
    put_process(fixture, 1, 8);
    put_process(fixture, 2, 2);
    assert_false(pass(fixture, 2));
    assert_string_equal(fixture->kinds, "pl");
    assert_int_equal(drain_complete_ns(fixture->drain), 0);
    fake_ring_commit(&fixture->side.rare[1], busy, sizeof(event));
    assert_false(pass(fixture, 3));
    assert_string_equal(fixture->kinds, "pp");
    assert_int_equal(fixture->pids[0], 7);
    assert_int_equal(drain_complete_ns(fixture->drain), 3);
}

static void a_producer_that_never_rests_does_not_hold_a_pass(void **state)
{
    struct fixture *fixture = *state;
    put_latency(fixture, 0, 1);
    put_latency(fixture, 1, 2);
    fixture->refill = true;
    for (uint64_t now = 1; now < 50; now++) {
        assert_false(pass(fixture, now));
        assert_in_range(fixture->count, 1, 2);
        assert_int_equal(drain_complete_ns(fixture->drain), now);
    }
}

/* As the kernel side makes them to wake the reader. */
static void a_ring_of_discarded_records_is_complete(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t position = 0, i = 0; i < 200; i++) {
        assert_true(fake_ring_reserve(&fixture->side.rare[2], "1234567", 8, &position));
        fake_ring_discard(&fixture->side.rare[2], position, 8);
    }
    put_process(fixture, 2, 5);
    assert_false(pass(fixture, 9));
    assert_int_equal(fixture->count, 1);
    assert_int_equal(drain_complete_ns(fixture->drain), 9);
}

static void bad_records_are_counted_and_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct loris_latency_event bad = latency_of(9);
    uint64_t position = 0;
    put_latency(fixture, 0, 1);
    bad.tag = LORIS_EVENT_PROCESS;
    assert_true(fake_sample_log_submit(&fixture->side.samples, 0, &bad));
    put_latency(fixture, 0, 2);
    bad = latency_of(9);
    bad.weight = 0;
    assert_true(fake_sample_log_submit(&fixture->side.samples, 0, &bad));
    assert_true(fake_ring_submit(&fixture->side.rare[1], "no event", 8));
    assert_true(fake_ring_submit(&fixture->side.rare[1], "", 0));
    assert_true(fake_ring_reserve(&fixture->side.rare[0], "12345678", 8, &position));
    fake_ring_commit(&fixture->side.rare[0], position, 99999);
    assert_false(pass(fixture, 1));
    assert_int_equal(fixture->count, 2);
    assert_int_equal(figures(fixture).events.latencies, 2);
    assert_int_equal(figures(fixture).events.malformed, 4);
    assert_int_equal(figures(fixture).broken, 1);
    assert_int_equal(drain_complete_ns(fixture->drain), 1);
}

static void put_many(struct fixture *fixture, uint32_t count)
{
    while (count-- > 0)
        put_latency(fixture, 1, 1);
}

static uint64_t interval_after(struct fixture *fixture, uint32_t count)
{
    put_many(fixture, count);
    assert_false(pass(fixture, 1));
    return drain_interval_ns(fixture->drain);
}

static void the_fullest_log_steers_the_interval(void **state)
{
    struct fixture *fixture = *state;
    uint64_t expected = 1000 * MS;
    fixture->drain->config.bite_records = LOG_RECORDS;
    assert_int_equal(drain_interval_ns(fixture->drain), expected);
    for (int i = 0; i < 10; i++) {
        expected = expected / 2 < 10 * MS ? 10 * MS : expected / 2;
        assert_int_equal(interval_after(fixture, LOG_RECORDS / 4 + 1), expected);
        assert_int_equal(interval_after(fixture, LOG_RECORDS / 4), expected);
        assert_int_equal(interval_after(fixture, LOG_RECORDS / 16), expected);
    }
    assert_int_equal(expected, 10 * MS);
    for (int i = 0; i < 15; i++) {
        expected += expected / 2;
        expected = expected > 1000 * MS ? 1000 * MS : expected;
        assert_int_equal(interval_after(fixture, LOG_RECORDS / 16 - 1), expected);
    }
    assert_int_equal(expected, 1000 * MS);
}

static void a_full_rare_ring_shortens_the_interval_too(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 40; i++)
        put_process(fixture, 0, i); /* 40 x 56 bytes of 4096 */
    pass(fixture, 1);
    assert_int_equal(drain_interval_ns(fixture->drain), 500 * MS);
    assert_true(figures(fixture).fill_peak == 40 * 56 / 4096.0);
}

static void the_fullest_log_and_the_longest_pass_are_remembered(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, LOG_RECORDS / 2);
    pass(fixture, 1);
    drain_took(fixture->drain, 70);
    pass(fixture, 2);
    drain_took(fixture->drain, 30);
    assert_true(figures(fixture).fill_peak == 0.5);
    assert_int_equal(figures(fixture).longest_ns, 70);
    assert_int_equal(figures(fixture).last_ns, 30);
}

/* Counts what came from each CPU, whose records are numbered. */
static void check_order(const struct fixture *fixture, uint32_t *received)
{
    for (uint32_t i = 0; i < fixture->count; i++) {
        uint32_t from = fixture->pids[i] >> 24;
        assert_true(from < CPUS);
        assert_int_equal(fixture->pids[i] & 0xffffff, received[from]++);
    }
}

/* Producers on all CPUs, more at times than fits: every record arrives once, in its CPU's order. */
static void hands_over_everything_once_under_random_load(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 3;
    uint32_t sent[CPUS] = {0}, received[CPUS] = {0}, refused = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t cpu = random_below(&random, CPUS), most = round % 1000 < 500 ? 30 : 90;
        for (uint32_t burst = random_below(&random, most); burst > 0; burst--) {
            bool taken = offer_latency(fixture, cpu, cpu << 24 | sent[cpu]);
            sent[cpu] += taken;
            refused += !taken;
        }
        if (random_below(&random, 4) && round < 19990)
            continue;
        pass(fixture, round);
        check_order(fixture, received);
    }
    for (bool more = true; more;) {
        more = pass(fixture, 1);
        check_order(fixture, received);
    }
    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        assert_true(sent[cpu] > 10000);
        assert_int_equal(sent[cpu], received[cpu]);
    }
    assert_true(refused > 1000);
    assert_int_equal(figures(fixture).events.malformed, 0);
}

static void open_and_close(void *context)
{
    struct fixture *fixture = context;
    const struct drain_config config = {.interval_max_ns = 1, .bite_records = 1};
    struct drain *drain = NULL;
    int status = drain_new(&fixture->side, &config, &drain);
    assert_true(status == 0 || status == -ENOMEM);
    assert_true((status == 0) == (drain != NULL));
    drain_free(drain);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(open_and_close, *state), 3 + CPUS, 30);
}

static void survives_every_failed_mapping(void **state)
{
    assert_int_equal(failing_map_each(open_and_close, *state), 2 + 2 * CPUS);
}

#define DRAIN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(a_pass_over_empty_logs_and_rings_is_complete),
        DRAIN_TEST(who_is_there_comes_before_what_they_did),
        DRAIN_TEST(every_cpu_is_first_in_its_turn),
        DRAIN_TEST(a_bite_is_never_exceeded_and_nothing_is_lost),
        DRAIN_TEST(a_log_is_emptied_across_its_end),
        DRAIN_TEST(the_sink_never_gets_more_than_a_batch),
        DRAIN_TEST(a_bite_covers_rare_records_too),
        DRAIN_TEST(what_comes_while_a_pass_goes_on_is_left_for_the_next),
        DRAIN_TEST(a_busy_sample_holds_completeness_back),
        DRAIN_TEST(a_busy_rare_record_holds_completeness_back),
        DRAIN_TEST(a_producer_that_never_rests_does_not_hold_a_pass),
        DRAIN_TEST(a_ring_of_discarded_records_is_complete),
        DRAIN_TEST(bad_records_are_counted_and_passed_over),
        DRAIN_TEST(the_fullest_log_steers_the_interval),
        DRAIN_TEST(a_full_rare_ring_shortens_the_interval_too),
        DRAIN_TEST(the_fullest_log_and_the_longest_pass_are_remembered),
        DRAIN_TEST(hands_over_everything_once_under_random_load),
        DRAIN_TEST(survives_every_failed_allocation),
        DRAIN_TEST(survives_every_failed_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
