/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Syscalls through the two raw tracepoints that all of them pass. */
#include "call.bpf.h"

/* A thread is in one syscall at a time, so one slot is its whole stack. */
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
    u32 probe = *probe_plus1 - 1;
    struct loris_ledger *ledger = call_enter(probe, task);
    if (!ledger)
        return 0;
    struct open_syscall *open =
        bpf_task_storage_get(&syscall_open, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!open) {
        ledger_add(ledger->no_storage, 1);
        ledger_add(ledger->abandoned, 1);
        return 0;
    }
    if (open->is_open && tag_is_current(open->tag)) {
        struct loris_ledger *skipped = ledger_of(tag_probe(open->tag));
        if (skipped)
            ledger_add(skipped->abandoned, 1);
    }
    if (!open->is_counted) {
        struct loris_rare_ledger *rare = rare_ledger_here();
        open->is_counted = 1;
        if (rare)
            ledger_add(rare->slots_made, 1);
    }
    open->tag = tag_now(probe);
    open->is_open = 1;
    open->start_ns = bpf_ktime_get_ns();
    return 0;
}

/* The number is taken from the entry: the registers may show another one after rt_sigreturn. */
SEC("raw_tp/sys_exit")
int on_syscall_exit(struct bpf_raw_tracepoint_args *ctx)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct task_struct *task = bpf_get_current_task_btf();
    struct open_syscall *open = bpf_task_storage_get(&syscall_open, task, NULL, 0);
    if (!open || !open->is_open)
        return 0;
    u32 probe = tag_probe(open->tag);
    open->is_open = 0;
    struct loris_ledger *ledger = tag_is_current(open->tag) ? ledger_of(probe) : NULL;
    if (ledger)
        call_return_current(probe, ledger, open->start_ns, now_ns, ctx->args[1]);
    return 0;
}
