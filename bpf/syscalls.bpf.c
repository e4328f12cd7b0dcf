/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Syscalls through the two raw tracepoints that all of them pass. */
#include "open_syscalls.bpf.h"

SEC("raw_tp/sys_enter")
int on_syscall_entry(struct bpf_raw_tracepoint_args *ctx)
{
    u32 number = ctx->args[1];
    u32 *probe_plus1 = bpf_map_lookup_elem(&syscall_probes, &number);
    if (!probe_plus1 || !*probe_plus1 || ctx->args[1] >> 32)
        return 0;
    struct task_struct *task = bpf_get_current_task_btf();
    if (task_in_compat_syscall(task))
        return 0;
    struct call_site site;
    if (call_enter(*probe_plus1 - 1, task, &site) && !open_syscall_begin(task, call_tag(&site)))
        call_abandon(&site, &site.ledger->no_storage, 1);
    return 0;
}

/* The number is taken from the entry: the registers may show another one after rt_sigreturn. */
SEC("raw_tp/sys_exit")
int on_syscall_exit(struct bpf_raw_tracepoint_args *ctx)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct task_struct *task = bpf_get_current_task_btf();
    struct call_site site;
    u32 tag;
    u64 start_ns;
    /* Before the thread's birth: of another one that had its id and whose end nobody saw. */
    if (open_syscall_end(task, &tag, &start_ns) && start_ns >= task->start_time &&
        call_site_find(tag_probe(tag), &site) && call_tag(&site) == tag)
        call_return(&site, task->tgid, task_start_tick(task), start_ns, now_ns, ctx->args[1]);
    return 0;
}
