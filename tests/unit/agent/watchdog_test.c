/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS        1000000ull
#define LONG_AGO  (1000 * MS)
#define NOW       (60000 * MS)
#define IDLE_LOOK ((struct watchdog_look){0})

static struct watchdog_look look(uint64_t passes, uint64_t records, uint64_t complete_ns)
{
    return (struct watchdog_look){.draining = true,
                                  .passes = passes,
                                  .records = records,
                                  .complete_ns = complete_ns,
                                  .interval_ns = 500 * MS};
}

static void feeds_when_nothing_is_attached(void **state)
{
    (void)state;
    const struct watchdog_look idle = IDLE_LOOK, busy = look(5, 100, LONG_AGO);
    assert_true(watchdog_sees_progress(&idle, &idle, NOW));
    assert_true(watchdog_sees_progress(&busy, &idle, NOW));
}

static void gives_a_drain_that_begins_time(void **state)
{
    (void)state;
    const struct watchdog_look idle = IDLE_LOOK, begun = look(0, 0, 0);
    assert_true(watchdog_sees_progress(&idle, &begun, NOW));
    assert_false(watchdog_sees_progress(&begun, &begun, NOW));
}

static void feeds_when_all_is_taken_over_though_there_is_nothing(void **state)
{
    (void)state;
    const struct watchdog_look before = look(5, 100, NOW - 2000 * MS);
    const struct watchdog_look now = look(7, 100, NOW - 400 * MS);
    assert_true(watchdog_sees_progress(&before, &now, NOW));
}

/* Whoever looks more often than the drain runs sees no pass between two looks. */
static void waits_for_a_pass_until_it_is_overdue(void **state)
{
    (void)state;
    const struct watchdog_look same = look(5, 100, NOW);
    uint64_t overdue_ns = NOW + same.interval_ns + WATCHDOG_GRACE_NS;
    assert_true(watchdog_sees_progress(&same, &same, overdue_ns - 1));
    assert_false(watchdog_sees_progress(&same, &same, overdue_ns));
}

static void feeds_while_there_is_more_than_can_be_taken_over(void **state)
{
    (void)state;
    const struct watchdog_look before = look(5, 100, LONG_AGO), now = look(9, 1 << 20, LONG_AGO);
    assert_true(watchdog_sees_progress(&before, &now, NOW));
}

/* For example behind a record that is never finished. */
static void starves_when_passes_take_nothing_of_what_waits(void **state)
{
    (void)state;
    const struct watchdog_look before = look(5, 100, LONG_AGO), now = look(900, 100, LONG_AGO);
    assert_false(watchdog_sees_progress(&before, &now, NOW));
}

static void starves_when_no_pass_is_made(void **state)
{
    (void)state;
    const struct watchdog_look stuck = look(5, 100, LONG_AGO);
    assert_false(watchdog_sees_progress(&stuck, &stuck, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feeds_when_nothing_is_attached),
        cmocka_unit_test(gives_a_drain_that_begins_time),
        cmocka_unit_test(feeds_when_all_is_taken_over_though_there_is_nothing),
        cmocka_unit_test(waits_for_a_pass_until_it_is_overdue),
        cmocka_unit_test(feeds_while_there_is_more_than_can_be_taken_over),
        cmocka_unit_test(starves_when_passes_take_nothing_of_what_waits),
        cmocka_unit_test(starves_when_no_pass_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
