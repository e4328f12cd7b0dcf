/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "identity/process_table.h"

#define NOBODY ((struct process_id){0})

static struct process_table *new_table(uint32_t max_processes, uint32_t max_names)
{
    struct process_table_config config = {max_processes, max_names, 42};
    struct process_table *table = NULL;
    assert_int_equal(process_table_new(&config, &table), 0);
    return table;
}

static struct process_id id_of(uint32_t pid)
{
    return (struct process_id){pid, pid * 3};
}

static void update(struct process_table *table, uint32_t pid, const char *comm, const char *unit)
{
    assert_int_equal(process_table_update(table, id_of(pid), id_of(1), comm, unit, pid), 0);
}

/* The pids the callbacks were given, in order, and whether find still knew them. */
struct gone {
    struct process_table *table;
    uint32_t pids[64];
    unsigned count;
};

static void on_gone(const struct process *process, void *context)
{
    struct gone *gone = context;
    assert_ptr_equal(process_table_find(gone->table, process->id), process);
    gone->pids[gone->count++ % 64] = process->id.pid;
}

static void finds_what_was_updated(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(100, 100);
    assert_null(process_table_find(table, id_of(7)));
    update(table, 7, "bash", "user@1000.service");
    const struct process *process = process_table_find(table, id_of(7));
    assert_non_null(process);
    assert_int_equal(process->id.pid, 7);
    assert_int_equal(process->parent.pid, 1);
    assert_string_equal(process->comm, "bash");
    assert_string_equal(process_table_comm(table, process->comm_id), "bash");
    assert_string_equal(process_table_unit(table, process->unit_id), "user@1000.service");
    assert_false(process->exited);
    assert_null(process_table_find(table, (struct process_id){7, 22})); /* a reused pid */
    struct process_table_figures figures = process_table_figures(table);
    assert_int_equal(figures.processes, 1);
    assert_int_equal(figures.processes_live, 1);
    assert_int_equal(figures.names, 2);
    assert_int_equal(figures.hits, 1);
    assert_int_equal(figures.misses, 2);
}

static void an_exec_changes_the_name_and_keeps_the_parent(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(100, 100);
    assert_int_equal(process_table_update(table, id_of(7), NOBODY, "bash", "a.service", 1), 0);
    update(table, 7, "redis-server", NULL);
    assert_int_equal(process_table_update(table, id_of(7), id_of(9), NULL, NULL, 2), 0);
    const struct process *process = process_table_find(table, id_of(7));
    assert_string_equal(process->comm, "redis-server");
    assert_string_equal(process_table_unit(table, process->unit_id), "a.service");
    assert_int_equal(process->parent.pid, 1); /* the first one known, not the reaper */
    update(table, 7, NULL, "b.service");
    assert_string_equal(process_table_unit(table, process->unit_id), "b.service");
    assert_string_equal(process->comm, "redis-server");
    assert_int_equal(process_table_figures(table).processes, 1);
}

static void an_untrusted_comm_is_sanitized_and_bounded(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(10, 10);
    char comm[16]; /* as in the record: no NUL */
    memset(comm, 'x', sizeof(comm));
    comm[1] = '\x1b';
    assert_int_equal(process_table_update(table, id_of(7), NOBODY, comm, "/a\nb", 1), 0);
    const struct process *process = process_table_find(table, id_of(7));
    assert_string_equal(process->comm, "x?xxxxxxxxxxxxxx");
    assert_string_equal(process_table_unit(table, process->unit_id), "/a?b");
}

static void an_exited_process_is_remembered_as_it_was(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(10, 10);
    process_table_exit(table, id_of(3), 5); /* never heard of */
    update(table, 3, "true", "a.service");
    process_table_exit(table, id_of(3), 10);
    process_table_exit(table, id_of(3), 20);
    update(table, 3, "bash", "b.service"); /* the fork's record, from a slower ring */
    const struct process *process = process_table_find(table, id_of(3));
    assert_true(process->exited);
    assert_int_equal(process->exited_ns, 10);
    assert_string_equal(process->comm, "true");
    assert_int_equal(process_table_figures(table).processes_live, 0);
    assert_int_equal(process_table_figures(table).processes, 1);
}

