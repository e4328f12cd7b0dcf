/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity/cgroup_units.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "identity/cgroup_scan.h"

#define UNIT_BYTES    256
#define CGROUPS_MAX   (1u << 20)
#define UNKNOWN_BYTES 32 /* "cgroup:" and 20 digits */

/* One allocation: the path, then the name unless that is the path's own end. */
struct cgroup {
    struct cgroup *chain;
    struct cgroup *newer; /* by last use */
    struct cgroup *older;
    uint64_t id;
    uint64_t added; /* serial number */
    uint32_t level;
    uint16_t unit_offset;
    uint16_t bytes; /* of strings */
    char strings[];
};

struct cgroup_units {
    uint32_t max_cgroups;
    uint32_t count;
    uint32_t bucket_mask;
    uint64_t hash_seed;
    uint64_t bytes;
    uint64_t added;
    uint64_t hits;
    uint64_t misses;
    uint64_t forgotten;
    struct cgroup *newest;
    struct cgroup *oldest;
    char unknown[UNKNOWN_BYTES];
    struct cgroup *buckets[];
};

int cgroup_units_new(uint32_t max_cgroups, uint64_t hash_seed, struct cgroup_units **ret_units)
{
    if (max_cgroups == 0 || max_cgroups > CGROUPS_MAX)
        return -EINVAL;
    uint32_t bucket_count = 1;
    while (bucket_count < max_cgroups)
        bucket_count *= 2;
    size_t bytes = sizeof(struct cgroup_units) + bucket_count * sizeof(struct cgroup *);
    struct cgroup_units *units = calloc(1, bytes);
    if (!units)
        return -ENOMEM;
    units->max_cgroups = max_cgroups;
    units->bucket_mask = bucket_count - 1;
    units->hash_seed = hash_seed;
    units->bytes = bytes;
    *ret_units = units;
    return 0;
}

void cgroup_units_free(struct cgroup_units *units)
{
    if (!units)
        return;
    while (units->oldest) {
        struct cgroup *cgroup = units->oldest;
        units->oldest = cgroup->newer;
        free(cgroup);
    }
    free(units);
}

static struct cgroup **bucket_of(struct cgroup_units *units, uint64_t cgroup_id)
{
    uint64_t hash = hash_bytes(&cgroup_id, sizeof(cgroup_id), units->hash_seed);
    return &units->buckets[hash & units->bucket_mask];
}

static struct cgroup *find_by_id(struct cgroup_units *units, uint64_t cgroup_id)
{
    struct cgroup *cgroup = *bucket_of(units, cgroup_id);
    while (cgroup && cgroup->id != cgroup_id)
        cgroup = cgroup->chain;
    return cgroup;
}

static void append_newest(struct cgroup_units *units, struct cgroup *cgroup)
{
    cgroup->newer = NULL;
    cgroup->older = units->newest;
    if (units->newest)
        units->newest->newer = cgroup;
    else
        units->oldest = cgroup;
    units->newest = cgroup;
}

static void unlink_order(struct cgroup_units *units, struct cgroup *cgroup)
{
    if (cgroup->newer)
        cgroup->newer->older = cgroup->older;
    else
        units->newest = cgroup->older;
    if (cgroup->older)
        cgroup->older->newer = cgroup->newer;
    else
        units->oldest = cgroup->newer;
}

static void forget(struct cgroup_units *units, struct cgroup *cgroup)
{
    struct cgroup **link = bucket_of(units, cgroup->id);
    while (*link != cgroup)
        link = &(*link)->chain;
    *link = cgroup->chain;
    unlink_order(units, cgroup);
    units->bytes -= sizeof(*cgroup) + cgroup->bytes;
    units->count--;
    free(cgroup);
}

static uint32_t level_of(const char *path)
{
    uint32_t level = 0;
    for (const char *at = path; *at; at++)
        if (at[0] == '/' && at[1] != '/' && at[1] != '\0')
            level++;
    return level;
}

int cgroup_units_add(struct cgroup_units *units, uint64_t cgroup_id, const char *path)
{
    char unit[UNIT_BYTES];
    cgroup_unit_of_path(path, unit);
    size_t unit_bytes = strlen(unit) + 1;
    size_t path_bytes = strnlen(path, CGROUP_UNITS_PATH_BYTES) + 1;
    if (path_bytes > CGROUP_UNITS_PATH_BYTES)
        path_bytes = 1; /* kept empty */
    bool unit_ends_path =
        path_bytes >= unit_bytes && memcmp(path + path_bytes - unit_bytes, unit, unit_bytes) == 0;
    size_t bytes = path_bytes + (unit_ends_path ? 0 : unit_bytes);
    struct cgroup *cgroup = malloc(sizeof(*cgroup) + bytes);
    if (!cgroup)
        return -ENOMEM;
    *cgroup = (struct cgroup){
        .id = cgroup_id,
        .added = ++units->added,
        .level = level_of(path),
        .unit_offset = (uint16_t)(bytes - unit_bytes),
        .bytes = (uint16_t)bytes,
    };
    memcpy(cgroup->strings, path, path_bytes - 1);
    cgroup->strings[path_bytes - 1] = '\0';
    memcpy(cgroup->strings + cgroup->unit_offset, unit, unit_bytes);

    struct cgroup *known = find_by_id(units, cgroup_id);
    if (known) {
        forget(units, known);
    } else if (units->count == units->max_cgroups) {
        forget(units, units->oldest);
        units->forgotten++;
    }
    struct cgroup **bucket = bucket_of(units, cgroup_id);
    cgroup->chain = *bucket;
    *bucket = cgroup;
    append_newest(units, cgroup);
    units->bytes += sizeof(*cgroup) + bytes;
    units->count++;
    return 0;
}

