/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Closes links for a while under calls that are open, under busy threads, and of shared
 * tracepoints.
 */
#include "pause_fixture.h"

#include <time.h>

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * A call enters, and ends unseen; the next enters unseen at the same stack pointer, and its end is
 * seen. Nothing may be made of that, above all not the time between.
 */
static void cut_inside(struct fixture *fixture, uint32_t probe, bool by_syscall)
{
    struct probe_set *set = fixture->set;
    uint32_t unit = probe_set_unit(set, probe);
    assert_true(workload_start(&fixture->workload, fixture->path, false));
    assert_true(workload_enter(&fixture->workload, by_syscall));
    assert_int_equal(ledger_of(fixture, probe).entered, 1);
    assert_int_equal(probe_set_pause(set, &unit, 1), 0);
    assert_int_equal(probe_set_find(set, probe)->cut_off, 1);
    assert_true(workload_let_go(&fixture->workload));
    assert_true(workload_enter(&fixture->workload, by_syscall));
    assert_int_equal(probe_set_resume(set, unit), 0);
    uint64_t resumed_ms = clock_ms();
    assert_true(workload_let_go(&fixture->workload));
    assert_int_equal(ledger_of(fixture, probe).returned, 0);
    assert_int_equal(ledger_of(fixture, probe).entered, 1);

    assert_true(workload_enter(&fixture->workload, by_syscall));
    assert_true(workload_let_go(&fixture->workload));
    struct loris_ledger ledger = ledger_of(fixture, probe);
    assert_int_equal(ledger.entered, 2);
    assert_int_equal(ledger.returned, 1);
    assert_int_equal(ledger.abandoned, 0);
    assert_int_equal(probe_set_find(set, probe)->cut_off, 1);
    assert_true(ledger.sketch_max_ns / 1000000 <= clock_ms() - resumed_ms + 1);
}

static void cut_function(struct fixture *fixture, enum attach_kind kind)
{
    if (!fixture->side || !attach_functions(fixture, "pause_fn_slow", kind, false))
        skip();
    cut_inside(fixture, find_probe(fixture, "pause_fn_slow"), false);
}

static void a_session_call_that_is_cut_off_has_no_end(void **state)
{
    cut_function(*state, ATTACH_UPROBE_SESSION);
}

static void a_multi_call_that_is_cut_off_has_no_end(void **state)
{
    cut_function(*state, ATTACH_UPROBE_MULTI);
}

static void an_exits_call_that_is_cut_off_has_no_end(void **state)
{
    cut_function(*state, ATTACH_UPROBE_EXITS);
}

static void a_syscall_that_is_cut_off_has_no_end(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side || !attach(fixture, "syscall:epoll_pwait2", ATTACH_AUTO, false))
        skip();
    cut_inside(fixture, find_probe(fixture, "epoll_pwait2"), true);
}

/* --- busy targets -------------------------------------------------------------------------- */

/* Threads that never stop calling: what is counted stays between what they had surely and at most
 * called meanwhile, and stands still while paused. */
static void busy_threads_are_counted_once_in_bursts(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side || !attach_functions(fixture, "pause_fn_*", ATTACH_AUTO, false))
        skip();
    uint32_t id = find_probe(fixture, "pause_fn_busy");
    uint32_t unit = probe_set_unit(fixture->set, id);
    assert_true(workload_start(&fixture->workload, fixture->path, true));
    for (int i = 0; i < 10; i++) {
        uint64_t called_before = workload_busy_calls(&fixture->workload);
        uint64_t seen_before = ledger_of(fixture, id).entered;
        uint64_t surely_before = workload_busy_calls(&fixture->workload);
        while (workload_busy_calls(&fixture->workload) < surely_before + 1000)
            ;
        uint64_t surely_after = workload_busy_calls(&fixture->workload);
        uint64_t seen = ledger_of(fixture, id).entered - seen_before;
        uint64_t called_after = workload_busy_calls(&fixture->workload);
        assert_in_range(seen, surely_after - surely_before - BUSY_THREADS,
                        called_after - called_before + BUSY_THREADS);

        assert_int_equal(probe_set_pause(fixture->set, &unit, 1), 0);
        seen = ledger_of(fixture, id).entered;
        surely_before = workload_busy_calls(&fixture->workload);
        while (workload_busy_calls(&fixture->workload) < surely_before + 100000)
            ;
        assert_int_equal(ledger_of(fixture, id).entered, seen);
        struct loris_ledger ledger = ledger_of(fixture, id);
        assert_int_equal(ledger.entered, ledger.returned + ledger.abandoned +
                                             probe_set_find(fixture->set, id)->cut_off);
        assert_int_equal(probe_set_resume(fixture->set, unit), 0);
    }
    /* The first pause took it out of the link of all; nobody else has been let go of since. */
    assert_int_equal(probe_set_find(fixture->set, id)->gaps, 0);
    assert_int_equal(probe_set_find(fixture->set, find_probe(fixture, "pause_fn_0"))->gaps, 1);
}

static void syscalls_are_one_unit(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side || !attach(fixture, "syscall:sched_get_priority_m??", ATTACH_AUTO, false))
        skip();
    uint64_t expected = 0;
    uint32_t id = find_probe(fixture, "sched_get_priority_max");
    uint32_t other = find_probe(fixture, "sched_get_priority_min");
    uint32_t unit = probe_set_unit(fixture->set, id);
    assert_int_equal(unit, probe_set_unit(fixture->set, other));
    assert_true(workload_start(&fixture->workload, fixture->path, false));
    for (int i = 0; i < 50; i++) {
        bool paused = i & 1;
        assert_int_equal(paused ? probe_set_pause(fixture->set, &unit, 1)
                                : probe_set_resume(fixture->set, unit),
                         0);
        assert_int_equal(probe_set_find(fixture->set, other)->paused, paused);
        assert_true(workload_syscalls(&fixture->workload, 10));
        expected += paused ? 0 : 10;
        assert_int_equal(ledger_of(fixture, id).entered, expected);
        assert_int_equal(ledger_of(fixture, id).returned, expected);
    }
    assert_int_equal(probe_set_detach(fixture->set, "syscall:sched_get_priority_m??"), 2);
    assert_false(probe_set_paused(fixture->set, unit));
    assert_int_equal(probe_set_pause(fixture->set, &unit, 1), -ENOENT);
}

int main(int argc, char **argv)
{
    workload_main(argc, argv);
    const struct CMUnitTest tests[] = {
        KERNEL_TEST(a_session_call_that_is_cut_off_has_no_end),
        KERNEL_TEST(a_multi_call_that_is_cut_off_has_no_end),
        KERNEL_TEST(an_exits_call_that_is_cut_off_has_no_end),
        KERNEL_TEST(a_syscall_that_is_cut_off_has_no_end),
        KERNEL_TEST(busy_threads_are_counted_once_in_bursts),
        KERNEL_TEST(syscalls_are_one_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
