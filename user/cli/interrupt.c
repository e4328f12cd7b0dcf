/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static const int end_signals[] = {SIGINT, /* the first: see interrupt_is_ignored_by_children */
                                  SIGTERM, SIGHUP, SIGWINCH};
#define SIGNAL_COUNT (sizeof(end_signals) / sizeof(end_signals[0]))

/* A signal handler has no argument of its own: these few are the program's only globals. */
static volatile int end_count;
static volatile int last_signal;
static volatile int last_is_directed;
static int wake_pipe[2] = {-1, -1};
static struct sigaction found_actions[SIGNAL_COUNT];
static void (*volatile restore_before_leaving)(void);
static volatile bool came[NSIG];

static bool asks_for_an_end(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGHUP;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    int error = errno;
    came[number] = true;
    if (asks_for_an_end(number)) {
        if (end_count > 0) {
            if (restore_before_leaving)
                restore_before_leaving();
            _exit(128 + number);
        }
        end_count = 1;
        last_signal = number;
        last_is_directed = info->si_code == SI_USER || info->si_code == SI_QUEUE;
    }
    if (write(wake_pipe[1], "", 1) < 0)
        errno = error; /* the pipe is full: it wakes up anyway */
    errno = error;
}

static int handle(int number, struct sigaction *ret_found)
{
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO}; /* no SA_RESTART: waits must end */
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, ret_found) < 0 ? -errno : 0;
}

int interrupt_install(void)
{
    if (wake_pipe[0] >= 0)
        return 0;
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    sigset_t unblocked;
    sigemptyset(&unblocked);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigaddset(&unblocked, end_signals[i]);
        int r = handle(end_signals[i], &found_actions[i]);
        if (r < 0)
            return r;
    }
    return sigprocmask(SIG_UNBLOCK, &unblocked, NULL) < 0 ? -errno : 0;
}

void interrupt_restore(void)
{
    for (size_t i = 0; wake_pipe[0] >= 0 && i < SIGNAL_COUNT; i++)
        sigaction(end_signals[i], &found_actions[i], NULL);
}

int interrupt_fd(void)
{
    return wake_pipe[0];
}

void interrupt_drain(void)
{
    char bytes[64];
    while (read(wake_pipe[0], bytes, sizeof(bytes)) > 0)
        ;
}

const volatile int *interrupt_flag(void)
{
    return &end_count;
}

int interrupt_signal(void)
{
    return last_signal;
}

bool interrupt_is_directed(void)
{
    return last_is_directed;
}

bool interrupt_is_ignored_by_children(void)
{
    return found_actions[0].sa_handler == SIG_IGN;
}

int interrupt_also(int number)
{
    struct sigaction found;
    if (sigaction(number, NULL, &found) < 0)
        return -errno;
    return found.sa_handler == SIG_IGN ? 0 : handle(number, NULL);
}

void interrupt_no_more(int number)
{
    struct sigaction found, by_default = {.sa_handler = SIG_DFL};
    sigemptyset(&by_default.sa_mask);
    if (sigaction(number, NULL, &found) == 0 && found.sa_sigaction == on_signal)
        sigaction(number, &by_default, NULL);
}

bool interrupt_take(int number)
{
    bool it_came = came[number];
    came[number] = false;
    return it_came;
}

void interrupt_obey(int number)
{
    struct sigaction ours, by_default = {.sa_handler = SIG_DFL};
    sigemptyset(&by_default.sa_mask);
    if (sigaction(number, &by_default, &ours) < 0)
        return;
    raise(number);
    sigaction(number, &ours, NULL);
}

void interrupt_before_leaving(void (*restore)(void))
{
    restore_before_leaving = restore;
}
