/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/quantity.h"
#include "cli/interrupt.h"
#include "cli/message.h"

struct command_child {
    const char *name; /* borrowed */
    pid_t pid;
    int pid_fd;
    int gate; /* ours: one byte lets the child go; brings back the errno of its exec */
    uint64_t released_ns;
    bool is_reaped;
};

/* In the child: only async-signal-safe calls. Does not return. */
static void wait_and_become(char *const *arguments, int gate)
{
    interrupt_restore();
    signal(SIGPIPE, SIG_DFL);
    char go;
    ssize_t got;
    do
        got = read(gate, &go, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(127); /* whoever held us is gone or gave up */
    execvp(arguments[0], arguments);
    int error = errno;
    if (send(gate, &error, sizeof(error), MSG_NOSIGNAL) < 0)
        _exit(126);
    _exit(127);
}

int command_child_hold(char *const *arguments, struct command_child **ret_child,
                       struct diag *reterr_diag)
{
    _cleanup_(command_child_free_cleanup) struct command_child *child = calloc(1, sizeof(*child));
    if (!child)
        return diag_set(reterr_diag, ENOMEM, "no memory for the command");
    child->pid = child->pid_fd = child->gate = -1;
    child->name = arguments[0];
    int gates[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gates) < 0)
        return diag_set(reterr_diag, errno, "cannot start %s: %s", arguments[0], strerror(errno));
    child->gate = gates[0];
    child->pid = fork();
    if (child->pid == 0) {
        close(gates[0]); /* else our end would keep itself open */
        wait_and_become(arguments, gates[1]);
    }
    int error = errno;
    close(gates[1]);
    if (child->pid > 0) {
        child->pid_fd = pidfd_open(child->pid, 0);
        error = errno;
    }
    if (child->pid < 0 || child->pid_fd < 0)
        return diag_set(reterr_diag, error, "cannot start %s: %s", arguments[0], strerror(error));
    *ret_child = take_ptr(child);
    return 0;
}

int command_child_release(struct command_child *child, uint64_t now_ns, struct diag *reterr_diag)
{
    child->released_ns = now_ns;
    int error = 0;
    if (send(child->gate, "g", 1, MSG_NOSIGNAL) != 1)
        error = errno;
    ssize_t got = 0;
    while (!error && (got = recv(child->gate, &error, sizeof(error), MSG_WAITALL)) < 0)
        if (errno != EINTR)
            error = errno;
    close_fd(&child->gate);
    if (!error)
        return 0;
    diag_set(reterr_diag, error, "cannot run %s: %s", child->name, strerror(error));
    if (error == ENOENT)
        diag_hint(reterr_diag, "the command after -- must be a program in PATH or a path to one");
    return -error;
}

void command_child_free(struct command_child *child)
{
    if (!child)
        return;
    bool is_held = child->gate >= 0;
    close_fd(&child->gate);
    if (child->pid > 0 && is_held && !child->is_reaped)
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    close_fd(&child->pid_fd);
    free(child);
}

pid_t command_child_pid(const struct command_child *child)
{
    return child->pid;
}

int command_child_fd(const struct command_child *child)
{
    return child->pid_fd;
}

void command_child_signal(const struct command_child *child, int number)
{
    if (!child->is_reaped)
        kill(child->pid, number);
}

void command_child_report(struct command_child *child, uint64_t now_ns)
{
    int status = 0;
    pid_t ended;
    do
        ended = waitpid(child->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    child->is_reaped = true;
    char took[16];
    format_duration(now_ns - child->released_ns, took);
    if (ended < 0)
        message_say("%s ended after %s, its status is unknown", child->name, took);
    else if (WIFSIGNALED(status))
        message_say("%s was killed by signal %d (%s) after %s", child->name, WTERMSIG(status),
                    strsignal(WTERMSIG(status)), took);
    else
        message_say("%s exited with status %d after %s", child->name, WEXITSTATUS(status), took);
}
