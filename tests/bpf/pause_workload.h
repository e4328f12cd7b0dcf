/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watched program of pause_test: a copy of the test itself that calls what it is told to, so
 * that the truth is known. Included once.
 */
#pragma once

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/ownership.h"

#define WORKLOAD_FUNCTIONS 8 /* pause_fn_0 .. 7 are called as told */
#define BUSY_THREADS       2 /* call pause_fn_busy without end */

struct workload {
    pid_t pid;
    int to_fd;
    int from_fd;
    volatile uint64_t *busy_calls; /* one by each thread, shared with the program */
};

/* `c` calls, answered once they have returned; `s`, `w` enter a call that waits, answered once it
 * is inside, and `g` lets it go, answered once it has ended. */
struct workload_order {
    char verb;
    unsigned function;
    unsigned count;
};

#ifdef __clang__
#define PROBED __attribute__((noinline, optnone, used))
#else
#define PROBED __attribute__((noipa, used))
#endif

#define PAUSE_FUNCTION(name)                                                                       \
    PROBED long pause_fn_##name(long value);                                                       \
    PROBED long pause_fn_##name(long value)                                                        \
    {                                                                                              \
        __asm__ volatile("" : "+r"(value) : : "rbx");                                              \
        return value;                                                                              \
    }

PAUSE_FUNCTION(0)
PAUSE_FUNCTION(1)
PAUSE_FUNCTION(2)
PAUSE_FUNCTION(3)
PAUSE_FUNCTION(4)
PAUSE_FUNCTION(5)
PAUSE_FUNCTION(6)
PAUSE_FUNCTION(7)
PAUSE_FUNCTION(busy)

static long (*const workload_functions[])(long) = {pause_fn_0, pause_fn_1, pause_fn_2, pause_fn_3,
                                                   pause_fn_4, pause_fn_5, pause_fn_6, pause_fn_7};

static struct {
    int gate[2];  /* a byte lets the slow call go */
    int doors[2]; /* orders to the slow thread */
    int answer_fd;
    uint64_t *busy_calls;
} served;

static void say(char word)
{
    if (write(served.answer_fd, &word, 1) != 1)
        _exit(1);
}

PROBED long pause_fn_slow(long value);
PROBED long pause_fn_slow(long value)
{
    char byte;
    __asm__ volatile("" : "+r"(value) : : "rbx");
    say('i');
    value += read(served.gate[0], &byte, 1);
    return value;
}

/* The same within a syscall: it has been entered once the thread sleeps. */
static void wait_in_syscall(void)
{
    char byte;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(fd, EPOLL_CTL_ADD, served.gate[0], &event);
    say('i');
    syscall(SYS_epoll_pwait2, fd, &event, 1, NULL, NULL, 0);
    (void)!read(served.gate[0], &byte, 1);
    close(fd);
}

static void *slow_main(void *unused)
{
    char door;
    while (read(served.doors[0], &door, 1) == 1) {
        if (door == 's')
            pause_fn_slow(1);
        else
            wait_in_syscall();
        say('o');
    }
    return unused;
}

