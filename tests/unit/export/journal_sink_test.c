/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/journal_sink.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"
#include "fake_journald.h"

static struct journal_sink *open_sink(const struct fixture *fixture)
{
    struct journal_sink *sink = NULL;
    assert_int_equal(journal_sink_open(fixture->address.sun_path, &sink), 0);
    return sink;
}

static int put(struct journal_sink *sink, uint64_t number)
{
    char value[32];
    int length = snprintf(value, sizeof(value), "%llu", (unsigned long long)number);
    const struct journal_field field = {"N", value, (size_t)length};
    return journal_sink_write(sink, &field, 1);
}

/* They come in the order in which they were given. */
static void receive_all(struct fixture *fixture)
{
    char entry[64], expected[64];
    for (ssize_t got; (got = recv(fixture->journald, entry, sizeof(entry) - 1, 0)) > 0;) {
        entry[got] = '\0';
        snprintf(expected, sizeof(expected), "N=%llu\n", (unsigned long long)fixture->received++);
        assert_string_equal(entry, expected);
    }
}

static bool can_flush(const struct journal_sink *sink)
{
    struct pollfd wanted = {.fd = journal_sink_fd(sink), .events = POLLOUT};
    assert_true(poll(&wanted, 1, 0) >= 0);
    return wanted.revents & POLLOUT;
}

static void assert_figures(const struct journal_sink *sink, uint64_t written, uint64_t failed,
                           uint64_t pending)
{
    struct journal_sink_figures figures = journal_sink_figures(sink);
    assert_int_equal(figures.written, written);
    assert_int_equal(figures.failed, failed);
    assert_int_equal(figures.pending, pending);
}

static void what_a_slow_journald_does_not_take_waits_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct journal_sink *sink = open_sink(fixture);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(put(sink, i), 0);
    struct journal_sink_figures figures = journal_sink_figures(sink);
    assert_int_equal(figures.written + figures.pending, 5000);
    assert_true(figures.pending > 1000);
    assert_false(can_flush(sink));
    for (unsigned round = 0; journal_sink_figures(sink).pending > 0; round++) {
        assert_true(round < 5000);
        receive_all(fixture);
        assert_true(can_flush(sink));
        assert_int_equal(journal_sink_flush(sink), 0);
    }
    receive_all(fixture);
    assert_int_equal(fixture->received, 5000);
    assert_figures(sink, 5000, 0, 0);
    journal_sink_close(sink);
}

static void a_full_backlog_takes_no_more_and_counts(void **state)
{
    struct fixture *fixture = *state;
    struct journal_sink *sink = open_sink(fixture);
    static char value[16 * 1024];
    memset(value, 'x', sizeof(value));
    const struct journal_field field = {"X", value, sizeof(value)};
    uint64_t refused = 0;
    for (unsigned i = 0; i < 600; i++) {
        int r = journal_sink_write(sink, &field, 1);
        assert_true(r == 0 || r == -ENOBUFS);
        refused += r < 0;
    }
    struct journal_sink_figures figures = journal_sink_figures(sink);
    assert_int_equal(figures.failed, refused);
    assert_int_equal(figures.written + figures.failed + figures.pending, 600);
    assert_in_range(figures.pending, 100, JOURNAL_SINK_BACKLOG_MAX / sizeof(value));
    journal_sink_close(sink);
}

static void finds_a_journald_that_comes_later_and_one_that_comes_back(void **state)
{
    struct fixture *fixture = *state;
    close_fd(&fixture->journald);
    struct journal_sink *sink = open_sink(fixture);
    assert_int_equal(put(sink, 7), -ECONNREFUSED);
    assert_int_equal(unlink(fixture->address.sun_path), 0);
    assert_int_equal(put(sink, 7), -ENOENT);
    assert_figures(sink, 0, 2, 0);

    start_journald(fixture);
    assert_int_equal(put(sink, 0), 0);
    receive_all(fixture);
    close_fd(&fixture->journald);
    start_journald(fixture);
    assert_int_equal(put(sink, 1), 0);
    receive_all(fixture);
    assert_int_equal(fixture->received, 2);
    assert_figures(sink, 2, 2, 0);

    for (uint64_t i = 2; i < 1000; i++)
        assert_int_equal(put(sink, i), 0);
    uint64_t written = journal_sink_figures(sink).written;
    close_fd(&fixture->journald);
    assert_int_equal(journal_sink_flush(sink), -ECONNREFUSED);
    assert_figures(sink, written, 2 + 1000 - written, 0);
    journal_sink_close(sink);
}

static void refuses_what_journald_would_drop(void **state)
{
    struct journal_sink *sink = open_sink(*state);
    const struct journal_field field = {"_UID", "0", 1};
    assert_int_equal(journal_sink_write(sink, &field, 1), -EINVAL);
    assert_figures(sink, 0, 1, 0);
    journal_sink_close(sink);
}

static void write_many(void *context)
{
    struct fixture *fixture = context;
    struct journal_sink *sink = NULL;
    int r = journal_sink_open(fixture->address.sun_path, &sink);
    assert_true(r == 0 || r == -ENOMEM);
    uint64_t given = 0;
    for (; r == 0 && given < 40; given++) {
        int put_r = put(sink, given);
        assert_true(put_r == 0 || put_r == -ENOMEM);
    }
    if (r == 0) {
        struct journal_sink_figures figures = journal_sink_figures(sink);
        assert_int_equal(figures.written + figures.failed + figures.pending, given);
    }
    journal_sink_close(sink);
    char entry[64];
    while (recv(fixture->journald, entry, sizeof(entry), 0) > 0)
        ;
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(write_many, *state), 3, 200);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_a_slow_journald_does_not_take_waits_in_order),
        WITH_FIXTURE(a_full_backlog_takes_no_more_and_counts),
        WITH_FIXTURE(finds_a_journald_that_comes_later_and_one_that_comes_back),
        WITH_FIXTURE(refuses_what_journald_would_drop),
        WITH_FIXTURE(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
