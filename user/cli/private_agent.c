/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/private_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cli/interrupt.h"
#include "cli/program_path.h"

#define AGENT_PROGRAM "lorisd"
#define AGENT_FD      3
#define AGENT_FD_TEXT "3"
#define SAFE_FD       16    /* above AGENT_FD: dup2 must not overwrite what it copies */
#define HANG_UP_MS    10000 /* detaching thousands of perf uprobes takes seconds */
#define SIGTERM_MS    5000

struct private_agent {
    pid_t pid;
    int pid_fd;
    struct query_client *client;
};

/* In the child: only async-signal-safe calls. Does not return. */
static void become_agent(const char *path, const char *budget, int client_fd, int report_fd,
                         pid_t parent)
{
    interrupt_restore();
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* the terminal's Ctrl-C is for us, who then end it in order */
    int error = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        error = errno;
    if (getppid() != parent) /* died before prctl */
        _exit(1);
    /* stdin is the command's and stdout is our data: the agent has no part in them */
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!error &&
        (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0))
        error = errno;
    if (!error && dup2(client_fd, AGENT_FD) < 0)
        error = errno;
    if (!error) {
        close_range(AGENT_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
        execl(path, AGENT_PROGRAM, "--client-fd", AGENT_FD_TEXT, budget ? "--budget" : NULL, budget,
              (char *)NULL);
        error = errno;
    }
    if (write(report_fd, &error, sizeof(error)) < 0)
        _exit(126);
    _exit(127);
}

static int move_above(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, SAFE_FD);
    if (moved < 0)
        return -errno;
    close(*fd);
    *fd = moved;
    return 0;
}

/* Whether exec succeeded: the pipe's end closes with it, or brings the errno. */
static int exec_result(int fd)
{
    int error = 0;
    ssize_t got;
    do
        got = read(fd, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(error) ? -error : 0;
}

static int spawn(const char *path, const char *budget, struct private_agent *agent, int *ret_socket)
{
    int pair[2], report[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    _cleanup_close_ int ours = pair[0];
    _cleanup_close_ int theirs = pair[1];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int report_in = report[0];
    _cleanup_close_ int report_out = report[1];
    int r = move_above(&theirs);
    if (r == 0)
        r = move_above(&report_out);
    if (r < 0)
        return r;
    pid_t parent = getpid();
    agent->pid = fork();
    if (agent->pid < 0)
        return -errno;
    if (agent->pid == 0)
        become_agent(path, budget, theirs, report_out, parent);
    close_fd(&report_out);
    agent->pid_fd = pidfd_open(agent->pid, 0);
    r = exec_result(report_in);
    if (r == 0)
        *ret_socket = take_fd(&ours);
    return r;
}

int private_agent_start(const char *budget, struct private_agent **ret_agent,
                        struct diag *reterr_diag)
{
    char path[PATH_MAX];
    int r = program_path_find(AGENT_PROGRAM, path);
    if (r < 0) {
        diag_set(reterr_diag, ENOEXEC, "cannot find the program " AGENT_PROGRAM);
        diag_hint(reterr_diag, "it is installed with loris; build both with make");
        return -ENOEXEC;
    }
    _cleanup_(private_agent_stop_cleanup) struct private_agent *agent = calloc(1, sizeof(*agent));
    if (!agent)
        return diag_set(reterr_diag, ENOMEM, "no memory for a private agent");
    agent->pid = -1;
    agent->pid_fd = -1;
    int fd = -1;
    r = spawn(path, budget, agent, &fd);
    if (r == 0)
        r = query_client_open_fd(fd, &agent->client);
    if (r < 0)
        return diag_set(reterr_diag, ENOEXEC, "cannot start %s: %s", path, strerror(-r));
    *ret_agent = take_ptr(agent);
    return 0;
}

static bool ends_within(const struct private_agent *agent, int timeout_ms)
{
    if (agent->pid_fd < 0)
        return true; /* waitpid will tell */
    struct pollfd ended = {.fd = agent->pid_fd, .events = POLLIN};
    int r;
    do
        r = poll(&ended, 1, timeout_ms);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

void private_agent_stop(struct private_agent *agent)
{
    if (!agent)
        return;
    query_client_free(agent->client); /* it ends when its client hangs up */
    if (agent->pid > 0) {
        if (!ends_within(agent, HANG_UP_MS)) {
            kill(agent->pid, SIGTERM);
            if (!ends_within(agent, SIGTERM_MS))
                kill(agent->pid, SIGKILL);
        }
        while (waitpid(agent->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_fd(&agent->pid_fd);
    free(agent);
}

struct query_client *private_agent_client(const struct private_agent *agent)
{
    return agent->client;
}