static void *busy_main(void *calls)
{
    for (;;) {
        pause_fn_busy(1);
        __atomic_add_fetch((uint64_t *)calls, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void obey(const struct workload_order *order)
{
    switch (order->verb) {
    case 'c':
        for (unsigned i = 0; i < order->count; i++)
            workload_functions[order->function](i);
        say('c');
        break;
    case 'p':
        for (unsigned i = 0; i < order->count; i++)
            syscall(SYS_sched_get_priority_max, 0);
        say('p');
        break;
    case 's':
    case 'w':
        (void)!write(served.doors[1], &order->verb, 1);
        break;
    default:
        (void)!write(served.gate[1], "g", 1);
    }
}

/* Never returns when this is the workload: argv is workload TO FROM BUSY. */
static void workload_main(int argc, char **argv)
{
    if (argc < 5 || strcmp(argv[1], "workload") != 0)
        return;
    pthread_t thread;
    struct workload_order order;
    int to_fd = atoi(argv[2]);
    int busy_fd = atoi(argv[4]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    served.answer_fd = atoi(argv[3]);
    if (pipe(served.gate) || pipe(served.doors) || pthread_create(&thread, NULL, slow_main, NULL))
        _exit(1);
    if (busy_fd >= 0) {
        served.busy_calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, busy_fd, 0);
        for (int i = 0; i < BUSY_THREADS; i++)
            if (served.busy_calls == MAP_FAILED ||
                pthread_create(&thread, NULL, busy_main, &served.busy_calls[i]))
                _exit(1);
    }
    while (read(to_fd, &order, sizeof(order)) == sizeof(order))
        obey(&order);
    _exit(0);
}

/* --- from the test ------------------------------------------------------------------------- */

static inline bool workload_start(struct workload *workload, const char *path, bool busy)
{
    char words[3][16];
    int to[2], from[2];
    int busy_fd = busy ? memfd_create("busy", 0) : -1;
    *workload = (struct workload){.pid = -1};
    if (pipe(to) || pipe(from) || (busy && (busy_fd < 0 || ftruncate(busy_fd, 4096))))
        return false;
    if (busy)
        workload->busy_calls = mmap(NULL, 4096, PROT_READ, MAP_SHARED, busy_fd, 0);
    snprintf(words[0], sizeof(words[0]), "%d", to[0]);
    snprintf(words[1], sizeof(words[1]), "%d", from[1]);
    snprintf(words[2], sizeof(words[2]), "%d", busy_fd);
    workload->pid = fork();
    if (workload->pid == 0) {
        close(to[1]);
        close(from[0]);
        execl(path, path, "workload", words[0], words[1], words[2], NULL);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    close_fd(&busy_fd);
    workload->to_fd = to[1];
    workload->from_fd = from[0];
    return workload->pid > 0;
}

static inline bool tell(const struct workload *workload, char verb, unsigned function,
                        unsigned count, char answer)
{
    char byte = 0;
    const struct workload_order order = {verb, function, count};
    return write(workload->to_fd, &order, sizeof(order)) == sizeof(order) &&
           read(workload->from_fd, &byte, 1) == 1 && byte == answer;
}

static inline bool workload_call(const struct workload *workload, unsigned function, unsigned count)
{
    return tell(workload, 'c', function, count, 'c');
}

static inline bool workload_syscalls(const struct workload *workload, unsigned count)
{
    return tell(workload, 'p', 0, count, 'p');
}

/* Whether a thread of it sleeps in epoll_pwait2. */
static inline bool sleeps_in_syscall(const struct workload *workload)
{
    char path[300], line[64] = "";
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/task", workload->pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && !found && (task = readdir(tasks));) {
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/syscall", workload->pid, task->d_name);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        found = file && fgets(line, sizeof(line), file) && atoi(line) == SYS_epoll_pwait2;
    }
    if (tasks)
        closedir(tasks);
    return found;
}

/* Enters pause_fn_slow, or epoll_pwait2, and leaves the call inside. */
static inline bool workload_enter(const struct workload *workload, bool by_syscall)
{
    bool told = tell(workload, by_syscall ? 'w' : 's', 0, 1, 'i');
    while (told && by_syscall && !sleeps_in_syscall(workload))
        ;
    return told;
}

static inline bool workload_let_go(const struct workload *workload)
{
    return tell(workload, 'g', 0, 1, 'o');
}

static inline uint64_t workload_busy_calls(const struct workload *workload)
{
    uint64_t calls = 0;
    for (int i = 0; i < BUSY_THREADS; i++)
        calls += workload->busy_calls[i];
    return calls;
}

static inline void workload_stop(struct workload *workload)
{
    if (workload->pid > 0) {
        kill(workload->pid, SIGKILL);
        waitpid(workload->pid, NULL, 0);
        close(workload->to_fd);
        close(workload->from_fd);
        if (workload->busy_calls)
            munmap((void *)workload->busy_calls, 4096);
    }
    workload->pid = -1;
}
