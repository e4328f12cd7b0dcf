/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions: one program at both edges of a function, whose cookie holds the start time. */
#include "call.bpf.h"
#include "session_cookie.bpf.h"

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

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
#define kernel_cast(from, type) ((type *)bpf_rdonly_cast(from, bpf_core_type_id_kernel(type)))

#define RETURN_TRACED  0
#define RETURN_SKIPPED 1

/* The kernel follows this many nested return probes of a thread (MAX_URETPROBE_DEPTH). */
#define URETPROBE_DEPTH_MAX 64

struct session_edge {
    u32 probe;
    u64 cookie; /* 0: of an entry */
};

/*
 * Each call of a helper or kfunc costs 8 ns where the kernel makes returns safe, and the clock four
 * times that; all else here is lost in the noise. So what bpf_get_attach_cookie and
 * bpf_session_cookie answer is read where they read it, in the task's run context: 20 ns of 125.
 */
static __always_inline struct session_edge session_edge_now(struct pt_regs *ctx,
                                                            struct task_struct *task)
{
    if (!session_context_is_known())
        return (struct session_edge){bpf_get_attach_cookie(ctx), *session_cookie(ctx)};
    struct bpf_uprobe_multi_run_ctx *run =
        kernel_cast(task->bpf_ctx, struct bpf_uprobe_multi_run_ctx);
    struct return_consumer *own = kernel_cast(run->session_ctx.data, struct return_consumer);
    return (struct session_edge){run->uprobe->cookie, own->cookie};
}

static __always_inline void session_return(struct pt_regs *ctx, struct task_struct *task, u32 probe,
                                           u64 cookie)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct call_site site;
    if (!call_site_find(probe, &site))
        return;
    u32 weight = session_cookie_weight(cookie);
    u64 latency_ns = session_cookie_age_ns(cookie, now_ns);
    /* A child forked inside the call returns from it as well, but it never called. */
    if (now_ns - latency_ns < task->start_time) {
        ledger_add(site.ledger->inherited, weight);
        return;
    }
    call_record(&site, weight, task->tgid, task_start_tick(task), latency_ns, PT_REGS_RC(ctx));
}

/* The weight of a call that is to be timed and counted as entered, 0 when it is not. */
static __always_inline u32 session_enter(u32 probe, struct task_struct *task,
                                         struct call_site *ret_site)
{
    if (!call_admitted(probe, task, ret_site))
        return 0;
    u32 shift = ret_site->knobs->thin_shift;
    u32 weight = shift ? call_thin(ret_site->ledger, shift) : 1;
    if (weight)
        ledger_add(ret_site->ledger->entered, weight);
    return weight;
}

/* The kernel hands the entry a cookie of zero, and ours never is: no need to ask which edge it is
 * (89d1d8434d24, 6.13; tests/bpf checks it). */
SEC("kprobe")
int on_user_session(struct pt_regs *ctx)
{
    keep_task_stack();
    struct task_struct *task = bpf_get_current_task_btf();
    struct session_edge edge = session_edge_now(ctx, task);
    if (edge.cookie) {
        session_return(ctx, task, edge.probe, edge.cookie);
        return RETURN_TRACED;
    }
    struct call_site site;
    u32 weight = session_enter(edge.probe, task, &site);
    if (!weight)
        return RETURN_SKIPPED;
    struct uprobe_task *utask = task->utask;
    if (utask && utask->depth >= URETPROBE_DEPTH_MAX) {
        call_abandon(&site, &site.ledger->too_deep, weight);
        return RETURN_SKIPPED;
    }
    __u64 *cookie = session_cookie(ctx);
    *cookie = session_cookie_of(weight, bpf_ktime_get_ns());
    return RETURN_TRACED;
}

SEC("kprobe")
int on_kern_session(struct pt_regs *ctx)
{
    u32 probe = bpf_get_attach_cookie(ctx);
    __u64 *cookie = session_cookie(ctx);
    struct task_struct *task = bpf_get_current_task_btf();
    struct call_site site;
    if (session_is_return(ctx)) {
        u64 now_ns = bpf_ktime_get_ns();
        if (*cookie && call_site_find(probe, &site))
            call_record(&site, session_cookie_weight(*cookie), task->tgid, task_start_tick(task),
                        session_cookie_age_ns(*cookie, now_ns), PT_REGS_RC(ctx));
        return RETURN_TRACED;
    }
    u32 weight = session_enter(probe, task, &site);
    if (!weight)
        return RETURN_SKIPPED;
    *cookie = session_cookie_of(weight, bpf_ktime_get_ns());
    return RETURN_TRACED;
}
