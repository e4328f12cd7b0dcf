/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/bpf_link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ownership.h"
#include "probe/kernel_side.h"

/* The arguments of BPF_LINK_CREATE as newer kernels know them; ABI, see uapi/linux/bpf.h. */
struct link_create_head {
    uint32_t program_fd;
    uint32_t target_fd;
    uint32_t attach_type;
    uint32_t flags;
};

struct link_create_uprobe_multi {
    struct link_create_head head;
    uint64_t path;
    uint64_t offsets;
    uint64_t semaphores;
    uint64_t cookies;
    uint32_t count;
    uint32_t flags;
    uint32_t pid;
    uint32_t reserved;
};

struct link_create_kprobe_multi {
    struct link_create_head head;
    uint32_t flags;
    uint32_t count;
    uint64_t names;
    uint64_t addresses;
    uint64_t cookies;
};

_Static_assert(sizeof(struct link_create_uprobe_multi) == 64, "uapi layout");
_Static_assert(sizeof(struct link_create_kprobe_multi) == 48, "uapi layout");

#define MULTI_FLAG_RETURN 1u

static int link_create(void *arguments, size_t bytes)
{
    int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, arguments, bytes);
    return fd >= 0 ? fd : -errno;
}

int bpf_link_uprobe_multi(int program_fd, const struct bpf_link_uprobes *places,
                          enum bpf_link_edge edge)
{
    struct link_create_uprobe_multi arguments = {
        .head.program_fd = (uint32_t)program_fd,
        .head.attach_type = edge == BPF_LINK_EDGE_SESSION ? KERNEL_ATTACH_UPROBE_SESSION
                                                          : KERNEL_ATTACH_UPROBE_MULTI,
        .path = (uintptr_t)places->path,
        .offsets = (uintptr_t)places->offsets,
        .semaphores = (uintptr_t)places->semaphores,
        .cookies = (uintptr_t)places->cookies,
        .count = places->count,
        .flags = edge == BPF_LINK_EDGE_RETURN ? MULTI_FLAG_RETURN : 0,
    };
    return link_create(&arguments, sizeof(arguments));
}

int bpf_link_kprobe_multi(int program_fd, const char *const *names, const uint64_t *cookies,
                          uint32_t count, enum bpf_link_edge edge)
{
    struct link_create_kprobe_multi arguments = {
        .head.program_fd = (uint32_t)program_fd,
        .head.attach_type = edge == BPF_LINK_EDGE_SESSION ? KERNEL_ATTACH_KPROBE_SESSION
                                                          : KERNEL_ATTACH_KPROBE_MULTI,
        .flags = edge == BPF_LINK_EDGE_RETURN ? MULTI_FLAG_RETURN : 0,
        .count = count,
        .names = (uintptr_t)names,
        .cookies = (uintptr_t)cookies,
    };
    return link_create(&arguments, sizeof(arguments));
}

/* Reads a number from a file of the PMU's sysfs folder, after an optional prefix. */
static int read_pmu_number(const char *pmu, const char *file, const char *format)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/%s", pmu, file);
    _cleanup_fclose_ FILE *stream = fopen(path, "re");
    if (!stream)
        return errno == ENOENT ? -EOPNOTSUPP : -errno;
    char line[64] = "";
    int number = -1;
    if (!fgets(line, sizeof(line), stream))
        return -EIO;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (sscanf(line, format, &number) != 1 || number < 0)
        return -EIO;
#pragma GCC diagnostic pop
    return number;
}

static int perf_link(int program_fd, const char *pmu, struct perf_event_attr *attributes,
                     bool on_return, uint64_t cookie)
{
    int type = read_pmu_number(pmu, "type", "%d");
    if (type < 0)
        return type;
    int return_bit = on_return ? read_pmu_number(pmu, "format/retprobe", "config:%d") : 0;
    if (return_bit < 0 || return_bit > 63)
        return return_bit < 0 ? return_bit : -EIO;
    attributes->size = sizeof(*attributes);
    attributes->type = (uint32_t)type;
    if (on_return)
        attributes->config |= 1ull << return_bit;
    _cleanup_close_ int event_fd =
        (int)syscall(SYS_perf_event_open, attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    if (event_fd < 0)
        return -errno;
    LIBBPF_OPTS(bpf_link_create_opts, options, .perf_event.bpf_cookie = cookie);
    /* The link holds the event: its fd may go. */
    int fd = bpf_link_create(program_fd, event_fd, BPF_PERF_EVENT, &options);
    return fd >= 0 ? fd : -errno;
}

/* The semaphore's offset is in the upper half of config (perf's ref_ctr_offset). */
#define PERF_SEMAPHORE_SHIFT 32

int bpf_link_perf_uprobe(int program_fd, const char *path, uint64_t offset, uint64_t semaphore,
                         uint64_t cookie, bool on_return)
{
    struct perf_event_attr attributes = {
        .config = semaphore << PERF_SEMAPHORE_SHIFT,
        .uprobe_path = (uintptr_t)path,
        .probe_offset = offset,
    };
    return perf_link(program_fd, "uprobe", &attributes, on_return, cookie);
}

int bpf_link_perf_kprobe(int program_fd, const char *name, uint64_t cookie, bool on_return)
{
    struct perf_event_attr attributes = {.kprobe_func = (uintptr_t)name};
    return perf_link(program_fd, "kprobe", &attributes, on_return, cookie);
}

int bpf_link_tracing(int program_fd, uint64_t cookie, bool on_return)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .tracing.cookie = cookie);
    int fd =
        bpf_link_create(program_fd, 0, on_return ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY, &options);
    return fd >= 0 ? fd : -errno;
}

int bpf_link_raw_tracepoint(int program_fd, const char *name)
{
    int fd = bpf_raw_tracepoint_open(name, program_fd);
    return fd >= 0 ? fd : -errno;
}

int bpf_link_iterate(int program_fd)
{
    _cleanup_close_ int link_fd = bpf_link_create(program_fd, 0, BPF_TRACE_ITER, NULL);
    if (link_fd < 0)
        return -errno;
    int fd = bpf_iter_create(link_fd);
    return fd >= 0 ? fd : -errno;
}

uint64_t bpf_link_program_missed(int program_fd)
{
    struct bpf_prog_info info = {0};
    __u32 bytes = sizeof(info);
    return bpf_obj_get_info_by_fd(program_fd, &info, &bytes) ? 0 : info.recursion_misses;
}

bool bpf_link_is_program(int fd)
{
    static const char program[] = "anon_inode:bpf-prog";
    char path[32], what[sizeof(program)];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, what, sizeof(what)) == sizeof(program) - 1 &&
           memcmp(what, program, sizeof(program) - 1) == 0;
}
