/* SPDX-License-Identifier: GPL-2.0-or-later */
/* User functions where there is no session: entry and return probes, or entry and exit probes. */
#include "open_calls.bpf.h"

#include <bpf/bpf_tracing.h>

/*
 * The cookie is the probe. At entry the stack pointer is the address of the return address; after
 * the return it is one word above; at a return instruction it is the same again.
 */
static __always_inline int enter(struct pt_regs *ctx)
{
    keep_task_stack();
    open_calls_enter(&call_stacks, bpf_get_attach_cookie(ctx), PT_REGS_SP(ctx),
                     OPEN_CALL_USER | OPEN_CALL_STACK);
    return 0;
}

static __always_inline int leave(struct pt_regs *ctx, u64 frame)
{
    keep_task_stack();
    open_calls_return(&call_stacks, bpf_get_attach_cookie(ctx), frame, false, PT_REGS_RC(ctx));
    return 0;
}

SEC("uprobe")
int on_user_entry(struct pt_regs *ctx)
{
    return enter(ctx);
}

SEC("uretprobe")
int on_user_return(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx) - sizeof(long));
}

SEC("uprobe")
int on_user_exit(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx));
}

/* The same for uprobe.multi links; the agent sets their expected attach type. */
SEC("uprobe")
int on_umulti_entry(struct pt_regs *ctx)
{
    return enter(ctx);
}

SEC("uretprobe")
int on_umulti_ret(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx) - sizeof(long));
}

SEC("uprobe")
int on_umulti_exit(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx));
}

/*
 * Static marks bracket an operation of one thread. They need not lie in one function, so the
 * innermost open begin is meant; a begin in the same frame again has missed its end.
 */
static __always_inline int begin_mark(struct pt_regs *ctx)
{
    keep_task_stack();
    struct call_site site;
    struct task_struct *task = bpf_get_current_task_btf();
    if (!call_site_find(bpf_get_attach_cookie(ctx), &site))
        return 0;
    open_calls_drop_top(&mark_stacks, call_tag(&site), task, PT_REGS_SP(ctx));
    open_calls_enter(&mark_stacks, site.probe, PT_REGS_SP(ctx), OPEN_CALL_USER | OPEN_CALL_MARK);
    return 0;
}

static __always_inline int end_mark(struct pt_regs *ctx)
{
    keep_task_stack();
    open_calls_return(&mark_stacks, bpf_get_attach_cookie(ctx), 0, false, PT_REGS_RC(ctx));
    return 0;
}

SEC("uprobe")
int on_mark_begin(struct pt_regs *ctx)
{
    return begin_mark(ctx);
}

SEC("uprobe")
int on_mark_end(struct pt_regs *ctx)
{
    return end_mark(ctx);
}

SEC("uprobe")
int on_mmark_begin(struct pt_regs *ctx)
{
    return begin_mark(ctx);
}

SEC("uprobe")
int on_mmark_end(struct pt_regs *ctx)
{
    return end_mark(ctx);
}
