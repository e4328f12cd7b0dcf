/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pids a filter takes; what needs a kernel is in tests/e2e/test_filters.py. */
#include "probe/process_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void takes_a_process_that_lives(void **state)
{
    (void)state;
    struct diag diag = {0};
    assert_int_equal(process_filter_check_pid(getpid(), &diag), 0);
    assert_string_equal(diag.what, "");
}

static void refuses_numbers_of_no_process(void **state)
{
    (void)state;
    static const int32_t pids[] = {0, -1, INT32_MIN, INT32_MAX, 4194304};
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        struct diag diag = {0};
        assert_int_equal(process_filter_check_pid(pids[i], &diag), -ESRCH);
        assert_non_null(strstr(diag.what, "no process"));
    }
}

struct gate {
    pid_t tid;
    int told[2];
    int ends[2];
};

static void *say_tid(void *context)
{
    struct gate *gate = context;
    char byte = 0;
    gate->tid = (pid_t)syscall(SYS_gettid);
    assert_int_equal(write(gate->told[1], &byte, 1), 1);
    assert_true(read(gate->ends[0], &byte, 1) >= 0);
    return NULL;
}

static void names_the_process_of_a_thread(void **state)
{
    (void)state;
    struct gate gate;
    pthread_t thread;
    char byte, hint[32];
    struct diag diag = {0};
    assert_int_equal(pipe2(gate.told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(gate.ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&thread, NULL, say_tid, &gate), 0);
    assert_int_equal(read(gate.told[0], &byte, 1), 1);
    int error = process_filter_check_pid(gate.tid, &diag);
    close(gate.ends[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(error, -EINVAL);
    assert_non_null(strstr(diag.what, "is a thread of process"));
    snprintf(hint, sizeof(hint), "give %d", (int)getpid());
    assert_string_equal(diag.hint, hint);
    close(gate.told[0]);
    close(gate.told[1]);
    close(gate.ends[0]);
}

static void refuses_a_process_that_has_ended(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(0);
    siginfo_t info;
    struct diag diag = {0};
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(kill(child, 0), 0); /* which a zombie still answers to */
    assert_int_equal(process_filter_check_pid(child, &diag), -ESRCH);
    assert_non_null(strstr(diag.what, "has ended"));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(process_filter_check_pid(child, &diag), -ESRCH);
    assert_non_null(strstr(diag.what, "no process"));
}

static void *wait_for_end(void *context)
{
    char byte;
    int *gate = context;
    (void)!read(*gate, &byte, 1);
    _exit(0);
}

static bool is_zombie(pid_t pid)
{
    char path[32], line[128];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    bool found = false;
    while (status && fgets(line, sizeof(line), status))
        found |= strncmp(line, "State:\tZ", 8) == 0;
    if (status)
        fclose(status);
    return found;
}

/* Its first thread looks like a zombie, and the others go on calling. */
static void takes_a_process_whose_first_thread_has_ended(void **state)
{
    (void)state;
    int gate[2];
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        close(gate[1]);
        if (pthread_create(&thread, NULL, wait_for_end, &gate[0]))
            _exit(1);
        syscall(SYS_exit, 0); /* this thread only; pthread_exit would run sanitizers' ends */
    }
    while (!is_zombie(child))
        sched_yield();
    int error = process_filter_check_pid(child, NULL);
    close(gate[0]);
    close(gate[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_process_that_lives),
        cmocka_unit_test(refuses_numbers_of_no_process),
        cmocka_unit_test(names_the_process_of_a_thread),
        cmocka_unit_test(refuses_a_process_that_has_ended),
        cmocka_unit_test(takes_a_process_whose_first_thread_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
