/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/bpf_census.h"

#include <bpf/bpf.h>
#include <errno.h>

/* Newer than the installed headers (include/uapi/linux/bpf.h). */
#define LINK_TYPE_KPROBE_MULTI 8
#define LINK_TYPE_UPROBE_MULTI 12

static bool is_probing(uint32_t link_type)
{
    return link_type == BPF_LINK_TYPE_RAW_TRACEPOINT || link_type == BPF_LINK_TYPE_TRACING ||
           link_type == BPF_LINK_TYPE_PERF_EVENT || link_type == LINK_TYPE_KPROBE_MULTI ||
           link_type == LINK_TYPE_UPROBE_MULTI;
}

/* One that went meanwhile is none. */
static bool is_probing_link(uint32_t id)
{
    struct bpf_link_info info = {0};
    __u32 bytes = sizeof(info);
    _cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
    return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &bytes) && is_probing(info.type);
}

static int count_programs(struct bpf_census *census)
{
    for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
        if (++census->programs < BPF_CENSUS_MAX)
            continue;
        census->is_cut = true;
        return 0;
    }
    return errno == ENOENT ? 0 : -errno;
}

static int count_links(struct bpf_census *census)
{
    for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
        census->probing_links += is_probing_link(id);
        if (++census->links < BPF_CENSUS_MAX)
            continue;
        census->is_cut = true;
        return 0;
    }
    return errno == ENOENT ? 0 : -errno;
}

int bpf_census_take(struct bpf_census *ret_census)
{
    struct bpf_census census = {0};
    int error = count_programs(&census);
    if (!error)
        error = count_links(&census);
    if (!error)
        *ret_census = census;
    return error;
}
