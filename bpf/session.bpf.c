/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions: one program at both edges of a function, whose cookie holds the start time. */
#include "call.bpf.h"

#include <bpf/bpf_tracing.h>

/*
 * These are an object of their own, because libbpf refuses an object whose kfuncs have other
 * arguments than the kernel's: since the kernel's session kfuncs take the context, it is compiled
 * a second time with LORIS_SESSION_CTX.
 */
#ifdef LORIS_SESSION_CTX
extern bool bpf_session_is_return(void *ctx) __ksym __weak;
extern __u64 *bpf_session_cookie(void *ctx) __ksym __weak;
#define session_is_return(ctx) bpf_session_is_return(ctx)
#define session_cookie(ctx)    bpf_session_cookie(ctx)
#else
extern bool bpf_session_is_return(void) __ksym __weak;
extern __u64 *bpf_session_cookie(void) __ksym __weak;
#define session_is_return(ctx) bpf_session_is_return()
#define session_cookie(ctx)    bpf_session_cookie()
#endif

#define RETURN_TRACED  0
#define RETURN_SKIPPED 1

/* The kernel follows this many nested return probes of a thread (MAX_URETPROBE_DEPTH). */
#define URETPROBE_DEPTH_MAX 64

static __always_inline void session_return(struct pt_regs *ctx, u32 probe, u64 start_ns)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct task_struct *task = bpf_get_current_task_btf();
    struct loris_ledger *ledger = ledger_of(probe);
    if (!ledger || !start_ns)
        return;
    /* A child forked inside the call returns from it as well, but it never called. */
    if (start_ns < task->start_time) {
        ledger_add(ledger->inherited, 1);
        return;
    }
    call_return_current(probe, ledger, start_ns, now_ns, PT_REGS_RC(ctx));
}

SEC("kprobe")
int on_user_session(struct pt_regs *ctx)
{
    u32 probe = bpf_get_attach_cookie(ctx);
    __u64 *start_ns = session_cookie(ctx);
    if (session_is_return(ctx)) {
        session_return(ctx, probe, *start_ns);
        return RETURN_TRACED;
    }
    struct task_struct *task = bpf_get_current_task_btf();
    struct loris_ledger *ledger = call_enter(probe, task);
    if (!ledger)
        return RETURN_SKIPPED;
    struct uprobe_task *utask = task->utask;
    if (utask && utask->depth >= URETPROBE_DEPTH_MAX) {
        ledger_add(ledger->too_deep, 1);
        ledger_add(ledger->abandoned, 1);
        return RETURN_SKIPPED;
    }
    *start_ns = bpf_ktime_get_ns();
    return RETURN_TRACED;
}

SEC("kprobe")
int on_kern_session(struct pt_regs *ctx)
{
    u32 probe = bpf_get_attach_cookie(ctx);
    __u64 *start_ns = session_cookie(ctx);
    if (session_is_return(ctx)) {
        u64 now_ns = bpf_ktime_get_ns();
        struct loris_ledger *ledger = ledger_of(probe);
        if (ledger && *start_ns)
            call_return_current(probe, ledger, *start_ns, now_ns, PT_REGS_RC(ctx));
        return RETURN_TRACED;
    }
    struct loris_ledger *ledger = call_enter(probe, bpf_get_current_task_btf());
    if (!ledger)
        return RETURN_SKIPPED;
    *start_ns = bpf_ktime_get_ns();
    return RETURN_TRACED;
}
