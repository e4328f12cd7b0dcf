/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel functions through fentry and fexit; the agent loads a copy of both for each function. */
#include "open_calls.bpf.h"

/*
 * Both programs of a function run in one invocation of its trampoline, so the address of their
 * context names the activation, even when one of the two edges is missed.
 */
SEC("fentry/vfs_read")
int on_kernel_fentry(u64 *ctx)
{
    open_calls_enter(&call_stacks, bpf_get_attach_cookie(ctx), (u64)ctx, 0);
    return 0;
}

SEC("fexit/vfs_read")
int on_kernel_fexit(u64 *ctx)
{
    u64 value = 0;
    bpf_get_func_ret(ctx, &value);
    open_calls_return(&call_stacks, bpf_get_attach_cookie(ctx), (u64)ctx, true, value);
    return 0;
}
