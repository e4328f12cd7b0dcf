/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads the embedded BPF objects; internal to kernel_side.c. */
#pragma once

#include "probe/kernel_side.h"

enum kernel_group {
    KERNEL_GROUP_CORE,
    KERNEL_GROUP_USER,
    KERNEL_GROUP_SESSION, /* either variant of the session object */
    KERNEL_GROUP_FENTRY,
    KERNEL_GROUP_KPROBE,
    KERNEL_GROUPS,
};

enum kernel_group kernel_program_group(enum kernel_program program);

/*
 * Loads the core object, creates the maps with the sizes of the configuration, and stores owned
 * fds of maps and programs; programs whose tracepoint this kernel lacks stay -1.
 */
int kernel_objects_load_core(const struct kernel_side_config *config, uint32_t cpus,
                             int map_fds[KERNEL_MAPS], int program_fds[KERNEL_PROGRAMS],
                             struct diag *reterr_diag) _must_check_;
/* Loads a further group over the same maps. -EOPNOTSUPP with a diag. */
int kernel_objects_load_group(enum kernel_group group, const int map_fds[KERNEL_MAPS],
                              int program_fds[KERNEL_PROGRAMS],
                              struct diag *reterr_diag) _must_check_;
/* Loads fentry and fexit programs for one kernel function. */
int kernel_objects_load_fentry(const char *function, const int map_fds[KERNEL_MAPS],
                               int *ret_entry_fd, int *ret_exit_fd,
                               struct diag *reterr_diag) _must_check_;
