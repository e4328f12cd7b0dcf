/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/link_set.h"

#include <errno.h>

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

void link_set_done(struct link_set *links)
{
    link_set_cut(links, 0);
    free(links->fds);
    *links = (struct link_set){0};
}
