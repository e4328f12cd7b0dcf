/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/ring_family.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

int ring_family_init(struct ring_family *family, const char *name, int map_fd, uint32_t cpus,
                     uint32_t bytes)
{
    family->map_fd = map_fd;
    family->fds = calloc(cpus, sizeof(*family->fds));
    if (!family->fds)
        return -ENOMEM;
    for (; family->cpus < cpus; family->cpus++) {
        int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, name, 0, 0, bytes, NULL);
        if (fd < 0)
            return -errno;
        family->fds[family->cpus] = fd;
    }
    return 0;
}

void ring_family_done(struct ring_family *family)
{
    for (uint32_t cpu = 0; cpu < family->cpus; cpu++)
        close_fd(&family->fds[cpu]);
    free(family->fds);
    *family = (struct ring_family){.map_fd = -1};
}

/* In one batch, which waits only once; one by one where there are no batches of maps (before
 * 9263dddc7b6f, 5.16). */
static int install(const struct ring_family *family)
{
    _cleanup_free_ uint32_t *keys = calloc(family->cpus, sizeof(*keys));
    if (!keys)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < family->cpus; cpu++)
        keys[cpu] = cpu;
    uint32_t count = family->cpus;
    if (bpf_map_update_batch(family->map_fd, keys, family->fds, &count, NULL) == 0)
        return 0;
    for (uint32_t cpu = 0; cpu < family->cpus; cpu++)
        if (bpf_map_update_elem(family->map_fd, &cpu, &family->fds[cpu], BPF_ANY))
            return -errno;
    return 0;
}

/* A child has the same maps and rings, and nothing to share but them. */
pid_t ring_family_begin_install(const struct ring_family *family)
{
    pid_t child = fork();
    if (child == 0)
        _exit(install(family) ? 1 : 0);
    return child;
}

int ring_family_end_install(pid_t installer, const struct ring_family *family)
{
    int status = 1;
    while (installer > 0 && waitpid(installer, &status, 0) < 0)
        if (errno != EINTR)
            break;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return install(family); /* which tells what the matter is */
}
