/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reruns a piece of a test with its k-th mapping failing, for every k, as failing_alloc.h does with
 * allocations: an executable's own mmap and munmap come first for everybody. Include it once.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct {
    bool armed;
    unsigned left; /* mappings that still succeed */
    unsigned seen;
    uint64_t mapped_bytes; /* and not unmapped since it was armed */
} failing_map;

static inline uint64_t failing_map_whole_pages(size_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (failing_map.armed && ++failing_map.seen > failing_map.left) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    long mapped = syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
    if (failing_map.armed && mapped != -1)
        failing_map.mapped_bytes += failing_map_whole_pages(bytes);
    return (void *)(uintptr_t)mapped;
}

int munmap(void *address, size_t bytes)
{
    if (failing_map.armed)
        failing_map.mapped_bytes -= failing_map_whole_pages(bytes);
    return (int)syscall(SYS_munmap, address, bytes);
}

/* Returns how many mappings the undisturbed body makes, or 0 when one of its runs left bytes mapped
 * or unmapped more than it had. From the k-th on all fail. */
static inline unsigned failing_map_each(void (*body)(void *context), void *context)
{
    for (unsigned left = 0;; left++) {
        failing_map.left = left;
        failing_map.seen = 0;
        failing_map.mapped_bytes = 0;
        failing_map.armed = true;
        body(context);
        failing_map.armed = false;
        if (failing_map.mapped_bytes != 0)
            return 0;
        if (failing_map.seen <= left)
            return left;
    }
}
