/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of what the system around the kernel set up: cgroups, mounts, limits, other tracers. */
#include <errno.h>
#include <string.h>

#include "agent/doctor_internal.h"
#include "base/quantity.h"
#include "identity/cgroup_scan.h"

#define FILES_FEW   4096 /* where each place is a descriptor of its own, so many functions are */
#define LINKS_MANY  1000 /* that an operator may want to know of */
#define LIMIT_NONE  (1ull << 60) /* cgroup v1 says "none" with a huge number */
#define LEVELS_MAX  CGROUP_SCAN_DEPTH_MAX
#define DEBUG_FILES "/usr/lib/debug/.build-id"

/* The mount point of the unified hierarchy; "" where there is none. */
static int find_unified(const char *mounts, char out[PATH_MAX])
{
    out[0] = '\0';
    if (!*mounts)
        return 0;
    _cleanup_fclose_ FILE *stream = fmemopen((void *)(uintptr_t)mounts, strlen(mounts), "r");
    int error = stream ? cgroup_scan_find_mount(stream, out) : -errno;
    return error == -ENOENT ? 0 : error;
}

static void check_cgroups(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/proc/self/mountinfo";
    char unified[PATH_MAX];
    _cleanup_free_ char *mounts = NULL;
    int error = doctor_read(machine, path, &mounts);
    if (!error)
        error = find_unified(mounts, unified);
    if (error) {
        doctor_unread(finding, path, error);
        return;
    }
    bool has_legacy = strstr(mounts, " - cgroup ");
    if (unified[0]) {
        doctor_found(finding, DOCTOR_OK, "%s: units come from %.256s",
                     has_legacy ? "hybrid, v1 and v2" : "v2", unified);
        return;
    }
    doctor_found(finding, DOCTOR_WARNING, has_legacy ? "v1 only" : "none are mounted");
    doctor_means(finding, "processes belong to no unit: --by unit and --unit do not work");
    doctor_remedy(finding, "mount -t cgroup2 none /sys/fs/cgroup/unified, or boot with "
                           "systemd.unified_cgroup_hierarchy=1");
}

/* Lowers the limit to that of one cgroup. */
static int take_limit(const struct doctor_machine *machine, const char *mount, const char *group,
                      uint64_t *limit)
{
    char path[PATH_MAX];
    uint64_t own = LIMIT_NONE;
    _cleanup_free_ char *text = NULL;
    int length = snprintf(path, sizeof(path), "%s%s/memory.max", mount, group);
    int error = length < (int)sizeof(path) ? doctor_read(machine, path, &text) : -ENAMETOOLONG;
    if (!error && strcmp(text, "max") != 0)
        error = parse_u64(text, &own) ? -EINVAL : 0;
    if (!error && own < *limit)
        *limit = own;
    return error;
}

/* The least of what this cgroup and those above it may take. -ENOENT: none of them says, as in a
 * hierarchy without the memory controller. */
