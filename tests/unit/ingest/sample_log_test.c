/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/sample_log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"
#include "failing_map.h"
#include "fake_sample_log.h"
#include "random_numbers.h"

#define CPUS          2
#define CAPACITY_LOG2 4
#define CAPACITY      (1u << CAPACITY_LOG2)

struct fixture {
    struct fake_sample_log kernel;
    struct sample_log *log;
};

static int open_log(const struct fixture *fixture, struct sample_log **ret_log)
{
    return sample_log_new(fixture->kernel.logs_fd, fixture->kernel.samples_fd, CPUS, CAPACITY_LOG2,
                          ret_log);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fake_sample_log_init(&fixture.kernel, CPUS, CAPACITY_LOG2);
    *state = &fixture;
    return open_log(&fixture, &fixture.log);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    sample_log_free(fixture->log);
    fake_sample_log_done(&fixture->kernel);
    return 0;
}

static struct loris_latency_event event_of(uint64_t value)
{
    return (struct loris_latency_event){
        .tag = LORIS_EVENT_LATENCY, .weight = 1, .latency_ns = value};
}

static void commit(struct fixture *fixture, uint32_t cpu, uint64_t position, uint64_t value)
{
    const struct loris_latency_event event = event_of(value);
    fake_sample_log_commit(&fixture->kernel, cpu, position, &event);
}

static bool write_one(struct fixture *fixture, uint32_t cpu, uint64_t value)
{
    const struct loris_latency_event event = event_of(value);
    return fake_sample_log_submit(&fixture->kernel, cpu, &event);
}

static void nothing_is_there_at_first(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count = 9;
    sample_log_peek(fixture->log, 0, 100, &count);
    assert_int_equal(count, 0);
    assert_int_equal(sample_log_reserved(fixture->log, 0), 0);
}

static void records_come_in_order_and_each_once_over_many_laps(void **state)
{
    struct fixture *fixture = *state;
    uint64_t written = 0, read = 0;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < round % (CAPACITY + 3); i++)
            if (write_one(fixture, 1, written))
                written++;
        for (unsigned pass = 0; pass < 2; pass++) {
            uint32_t count;
            const struct loris_latency_event *events =
                sample_log_peek(fixture->log, 1, 1 + round % 7, &count);
            assert_true(count <= 1 + round % 7);
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(events[i].latency_ns, read++);
            sample_log_consume(fixture->log, 1, count);
        }
        assert_int_equal(sample_log_reserved(fixture->log, 1), written);
        assert_int_equal(sample_log_consumed(fixture->log, 1), read);
    }
    assert_true(read > 10 * CAPACITY);
    uint32_t count;
    sample_log_peek(fixture->log, 0, 100, &count);
    assert_int_equal(count, 0); /* the other CPU's log is another */
}

static void a_full_log_takes_no_more_until_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count;
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_true(write_one(fixture, 0, i));
    assert_false(write_one(fixture, 0, 99));
    sample_log_peek(fixture->log, 0, 1000, &count);
    assert_int_equal(count, CAPACITY);
    sample_log_consume(fixture->log, 0, 1);
    assert_true(write_one(fixture, 0, 16));
    assert_false(write_one(fixture, 0, 99));
}

static void a_record_being_filled_holds_up_those_behind_it(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = 0, second = 0;
    uint32_t count;
    assert_true(fake_sample_log_reserve(&fixture->kernel, 0, &first));
    assert_true(fake_sample_log_reserve(&fixture->kernel, 0, &second));
    commit(fixture, 0, second, 2);
    sample_log_peek(fixture->log, 0, 10, &count);
    assert_int_equal(count, 0);
    commit(fixture, 0, first, 1);
    const struct loris_latency_event *events = sample_log_peek(fixture->log, 0, 10, &count);
    assert_int_equal(count, 2);
    assert_int_equal(events[0].latency_ns, 1);
    assert_int_equal(events[1].latency_ns, 2);
}

static void a_record_of_the_lap_before_is_not_read_again(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count;
    uint64_t position = 0;
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_true(write_one(fixture, 0, i));
    sample_log_consume(fixture->log, 0, CAPACITY);
    sample_log_peek(fixture->log, 0, 10, &count);
    assert_int_equal(count, 0);
    assert_true(fake_sample_log_reserve(&fixture->kernel, 0, &position));
    sample_log_peek(fixture->log, 0, 10, &count);
    assert_int_equal(count, 0);
}

static void what_lies_side_by_side_ends_with_the_ring(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count;
    fake_sample_log_begin_at(&fixture->kernel, 1, 7 * CAPACITY - 3);
    for (unsigned i = 0; i < 5; i++)
        assert_true(write_one(fixture, 1, i));
    const struct loris_latency_event *events = sample_log_peek(fixture->log, 1, 100, &count);
    assert_int_equal(count, 3);
    sample_log_consume(fixture->log, 1, 3);
    events = sample_log_peek(fixture->log, 1, 100, &count);
    assert_int_equal(count, 2);
    assert_int_equal(events[0].latency_ns, 3);
}

