/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads the embedded BPF objects; internal to kernel_side.c. */
#pragma once

#include "probe/kernel_side.h"

/*
 * Programs that are loaded together, on the first use of one of them: the verifier is what a start
 * waits for, so a group holds no more than what is attached together.
 */
enum kernel_group {
    KERNEL_GROUP_CORE, /* the life of processes */
    KERNEL_GROUP_SYSCALLS,
    KERNEL_GROUP_BLOCK_IO,
    KERNEL_GROUP_RUN_QUEUE,
    KERNEL_GROUP_SOFTIRQ,
    KERNEL_GROUP_IRQ,
    KERNEL_GROUP_OPEN_CALLS,
    KERNEL_GROUP_OPEN_SESSIONS,
    KERNEL_GROUP_USER,
    KERNEL_GROUP_USER_EXITS,
    KERNEL_GROUP_UMULTI, /* of functions that are watched through their exits, too */
    KERNEL_GROUP_UMULTI_RETURNS,
    KERNEL_GROUP_MARKS,
    KERNEL_GROUP_MMARKS,
    KERNEL_GROUP_USER_SESSION,
    KERNEL_GROUP_KERN_SESSION,
    KERNEL_GROUP_FENTRY,
    KERNEL_GROUP_KPROBE,
    KERNEL_GROUP_KMULTI,
    KERNEL_GROUP_HEAP,
    KERNEL_GROUP_HEAP_EXITS,
    KERNEL_GROUP_MHEAP,
    KERNEL_GROUP_MHEAP_EXITS,
    KERNEL_GROUP_HEAP_LIFE,
    KERNEL_GROUP_KMEM_SLAB,
    KERNEL_GROUP_KMEM_PAGES,
    KERNEL_GROUPS,
};

enum kernel_group kernel_program_group(enum kernel_program program);

/* Creates the maps with the sizes of the configuration and stores owned fds. Needs no types of the
 * kernel, and so neither their time nor their memory. */
int kernel_objects_create_maps(const struct kernel_side_config *config, uint32_t cpus,
                               int map_fds[KERNEL_MAPS], struct diag *reterr_diag) _must_check_;
/* Loads a group over these maps, with those of its own that are not there yet, and stores owned
 * fds; programs whose tracepoint this kernel lacks stay -1. -EOPNOTSUPP and others with a diag. */
int kernel_objects_load_group(enum kernel_group group, const struct kernel_side_config *config,
                              int map_fds[KERNEL_MAPS], int program_fds[KERNEL_PROGRAMS],
                              struct diag *reterr_diag) _must_check_;
/* Loads fentry and fexit programs for one kernel function. */
int kernel_objects_load_fentry(const char *function, const int map_fds[KERNEL_MAPS],
                               int *ret_entry_fd, int *ret_exit_fd,
                               struct diag *reterr_diag) _must_check_;
