/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/link_set.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

static int reserve(struct link_set *links, size_t count)
{
    if (count <= links->capacity)
        return 0;
    size_t capacity = links->capacity ? 2 * links->capacity : 1;
    if (capacity < count)
        capacity = count;
    int *fds = reallocarray(links->fds, capacity, sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    links->fds = fds;
    links->capacity = capacity;
    return 0;
}

int link_set_add(struct link_set *links, int fd)
{
    _cleanup_close_ int owned_fd = fd;
    int error = reserve(links, links->count + 1);
    if (!error)
        links->fds[links->count++] = take_fd(&owned_fd);
    return error;
}

int link_set_move(struct link_set *from, struct link_set *to)
{
    int error = reserve(to, to->count + from->count);
    if (error)
        return error;
    for (size_t i = 0; i < from->count; i++)
        to->fds[to->count++] = from->fds[i];
    from->count = 0;
    return 0;
}

void link_set_cut(struct link_set *links, size_t keep)
{
    while (links->count > keep)
        close_fd(&links->fds[--links->count]);
}

static int by_number(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

/* In the process apart: keeps nothing but the links, waits until we have let go of ours, and closes
 * them. done_fd is left to its end. */
static void hold_links(struct link_set *links, int gate_fd, int done_fd)
{
    char nothing;
    unsigned next = 0;
    size_t own = links->count;
    if (link_set_add(links, gate_fd) == 0 && link_set_add(links, done_fd) == 0)
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
    for (size_t i = 0; links->count == own + 2 && i < links->count; i++)
        if (links->fds[i] != done_fd)
            close(links->fds[i]);
    _exit(0);
}

/* Forks twice, so that nobody waits for the process and it is nobody's zombie. */
static bool start_holder(struct link_set *links, const int gate[2], const int done[2])
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_IGN); /* it ends by itself, and must end after us */
        pid_t holder = fork();
        if (holder == 0) {
            close(gate[1]);
            hold_links(links, gate[0], done[1]);
        }
        _exit(holder < 0);
    }
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int link_set_cut_apart(struct link_set *links)
{
    int gate[2] = {-1, -1};
    int done[2] = {-1, -1};
    bool apart = links->count > 0 && pipe2(gate, O_CLOEXEC) == 0 &&
                 pipe2(done, O_CLOEXEC | O_NONBLOCK) == 0 && start_holder(links, gate, done);
    close_fd(&gate[0]);
    close_fd(&done[1]);
    link_set_cut(links, 0); /* ours are not the last where a process holds them */
    close_fd(&gate[1]);     /* now that process may close its own */
    if (!apart)
        close_fd(&done[0]);
    return done[0];
}

void link_set_done(struct link_set *links)
{
    link_set_cut(links, 0);
    free(links->fds);
    *links = (struct link_set){0};
}
