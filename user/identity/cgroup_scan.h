/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds and walks the unified cgroup hierarchy. */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "base/ownership.h"

#define CGROUP_SCAN_DEPTH_MAX 32

/* The first mount point of a whole cgroup2 hierarchy (or else of part of one) in a file like
 * /proc/self/mountinfo, proc(5). -ENOENT. */
int cgroup_scan_find_mount(FILE *mountinfo, char out[PATH_MAX]) _must_check_;

/* Negative: stops the walk with this errno. */
typedef int (*cgroup_scan_fn)(uint64_t cgroup_id, const char *path, void *context);
/* Calls back for at most max_cgroups directories, parents before children; the root has path "/".
 * Stays on one file system, follows no links, goes no deeper than CGROUP_SCAN_DEPTH_MAX. A cgroup
 * that is removed meanwhile is left out. -errno of root_path, or what on_cgroup returned. */
int cgroup_scan_walk(const char *root_path, uint32_t max_cgroups, cgroup_scan_fn on_cgroup,
                     void *context) _must_check_;
