/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/link_set.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

int link_set_add(struct link_set *links, int fd)
{
    _cleanup_close_ int owned_fd = fd;
    if (links->count == links->capacity) {
        size_t capacity = links->capacity ? 2 * links->capacity : 4;
        int *fds = reallocarray(links->fds, capacity, sizeof(*fds));
        if (!fds)
            return -ENOMEM;
        links->fds = fds;
        links->capacity = capacity;
    }
    links->fds[links->count++] = take_fd(&owned_fd);
    return 0;
}

void link_set_cut(struct link_set *links, size_t keep)
{
    for (size_t i = keep; i < links->count; i++)
        close_fd(&links->fds[i]);
    if (links->count > keep)
        links->count = keep;
}

static int by_number(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

/* In the process apart: keeps nothing but the links, waits until we have let go of ours, ends. */
static void hold_links(struct link_set *links, int gate_fd)
{
    char nothing;
    unsigned next = 0;
    if (link_set_add(links, gate_fd) == 0)
        qsort(links->fds, links->count, sizeof(*links->fds), by_number);
    for (size_t i = 0; i < links->count; i++) {
        unsigned kept = (unsigned)links->fds[i];
        if (kept > next)
            close_range(next, kept - 1, 0);
        next = kept + 1;
    }
    close_range(next, ~0u, 0);
    while (read(gate_fd, &nothing, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

/* Forks twice, so that nobody waits for the process and it is nobody's zombie. */
static bool start_holder(struct link_set *links, int gate[2])
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_IGN); /* it ends by itself, and must end after us */
        pid_t holder = fork();
        if (holder == 0) {
            close(gate[1]);
            hold_links(links, gate[0]);
        }
        _exit(holder < 0);
    }
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void link_set_cut_apart(struct link_set *links)
{
    int gate[2];
    if (links->count == 0 || pipe2(gate, O_CLOEXEC)) {
        link_set_cut(links, 0);
        return;
    }
    (void)!start_holder(links, gate);
    close(gate[0]);
    link_set_cut(links, 0); /* ours are not the last where a process holds them */
    close(gate[1]);         /* now that process may end */
}

void link_set_done(struct link_set *links)
{
    link_set_cut(links, 0);
    free(links->fds);
    *links = (struct link_set){0};
}
