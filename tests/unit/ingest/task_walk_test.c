/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* The module once more, over iterators that are sockets: each message is what one read returns. */
#define task_walk_open_calls tested_task_walk_open_calls
#define task_walk_processes  tested_task_walk_processes
#define kernel_side_program  fake_kernel_side_program
#define bpf_link_iterate     fake_bpf_link_iterate
#include "ingest/task_walk.c"

#include "random_numbers.h"

#define RECORDS_MAX 8192

/* Opaque to the module. */
struct kernel_side {
    int refused;                    /* kernel_side_program's errno, 0: none */
    int iterators[KERNEL_PROGRAMS]; /* by program; what bpf_link_iterate hands out */
};

static struct kernel_side fake_side;

int fake_kernel_side_program(struct kernel_side *side, enum kernel_program program,
                             struct diag *reterr_diag)
{
    (void)reterr_diag;
    return side->refused ? -side->refused : 1000 + (int)program;
}

int fake_bpf_link_iterate(int program_fd)
{
    int fd = fake_side.iterators[program_fd - 1000];
    fake_side.iterators[program_fd - 1000] = -EBUSY; /* once */
    return fd;
}

struct seen {
    uint32_t count;
    uint32_t pids[RECORDS_MAX];
};

static void on_open(const struct loris_open_call *call, void *context)
{
    struct seen *seen = context;
    assert_true(seen->count < RECORDS_MAX);
    assert_int_equal(call->tid, call->pid + 1);
    seen->pids[seen->count++] = call->pid;
}

static void on_present(const struct loris_process_event *event, void *context)
{
    struct seen *seen = context;
    assert_true(seen->count < RECORDS_MAX);
    assert_int_equal(event->edge, LORIS_PROCESS_PRESENT);
    seen->pids[seen->count++] = event->pid;
}

/* An iterator whose reads return the bytes in pieces of 1 .. piece_max. */
static int iterator_of(const void *bytes, size_t length, uint32_t piece_max)
{
    int ends[2];
    uint64_t random = piece_max;
    int room = 16 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    for (size_t at = 0; at < length;) {
        size_t piece = 1 + random_below(&random, piece_max);
        piece = piece < length - at ? piece : length - at;
        assert_int_equal(send(ends[1], (const char *)bytes + at, piece, MSG_DONTWAIT), piece);
        at += piece;
    }
    close(ends[1]);
    return ends[0];
}

static void open_calls_of(struct loris_open_call *calls, uint32_t count, uint32_t first_pid)
{
    memset(calls, 0, count * sizeof(*calls));
    for (uint32_t i = 0; i < count; i++)
        calls[i] = (struct loris_open_call){.pid = first_pid + i, .tid = first_pid + i + 1};
}

static int set_up(void **state)
{
    (void)state;
    fake_side.refused = 0;
    for (int i = 0; i < KERNEL_PROGRAMS; i++)
        fake_side.iterators[i] = -ENOENT;
    return 0;
}

static void every_record_arrives_however_the_reads_are_cut(void **state)
{
    (void)state;
    static struct loris_open_call calls[1000];
    static struct seen seen;
    /* Longer than a read's room would be cut by the socket, unlike by an iterator. */
    static const uint32_t pieces[] = {97, 24, 4096 / 10, 23, 240, 25};
    open_calls_of(calls, 1000, 5);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        /* With small pieces fewer records, so that the messages fit the socket. */
        uint32_t count = pieces[i] > 200 ? 200 : 100;
        fake_side.iterators[KERNEL_EACH_OPEN] =
            iterator_of(calls, count * sizeof(calls[0]), pieces[i]);
        seen.count = 0;
        assert_int_equal(task_walk_open_calls(&fake_side, false, on_open, &seen), 0);
        assert_int_equal(seen.count, count);
        for (uint32_t at = 0; at < seen.count; at++)
            assert_int_equal(seen.pids[at], 5 + at);
    }
}