static void room_is_given_back_only_when_it_is_consumed(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count;
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_true(write_one(fixture, 0, i));
    for (unsigned i = 0; i < 3; i++) {
        const struct loris_latency_event *events = sample_log_peek(fixture->log, 0, 5, &count);
        assert_int_equal(count, 5);
        assert_int_equal(events[0].latency_ns, 0);
        assert_false(write_one(fixture, 0, 99));
    }
}

static void positions_beyond_32_bits_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t begin = (1ull << 32) - 3;
    uint64_t next = 0;
    uint32_t count;
    fake_sample_log_begin_at(&fixture->kernel, 0, begin);
    for (unsigned i = 0; i < 9; i++)
        assert_true(write_one(fixture, 0, i));
    for (unsigned turn = 0; turn < 2; turn++) {
        const struct loris_latency_event *events = sample_log_peek(fixture->log, 0, 100, &count);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(events[i].latency_ns, next++);
        sample_log_consume(fixture->log, 0, count);
    }
    assert_int_equal(next, 9);
    assert_true(sample_log_consumed(fixture->log, 0) == begin + 9);
    assert_true(sample_log_reserved(fixture->log, 0) == begin + 9);
}

/* Nested writers: reserved in one order, filled in any. */
static void agrees_with_a_queue_over_a_million_random_steps(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 20261120, open[CAPACITY], read = 0, position = 0;
    unsigned open_count = 0;
    for (unsigned step = 0; step < 1000000; step++) {
        uint32_t dice = random_below(&random, 100);
        if (dice < 45 && fake_sample_log_reserve(&fixture->kernel, 0, &position)) {
            open[open_count++] = position;
        } else if (dice < 90 && open_count > 0) {
            unsigned which = random_below(&random, open_count);
            commit(fixture, 0, open[which], open[which]);
            open[which] = open[--open_count];
        } else if (dice >= 90) {
            uint32_t count, max = random_below(&random, CAPACITY + 2);
            uint64_t until = sample_log_reserved(fixture->log, 0);
            const struct loris_latency_event *events =
                sample_log_peek(fixture->log, 0, max, &count);
            for (unsigned i = 0; i < open_count; i++)
                until = open[i] < until ? open[i] : until;
            uint64_t most = until - read, until_end = CAPACITY - read % CAPACITY;
            most = most < until_end ? most : until_end;
            assert_int_equal(count, most < max ? most : max);
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(events[i].latency_ns, read++);
            sample_log_consume(fixture->log, 0, count);
        }
    }
    assert_in_range(read, 100000, 450000);
}

#define STREAM 200000u

static void *stream(void *argument)
{
    struct fixture *fixture = argument;
    for (uint64_t value = 0; value < STREAM;)
        if (write_one(fixture, 0, value))
            value++;
    return NULL;
}

static void a_writer_that_never_waits_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, stream, fixture), 0);
    uint64_t read = 0;
    while (read < STREAM) {
        uint32_t count;
        const struct loris_latency_event *events = sample_log_peek(fixture->log, 0, 64, &count);
        for (uint32_t i = 0; i < count; i++)
            if (events[i].latency_ns != read++)
                fail_msg("%llu instead of %llu", (unsigned long long)events[i].latency_ns,
                         (unsigned long long)read - 1);
        sample_log_consume(fixture->log, 0, count);
    }
    pthread_join(writer, NULL);
}

static void what_cannot_be_mapped_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct sample_log *log = NULL;
    assert_int_equal(sample_log_new(-1, fixture->kernel.samples_fd, CPUS, CAPACITY_LOG2, &log),
                     -EBADF);
    assert_int_equal(sample_log_new(fixture->kernel.logs_fd, -1, CPUS, CAPACITY_LOG2, &log),
                     -EBADF);
    assert_null(log);
}

static void open_and_close(void *context)
{
    struct sample_log *log = NULL;
    int status = open_log(context, &log);
    assert_true(status == 0 || status == -ENOMEM);
    assert_true((status == 0) == (log != NULL));
    sample_log_free(log);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(open_and_close, *state), 1, 10);
}

static void survives_every_failed_mapping(void **state)
{
    assert_int_equal(failing_map_each(open_and_close, *state), 2);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(nothing_is_there_at_first),
        LOG_TEST(records_come_in_order_and_each_once_over_many_laps),
        LOG_TEST(a_full_log_takes_no_more_until_it_is_read),
        LOG_TEST(a_record_being_filled_holds_up_those_behind_it),
        LOG_TEST(a_record_of_the_lap_before_is_not_read_again),
        LOG_TEST(what_lies_side_by_side_ends_with_the_ring),
        LOG_TEST(room_is_given_back_only_when_it_is_consumed),
        LOG_TEST(positions_beyond_32_bits_are_kept),
        LOG_TEST(agrees_with_a_queue_over_a_million_random_steps),
        LOG_TEST(a_writer_that_never_waits_loses_nothing),
        LOG_TEST(what_cannot_be_mapped_is_an_error),
        LOG_TEST(survives_every_failed_allocation),
        LOG_TEST(survives_every_failed_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