static int on_scanned(uint64_t cgroup_id, const char *path, void *context)
{
    return cgroup_units_add(context, cgroup_id, path);
}

int cgroup_units_scan_at(struct cgroup_units *units, const char *root_path)
{
    return cgroup_scan_walk(root_path, units->max_cgroups, on_scanned, units);
}

int cgroup_units_scan(struct cgroup_units *units)
{
    _cleanup_fclose_ FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
    if (!mountinfo)
        return -errno;
    char root_path[PATH_MAX];
    int status = cgroup_scan_find_mount(mountinfo, root_path);
    return status < 0 ? status : cgroup_units_scan_at(units, root_path);
}

const char *cgroup_units_name(struct cgroup_units *units, uint64_t cgroup_id)
{
    struct cgroup *cgroup = find_by_id(units, cgroup_id);
    if (!cgroup) {
        units->misses++;
        snprintf(units->unknown, sizeof(units->unknown), "cgroup:%llu",
                 (unsigned long long)cgroup_id);
        return units->unknown;
    }
    units->hits++;
    if (cgroup != units->newest) {
        unlink_order(units, cgroup);
        append_newest(units, cgroup);
    }
    return cgroup->strings + cgroup->unit_offset;
}

int cgroup_units_find(const struct cgroup_units *units, const char *unit, uint64_t *ret_cgroup_id,
                      uint32_t *ret_level)
{
    const struct cgroup *best = NULL;
    for (const struct cgroup *cgroup = units->newest; cgroup; cgroup = cgroup->older) {
        bool has_path = *cgroup->strings != '\0';
        if (!(has_path && strcmp(cgroup->strings, unit) == 0) &&
            strcmp(cgroup->strings + cgroup->unit_offset, unit) != 0)
            continue;
        if (!best || cgroup->level < best->level ||
            (cgroup->level == best->level && cgroup->added > best->added))
            best = cgroup;
    }
    if (!best)
        return -ENOENT;
    *ret_cgroup_id = best->id;
    *ret_level = best->level;
    return 0;
}

struct cgroup_units_figures cgroup_units_figures(const struct cgroup_units *units)
{
    return (struct cgroup_units_figures){
        .cgroups = units->count,
        .max_cgroups = units->max_cgroups,
        .bytes = units->bytes,
        .hits = units->hits,
        .misses = units->misses,
        .forgotten = units->forgotten,
    };
}

struct component {
    const char *start;
    size_t bytes;
};

/* The next non-empty component from *at on; bytes 0 at the end. */
static struct component next_component(const char **at)
{
    while (**at == '/')
        (*at)++;
    struct component component = {*at, strcspn(*at, "/")};
    *at += component.bytes;
    return component;
}

static bool starts_with(struct component component, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return component.bytes > bytes && memcmp(component.start, prefix, bytes) == 0;
}

static bool ends_with(struct component component, const char *suffix)
{
    size_t bytes = strlen(suffix);
    return component.bytes > bytes &&
           memcmp(component.start + component.bytes - bytes, suffix, bytes) == 0;
}

static bool is_unit(struct component component)
{
    static const char *const suffixes[] = {".service", ".scope", ".slice",
                                           ".socket",  ".mount", ".swap"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (ends_with(component, suffixes[i]))
            return true;
    return false;
}

static bool is_container(struct component component)
{
    static const char *const scopes[] = {"docker-",         "libpod-",  "podman-",
                                         "cri-containerd-", "crio-",    "containerd-",
                                         "nerdctl-",        "machine-", "lxc-"};
    if (starts_with(component, "lxc.payload."))
        return true;
    if (starts_with(component, "systemd-nspawn@"))
        return ends_with(component, ".service");
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
        if (starts_with(component, scopes[i]))
            return ends_with(component, ".scope");
    return false;
}

/* Where container managers put their cgroups when systemd does not do it for them. */
static bool is_container_folder(struct component component)
{
    static const char *const folders[] = {"docker", "libpod_parent", "lxc", "kubepods"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (component.bytes == strlen(folders[i]) &&
            memcmp(component.start, folders[i], component.bytes) == 0)
            return true;
    return false;
}

static struct component find_unit(const char *path)
{
    struct component unit = {0};
    const char *at = path;
    for (bool first = true;; first = false) {
        struct component component = next_component(&at);
        if (component.bytes == 0)
            return unit;
        if (first && is_container_folder(component))
            return (struct component){0};
        /* systemd puts '_' before a unit like cpu.weight.service or _x.service */
        if (*component.start == '_')
            component = (struct component){component.start + 1, component.bytes - 1};
        if (is_container(component))
            return component;
        if (is_unit(component))
            unit = component;
    }
}

void cgroup_unit_of_path(const char *path, char out[UNIT_BYTES])
{
    struct component unit = find_unit(path);
    if (unit.bytes == 0)
        unit = *path ? (struct component){path, strlen(path)} : (struct component){"/", 1};
    if (unit.bytes < UNIT_BYTES) {
        text_sanitize(unit.start, unit.bytes, out);
        return;
    }
    const size_t kept = UNIT_BYTES - 1 - 3; /* the end tells cgroups apart better than the start */
    memcpy(out, "...", 3);
    text_sanitize(unit.start + unit.bytes - kept, kept, out + 3);
}