/* A file gives what is asked for, so every batch is read to its brim. */
static void many_records_come_in_full_batches(void **state)
{
    (void)state;
    static struct loris_open_call calls[5000];
    static struct seen seen;
    open_calls_of(calls, 5000, 1);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(calls, sizeof(calls[0]), 5000, file), 5000);
    rewind(file);
    fake_side.iterators[KERNEL_EACH_OPEN] = dup(fileno(file));
    fclose(file);
    seen.count = 0;
    assert_int_equal(task_walk_open_calls(&fake_side, false, on_open, &seen), 0);
    assert_int_equal(seen.count, 5000);
    assert_int_equal(seen.pids[4999], 5000);
}

static void sessions_are_walked_when_asked_for(void **state)
{
    (void)state;
    struct loris_open_call calls[4];
    static struct seen seen;
    open_calls_of(calls, 4, 1);
    fake_side.iterators[KERNEL_EACH_OPEN] = iterator_of(calls, 2 * sizeof(calls[0]), 24);
    fake_side.iterators[KERNEL_EACH_SESSION] = iterator_of(calls + 2, 2 * sizeof(calls[0]), 24);
    seen.count = 0;
    assert_int_equal(task_walk_open_calls(&fake_side, true, on_open, &seen), 0);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.pids[3], 4);
}

static void a_torn_last_record_is_an_error_and_the_whole_ones_count(void **state)
{
    (void)state;
    struct loris_open_call calls[3];
    static struct seen seen;
    open_calls_of(calls, 3, 1);
    for (size_t torn = 1; torn < sizeof(calls[0]); torn++) {
        fake_side.iterators[KERNEL_EACH_OPEN] = iterator_of(calls, 2 * sizeof(calls[0]) + torn, 30);
        seen.count = 0;
        assert_int_equal(task_walk_open_calls(&fake_side, false, on_open, &seen), -EBADMSG);
        assert_int_equal(seen.count, 2);
    }
}

static void a_machine_without_open_calls_is_no_error(void **state)
{
    (void)state;
    static struct seen seen;
    fake_side.iterators[KERNEL_EACH_OPEN] = iterator_of("", 0, 1);
    seen.count = 0;
    assert_int_equal(task_walk_open_calls(&fake_side, false, on_open, &seen), 0);
    assert_int_equal(seen.count, 0);
}

static void processes_arrive_in_the_shape_of_an_event(void **state)
{
    (void)state;
    struct loris_process_event events[40];
    static struct seen seen;
    memset(events, 0, sizeof(events));
    for (uint32_t i = 0; i < 40; i++) {
        events[i].edge = LORIS_PROCESS_PRESENT;
        events[i].pid = i;
    }
    fake_side.iterators[KERNEL_EACH_PROCESS] = iterator_of(events, sizeof(events), 100);
    seen.count = 0;
    assert_int_equal(task_walk_processes(&fake_side, on_present, &seen), 0);
    assert_int_equal(seen.count, 40);
    assert_int_equal(seen.pids[39], 39);
}

static void a_refusal_is_handed_on(void **state)
{
    (void)state;
    static struct seen seen;
    assert_int_equal(task_walk_processes(&fake_side, on_present, &seen), -ENOENT);
    fake_side.iterators[KERNEL_EACH_OPEN] = open("/", O_RDONLY | O_CLOEXEC); /* no read(2) there */
    assert_int_equal(task_walk_open_calls(&fake_side, false, on_open, &seen), -EISDIR);
    fake_side.refused = EOPNOTSUPP;
    assert_int_equal(task_walk_processes(&fake_side, on_present, &seen), -EOPNOTSUPP);
    assert_int_equal(task_walk_open_calls(&fake_side, true, on_open, &seen), -EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_record_arrives_however_the_reads_are_cut, set_up),
        cmocka_unit_test_setup(many_records_come_in_full_batches, set_up),
        cmocka_unit_test_setup(sessions_are_walked_when_asked_for, set_up),
        cmocka_unit_test_setup(a_torn_last_record_is_an_error_and_the_whole_ones_count, set_up),
        cmocka_unit_test_setup(a_machine_without_open_calls_is_no_error, set_up),
        cmocka_unit_test_setup(processes_arrive_in_the_shape_of_an_event, set_up),
        cmocka_unit_test_setup(a_refusal_is_handed_on, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
