/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From cgroup ids to systemd unit names, learnt from a scan at start and from cgroup events. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

struct cgroup_units;

/* max_cgroups bounds memory; the least recently used is forgotten. */
int cgroup_units_new(uint32_t max_cgroups, uint64_t hash_seed,
                     struct cgroup_units **ret_units) _must_check_;
void cgroup_units_free(struct cgroup_units *units);
DEFINE_CLEANUP(struct cgroup_units *, cgroup_units_free);

/* Walks the unified hierarchy (wherever it is mounted: /proc/self/mountinfo). The cgroup id is the
 * inode number of its directory. Bounded in depth and count. -ENOENT without a hierarchy. */
int cgroup_units_scan(struct cgroup_units *units) _must_check_;
/* The same for the hierarchy whose root is the directory root_path. */
int cgroup_units_scan_at(struct cgroup_units *units, const char *root_path) _must_check_;
/* path is below the root of the hierarchy, "/system.slice/redis.service"; not trusted. What is
 * longer than CGROUP_UNITS_PATH_BYTES has a name, but cannot be found by its path. */
#define CGROUP_UNITS_PATH_BYTES 1024
int cgroup_units_add(struct cgroup_units *units, uint64_t cgroup_id, const char *path) _must_check_;
/* The name of cgroup_unit_of_path; "cgroup:ID" when the id is unknown. Valid until the next call
 * that takes a non-const object. */
const char *cgroup_units_name(struct cgroup_units *units, uint64_t cgroup_id);
/* Finds an id and depth by unit name or path, for filters: of the cgroups of one name the
 * shallowest, of these the newest. O(cgroups). -ENOENT. */
int cgroup_units_find(const struct cgroup_units *units, const char *unit, uint64_t *ret_cgroup_id,
                      uint32_t *ret_level) _must_check_;

struct cgroup_units_figures {
    uint64_t cgroups, max_cgroups, bytes;
    uint64_t hits, misses; /* of cgroup_units_name */
    uint64_t forgotten;    /* to make room; not those that were removed or came anew */
};
struct cgroup_units_figures cgroup_units_figures(const struct cgroup_units *units);

/*
 * Pure: the name of a path. The last path component that ends in .service, .scope, .socket,
 * .mount, .swap or .slice. What lies inside a container (a scope of docker, podman, cri-o,
 * containerd or machined, systemd-nspawn@, lxc.payload.NAME) has the container's name, so that
 * its units are not taken for the host's; below the plain folders of docker, podman, lxc and
 * kubepods that is the whole path. Without a unit the whole path, "/" for the root, "..." and the
 * path's end when that is too long. Escapes as systemd-escape made them stay; the underscore that
 * keeps a unit apart from a cgroup's own files does not. Sanitized.
 */
void cgroup_unit_of_path(const char *path, char out[256]);
