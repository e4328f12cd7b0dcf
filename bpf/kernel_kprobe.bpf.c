/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel functions through kprobe and kretprobe, one by one or as multi links. */
#include "open_calls.bpf.h"

#include <bpf/bpf_tracing.h>

/* A return probe sees no dependable stack pointer on all kernels; calls of one thread nest. */
SEC("kprobe")
int on_kprobe_entry(struct pt_regs *ctx)
{
    open_calls_enter(&call_stacks, bpf_get_attach_cookie(ctx), PT_REGS_SP(ctx), OPEN_CALL_KERNEL);
    return 0;
}

SEC("kretprobe")
int on_kprobe_ret(struct pt_regs *ctx)
{
    open_calls_return(&call_stacks, bpf_get_attach_cookie(ctx), 0, false, PT_REGS_RC(ctx));
    return 0;
}

SEC("kprobe")
int on_kmulti_entry(struct pt_regs *ctx)
{
    open_calls_enter(&call_stacks, bpf_get_attach_cookie(ctx), PT_REGS_SP(ctx), OPEN_CALL_KERNEL);
    return 0;
}

SEC("kretprobe")
int on_kmulti_ret(struct pt_regs *ctx)
{
    open_calls_return(&call_stacks, bpf_get_attach_cookie(ctx), 0, false, PT_REGS_RC(ctx));
    return 0;
}
