/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From cgroup ids to systemd unit names, learnt from a scan at start and from cgroup events. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

struct cgroup_units;

/* max_cgroups bounds memory; the least recently used is forgotten. */
int cgroup_units_new(uint32_t max_cgroups, uint64_t hash_seed, struct cgroup_units **ret_units)
    _must_check_;
void cgroup_units_free(struct cgroup_units *units);
DEFINE_CLEANUP(struct cgroup_units *, cgroup_units_free);

/* Walks the unified hierarchy (wherever it is mounted: /proc/self/mountinfo). The cgroup id is the
 * inode number of its directory. Bounded in depth and count. -ENOENT without a hierarchy. */
int cgroup_units_scan(struct cgroup_units *units) _must_check_;
/* path is below the root of the hierarchy, "/system.slice/redis.service"; not trusted. */
int cgroup_units_add(struct cgroup_units *units, uint64_t cgroup_id, const char *path)
    _must_check_;
/* The unit: the last path component that ends in .service, .scope, .socket, .mount, .swap or
 * .slice (a service or scope wins over an enclosing slice); a docker/podman/kubepods/lxc scope as
 * it is; else the whole path; "/" for the root; "cgroup:ID" when unknown. Escapes as
 * systemd-escape made them stay. Valid until the next call that changes the object. */
const char *cgroup_units_name(struct cgroup_units *units, uint64_t cgroup_id);
/* Finds an id and depth by unit name or path, for filters. -ENOENT. */
int cgroup_units_find(const struct cgroup_units *units, const char *unit, uint64_t *ret_cgroup_id,
                      uint32_t *ret_level) _must_check_;
/* Pure: the unit of a path, into at least 256 bytes. */
void cgroup_unit_of_path(const char *path, char out[256]);