static int least_limit(const struct doctor_machine *machine, const char *mount, char *group,
                       uint64_t *ret_limit)
{
    int result = -ENOENT;
    for (unsigned level = 0; level < LEVELS_MAX; level++) {
        int error = take_limit(machine, mount, group, ret_limit);
        if (error && error != -ENOENT)
            return error;
        result = error ? result : 0;
        char *slash = strrchr(group, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return result;
}

/* This process's own limit in the unified hierarchy. */
static int find_limit(const struct doctor_machine *machine, uint64_t *ret_limit)
{
    char unified[PATH_MAX];
    _cleanup_free_ char *mounts = NULL;
    _cleanup_free_ char *groups = NULL;
    int error = doctor_read(machine, "/proc/self/mountinfo", &mounts);
    if (!error)
        error = find_unified(mounts, unified);
    if (!error)
        error = doctor_read(machine, "/proc/self/cgroup", &groups);
    if (error)
        return error;
    char *group = strncmp(groups, "0::", 3) == 0 ? groups : strstr(groups, "\n0::");
    if (!group || !unified[0])
        return -ENOENT;
    group = strchr(group, ':') + 2;
    group[strcspn(group, "\n")] = '\0';
    return least_limit(machine, unified, group, ret_limit);
}

static void check_memory(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    char budget[16], allowed[32] = "no limit";
    uint64_t limit = LIMIT_NONE;
    int error = find_limit(machine, &limit);
    format_bytes(machine->memory_budget_bytes, budget);
    if (limit < LIMIT_NONE)
        format_bytes(limit, allowed);
    if (error == -ENOENT) {
        doctor_found(finding, DOCTOR_OK, "no limit of a cgroup to be seen; the budget is %s",
                     budget);
    } else if (error) {
        doctor_unread(finding, "the memory limit of this cgroup", error);
    } else if (limit >= machine->memory_budget_bytes) {
        doctor_found(finding, DOCTOR_OK,
                     "of its cgroup, to which maps are charged: %s; the budget "
                     "is %s; RLIMIT_MEMLOCK does not matter",
                     allowed, budget);
    } else {
        doctor_found(finding, DOCTOR_WARNING, "the cgroup may have %s, the budget is %s", allowed,
                     budget);
        doctor_means(finding, "the kernel ends the agent before it would hold itself back");
        doctor_remedy(finding,
                      "a memory_budget below %s in loris.yaml, or a larger MemoryMax=", allowed);
    }
}

static void check_tracefs(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char *const mounts[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        char list[64];
        snprintf(list, sizeof(list), "%s/available_filter_functions", mounts[i]);
        int error = doctor_find_file(machine, list);
        if (error == -ENOENT)
            continue;
        if (error)
            doctor_unread(finding, list, error);
        else
            doctor_found(finding, DOCTOR_OK, "mounted on %s", mounts[i]);
        return;
    }
    doctor_found(finding, DOCTOR_ABSENT, "not mounted");
    doctor_means(finding, "kernel functions are found in /proc/kallsyms; which of them cannot be "
                          "attached to shows only then");
    doctor_remedy(finding, "mount -t tracefs nodev /sys/kernel/tracing");
}

static void check_files(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    bool is_few = machine->files_max < FILES_FEW;
    doctor_found(finding, is_few ? DOCTOR_WARNING : DOCTOR_OK, "%llu may be open",
                 (unsigned long long)machine->files_max);
    if (!is_few)
        return;
    doctor_means(finding, "a glob of many functions fails where each is a link of its own "
                          "(uprobe, kprobe, fentry)");
    doctor_remedy(finding, "LimitNOFILE=65536 in the unit, or ulimit -Hn 65536");
}

static void check_tracers(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    const struct bpf_census *census = machine->census;
    if (!census) {
        doctor_found(finding, DOCTOR_UNKNOWN, "the kernel tells CAP_SYS_ADMIN only");
        return;
    }
    doctor_found(finding, DOCTOR_OK,
                 "BPF programs: %u, links: %u, probes among these: %u%s; loris's own are counted",
                 census->programs, census->links, census->probing_links,
                 census->is_cut ? " and more" : "");
    if (census->probing_links < LINKS_MANY)
        return;
    doctor_means(finding, "functions that others probe, too, cost what both take");
    doctor_remedy(finding, "bpftool link show tells whose they are");
}

static void check_debug_files(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    bool has_them = doctor_find_file(machine, DEBUG_FILES) == 0;
    doctor_found(finding, has_them ? DOCTOR_OK : DOCTOR_ABSENT,
                 has_them ? DEBUG_FILES " adds names of functions that are not exported"
                          : "none below /usr/lib/debug; neither they nor debuginfod are needed");
    if (has_them)
        return;
    doctor_means(finding, "of stripped programs and libraries, only exported functions have names");
    doctor_remedy(finding, "the distribution's -dbgsym or -debuginfo package of what you watch");
}

const struct doctor_check doctor_host_checks[] = {
    {"host.cgroups", check_cgroups},
    {"host.memory", check_memory},
    {"host.tracefs", check_tracefs},
    {"host.files", check_files},
    {"host.tracers", check_tracers},
    {"host.debug-files", check_debug_files},
    {NULL, NULL},
};
