/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What no tool can be cheaper than: programs that do nothing, or only read the clock. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

extern bool bpf_session_is_return(void) __ksym __weak;
extern __u64 *bpf_session_cookie(void) __ksym __weak;

__u64 last_ns;

/* A session: both edges, through one link. */
SEC("kprobe")
int on_session(void *ctx)
{
    return 0;
}

/* A session whose entry does not want the return. */
SEC("kprobe")
int on_session_skip(void *ctx)
{
    return 1;
}

/* A session that measures, and throws away what it measured. */
SEC("kprobe")
int on_session_clock(void *ctx)
{
    __u64 *start_ns = bpf_session_cookie();
    if (bpf_session_is_return())
        last_ns = bpf_ktime_get_ns() - *start_ns;
    else
        *start_ns = bpf_ktime_get_ns();
    return 0;
}

SEC("kprobe")
int on_pair(void *ctx)
{
    return 0;
}

SEC("raw_tp/sys_enter")
int on_syscall(void *ctx)
{
    return 0;
}

SEC("raw_tp/sys_enter")
int on_syscall_clock(void *ctx)
{
    last_ns = bpf_ktime_get_ns();
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
