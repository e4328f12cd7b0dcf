/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that one watch has linked places in; one of them may stand for the kernel. */
#include <errno.h>

#include "probe/probe_set_internal.h"

struct watched_file *watch_file_at(struct watch *watch, size_t index)
{
    if (index < watch->files.count)
        return &watch->files.files[index];
    index -= watch->files.count;
    return index < watch->others_count ? &watch->others[index] : NULL;
}

void watch_let_go(struct watch *watch)
{
    watched_files_done(&watch->files);
    for (size_t i = 0; i < watch->others_count; i++)
        watched_file_done(&watch->others[i]);
    free(take_ptr(watch->others));
    watch->others_count = 0;
}

int watch_add_other(struct watch *watch, struct watched_file *file)
{
    struct watched_file *others =
        reallocarray(watch->others, watch->others_count + 1, sizeof(*others));
    if (!others)
        return -ENOMEM;
    watch->others = others;
    watch->others[watch->others_count++] = *file;
    *file = (struct watched_file){.places.fd = -1};
    return 0;
}