static void reaps_in_order_of_exit_and_no_more_than_asked(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(100, 10);
    struct gone gone = {.table = table};
    for (uint32_t pid = 1; pid <= 10; pid++)
        update(table, pid, "p", "u");
    for (uint32_t pid = 10; pid >= 4; pid--)
        process_table_exit(table, id_of(pid), 100 - pid); /* 10 first, at 90; 4 last, at 96 */
    assert_int_equal(process_table_reap(table, 90, 100, on_gone, &gone), 0);
    assert_int_equal(process_table_reap(table, 95, 3, on_gone, &gone), 3);
    assert_int_equal(process_table_reap(table, 95, 100, on_gone, &gone), 2);
    assert_int_equal(process_table_reap(table, UINT64_MAX, 1, NULL, NULL), 1);
    assert_int_equal(gone.count, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(gone.pids[i], 10 - i);
    assert_null(process_table_find(table, id_of(10)));
    assert_non_null(process_table_find(table, id_of(4)));
    assert_non_null(process_table_find(table, id_of(1)));
    assert_int_equal(process_table_figures(table).processes, 4);
    assert_int_equal(process_table_figures(table).processes_live, 3);
    assert_int_equal(process_table_figures(table).forgotten, 0);
}

static void forgets_the_exited_first_then_the_least_recently_seen(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(4, 10);
    struct gone gone = {.table = table};
    process_table_on_forget(table, on_gone, &gone);
    for (uint32_t pid = 1; pid <= 4; pid++)
        update(table, pid, "p", "u");
    process_table_exit(table, id_of(4), 1);
    process_table_exit(table, id_of(2), 2);
    process_table_find(table, id_of(1)); /* seen, so 3 is older now */
    update(table, 5, "p", "u");
    update(table, 6, "p", "u");
    assert_int_equal(process_table_figures(table).forgotten, 0);
    update(table, 7, "p", "u");
    update(table, 8, "p", "u");
    static const uint32_t order[] = {4, 2, 3, 5};
    assert_int_equal(gone.count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(gone.pids[i], order[i]);
    assert_int_equal(process_table_figures(table).forgotten, 2);
    assert_int_equal(process_table_figures(table).processes, 4);
    assert_non_null(process_table_find(table, id_of(1)));
}

static void forgets_although_all_were_seen(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(200, 10);
    for (uint32_t pid = 1; pid <= 200; pid++)
        update(table, pid, "p", "u");
    for (uint32_t pid = 1; pid <= 200; pid++)
        assert_non_null(process_table_find(table, id_of(pid)));
    update(table, 201, "p", "u");
    assert_non_null(process_table_find(table, id_of(201)));
    assert_int_equal(process_table_figures(table).processes, 200);
}

static void names_beyond_the_bound_are_other(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(10, 2);
    update(table, 1, "a", "x");
    update(table, 2, "b", "y");
    update(table, 3, "c", "z");
    const struct process *process = process_table_find(table, id_of(3));
    assert_string_equal(process->comm, "c");
    assert_int_equal(process->comm_id, 0);
    assert_int_equal(process->unit_id, 0);
    assert_string_equal(process_table_comm(table, 0), "(other)");
    assert_string_equal(process_table_unit(table, 0), "(other)");
    assert_string_equal(process_table_unit(table, 12345), "(other)");
    update(table, 4, "a", "x");
    struct process_table_figures figures = process_table_figures(table);
    assert_int_equal(figures.names, 4);
    assert_int_equal(figures.names_refused, 2);
    assert_int_equal(figures.names_hit, 2);
    assert_int_equal(figures.max_names, 4);
    assert_int_equal(figures.max_processes, 10);
    assert_in_range(figures.names_bytes, 1, figures.bytes - 1);
}

/* Against a plain array: random updates, exits, reaps and finds over pids that collide a lot. */
static void agrees_with_a_plain_array_under_churn(void **state)
{
    (void)state;
    enum { PIDS = 3000 };
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(PIDS, 10);
    static uint8_t truth[PIDS]; /* 0 absent, 1 live, 2 exited */
    memset(truth, 0, sizeof(truth));
    uint32_t random = 1, live = 0, known = 0;
    for (uint32_t now = 1; now < 200000; now++) {
        random = random * 1664525 + 1013904223;
        uint32_t pid = (random >> 8) % PIDS;
        switch (random >> 29) {
        case 0:
        case 1:
        case 2:
            update(table, pid, "p", "u");
            known += truth[pid] == 0;
            live += truth[pid] == 0;
            if (truth[pid] == 0)
                truth[pid] = 1;
            break;
        case 3:
        case 4:
            process_table_exit(table, id_of(pid), now);
            live -= truth[pid] == 1;
            if (truth[pid] == 1)
                truth[pid] = 2;
            break;
        default:
            assert_int_equal(process_table_find(table, id_of(pid)) != NULL, truth[pid] != 0);
        }
        if (now % 5000 == 0) {
            known -= process_table_reap(table, UINT64_MAX, UINT32_MAX, NULL, NULL);
            for (uint32_t i = 0; i < PIDS; i++)
                truth[i] = truth[i] == 2 ? 0 : truth[i];
        }
    }
    for (uint32_t pid = 0; pid < PIDS; pid++)
        assert_int_equal(process_table_find(table, id_of(pid)) != NULL, truth[pid] != 0);
    assert_int_equal(process_table_figures(table).processes, known);
    assert_int_equal(process_table_figures(table).processes_live, live);
}

static void stays_compact_with_many_short_lives(void **state)
{
    (void)state;
    enum { MAX = 65536 };
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(MAX, 1000);
    for (uint32_t pid = 1; pid <= 200000; pid++) {
        update(table, pid, "true", "ssh.service");
        process_table_exit(table, id_of(pid), pid);
    }
    struct process_table_figures figures = process_table_figures(table);
    assert_int_equal(figures.processes, MAX);
    assert_int_equal(figures.forgotten, 0);
    assert_in_range(figures.bytes / MAX, 64, 80);
    for (uint32_t pid = 200000 - MAX + 1; pid <= 200000; pid++)
        assert_non_null(process_table_find(table, id_of(pid)));
    assert_null(process_table_find(table, id_of(200000 - MAX)));
}

static void an_empty_table_is_small(void **state)
{
    (void)state;
    _cleanup_(process_table_free_cleanup) struct process_table *table = new_table(65536, 4096);
    assert_in_range(process_table_figures(table).bytes, 1, 8192);
}

static void refuses_senseless_sizes(void **state)
{
    (void)state;
    struct process_table *table = NULL;
    assert_int_equal(process_table_new(&(struct process_table_config){0, 1, 1}, &table), -EINVAL);
    assert_int_equal(process_table_new(&(struct process_table_config){1u << 24, 1, 1}, &table),
                     -EINVAL);
    assert_int_equal(process_table_new(&(struct process_table_config){1, UINT32_MAX, 1}, &table),
                     -EINVAL);
    assert_null(table);
}

static void churn(void *context)
{
    (void)context;
    struct process_table_config config = {2000, 100, 42};
    _cleanup_(process_table_free_cleanup) struct process_table *table = NULL;
    if (process_table_new(&config, &table) < 0)
        return;
    for (uint32_t pid = 1; pid <= 1500; pid++) {
        char comm[16];
        snprintf(comm, sizeof(comm), "p%u", pid);
        int status = process_table_update(table, id_of(pid), id_of(1), comm, "a.service", pid);
        assert_true(status == 0 || status == -ENOMEM);
        if (status == 0)
            assert_string_equal(process_table_find(table, id_of(pid))->comm, comm);
        if (pid % 2)
            process_table_exit(table, id_of(pid), pid);
    }
    struct process_table_figures figures = process_table_figures(table);
    uint32_t reaped = process_table_reap(table, UINT64_MAX, UINT32_MAX, NULL, NULL);
    assert_int_equal(figures.processes, figures.processes_live + reaped);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(churn, NULL), 8, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_updated),
        cmocka_unit_test(an_exec_changes_the_name_and_keeps_the_parent),
        cmocka_unit_test(an_untrusted_comm_is_sanitized_and_bounded),
        cmocka_unit_test(an_exited_process_is_remembered_as_it_was),
        cmocka_unit_test(reaps_in_order_of_exit_and_no_more_than_asked),
        cmocka_unit_test(forgets_the_exited_first_then_the_least_recently_seen),
        cmocka_unit_test(forgets_although_all_were_seen),
        cmocka_unit_test(names_beyond_the_bound_are_other),
        cmocka_unit_test(agrees_with_a_plain_array_under_churn),
        cmocka_unit_test(stays_compact_with_many_short_lives),
        cmocka_unit_test(an_empty_table_is_small),
        cmocka_unit_test(refuses_senseless_sizes),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
