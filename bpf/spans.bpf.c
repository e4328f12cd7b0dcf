/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Built-in spans: pairs of tracepoints that bracket a wait or a piece of kernel work. */
#include "call.bpf.h"
#include "open_slot.bpf.h"

static __always_inline bool span_probe(u32 span, u32 *ret_probe)
{
    u32 *probe_plus1 = bpf_map_lookup_elem(&span_probes, &span);
    if (!probe_plus1 || !*probe_plus1)
        return false;
    *ret_probe = *probe_plus1 - 1;
    return true;
}

static __always_inline void wait_begin(void *waits, u64 key, u32 probe, struct task_struct *task)
{
    struct call_site site;
    if (!call_enter(probe, task, &site))
        return;
    struct open_wait wait = {
        .start_ns = bpf_ktime_get_ns(),
        .pid = task->tgid,
        .start_tick = task_start_tick(task),
        .tag = call_tag(&site),
    };
    const struct open_wait *unended = bpf_map_lookup_elem(waits, &key);
    if (unended && unended->tag == wait.tag)
        ledger_add(site.ledger->abandoned, 1);
    if (bpf_map_update_elem(waits, &key, &wait, BPF_ANY))
        call_abandon(&site, &site.ledger->no_storage, 1);
}

static __always_inline void wait_end(void *waits, u64 key, u32 probe, s64 value)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct open_wait *found = bpf_map_lookup_elem(waits, &key);
    if (!found)
        return;
    struct open_wait wait = *found;
    struct call_site site;
    bool current = call_site_find(probe, &site) && call_tag(&site) == wait.tag;
    if (!bpf_map_delete_elem(waits, &key) && current)
        call_return(&site, wait.pid, wait.start_tick, wait.start_ns, now_ns, value);
}

/* --- block-io: from the request's issue to the device until its completion ------------------- */

SEC("tp_btf/block_rq_issue")
int on_request_issue(u64 *ctx)
{
    u32 probe;
    if (span_probe(LORIS_SPAN_BLOCK_IO, &probe))
        wait_begin(&request_open, ctx[0], probe, bpf_get_current_task_btf());
    return 0;
}

/* A requeued request is issued again: the time until then is not the device's. */
SEC("tp_btf/block_rq_requeue")
int on_request_requeue(u64 *ctx)
{
    u32 probe;
    u64 key = ctx[0];
    const struct open_wait *found = bpf_map_lookup_elem(&request_open, &key);
    if (!found || !span_probe(LORIS_SPAN_BLOCK_IO, &probe))
        return 0;
    struct call_site site;
    bool current = call_site_find(probe, &site) && call_tag(&site) == found->tag;
    if (!bpf_map_delete_elem(&request_open, &key) && current)
        ledger_add(site.ledger->abandoned, 1);
    return 0;
}

/* A request may be completed in parts: the last one ends it, and so does an error. */
SEC("tp_btf/block_rq_complete")
int on_request_complete(u64 *ctx)
{
    u32 probe;
    const struct request *request = (const struct request *)ctx[0];
    bool failed = (u8)ctx[1];
    if (!failed && (u32)ctx[2] < request->__data_len)
        return 0;
    if (span_probe(LORIS_SPAN_BLOCK_IO, &probe))
        wait_end(&request_open, ctx[0], probe, failed ? -1 : 0);
    return 0;
}

/* --- run-queue: from being runnable until running ---------------------------------------------
 * What a slot has no room for goes to a preallocated hash: these run under the run queue's lock,
 * where nothing may be allocated. Both edges of a task run under that lock, so they do not race. */

static __always_inline bool runqueue_waits(const struct open_slot *slot, u64 tid)
{
    if (open_slot_is_of(slot, tid))
        return tag_is_current(slot->tag);
    const struct open_wait *wait = slot->spilled ? bpf_map_lookup_elem(&runqueue_open, &tid) : NULL;
    return wait && tag_is_current(wait->tag);
}

static __always_inline void enqueue(struct task_struct *task)
{
    u32 probe;
    u64 tid = (u32)task->pid;
    if (!tid || !span_probe(LORIS_SPAN_RUN_QUEUE, &probe))
        return;
    struct open_slot *slot = open_slot_of(&runqueue_slots, tid);
    struct call_site site;
    bool again;
    if (!slot || runqueue_waits(slot, tid) || !call_enter(probe, task, &site))
        return;
    if (open_slot_take(slot, tid, &again)) {
        slot->tag = call_tag(&site);
        slot->start_ns = bpf_ktime_get_ns();
        return;
    }
    const struct open_wait wait = {.start_ns = bpf_ktime_get_ns(), .tag = call_tag(&site)};
    if (!bpf_map_update_elem(&runqueue_open, &tid, &wait, BPF_NOEXIST))
        __sync_fetch_and_add(&slot->spilled, 1);
    else if (bpf_map_update_elem(&runqueue_open, &tid, &wait, BPF_EXIST))
        call_abandon(&site, &site.ledger->no_storage, 1);
}

static __always_inline void dequeue(struct task_struct *task)
{
    u64 now_ns = bpf_ktime_get_ns();
    u64 tid = (u32)task->pid;
    struct open_slot *slot = open_slot_of(&runqueue_slots, tid);
    if (!tid || !slot)
        return;
    u32 tag = slot->tag;
    u64 start_ns = slot->start_ns;
    if (open_slot_is_of(slot, tid)) {
        open_slot_give_back(slot);
    } else {
        const struct open_wait *wait =
            slot->spilled ? bpf_map_lookup_elem(&runqueue_open, &tid) : NULL;
        if (!wait)
            return;
        tag = wait->tag;
        start_ns = wait->start_ns;
        if (bpf_map_delete_elem(&runqueue_open, &tid))
            return;
        __sync_fetch_and_add(&slot->spilled, -1);
    }
    struct call_site site;
    if (call_site_find(tag_probe(tag), &site) && call_tag(&site) == tag)
        call_return(&site, task->tgid, task_start_tick(task), start_ns, now_ns, 0);
}

/* A task that is woken before it left the CPU does not wait for one. */
static __always_inline int wake(struct task_struct *task)
{
    if (!task_is_on_cpu(task))
        enqueue(task);
    return 0;
}

SEC("tp_btf/sched_wakeup")
int on_wakeup(u64 *ctx)
{
    return wake((struct task_struct *)ctx[0]);
}

SEC("tp_btf/sched_wakeup_new")
int on_wakeup_new(u64 *ctx)
{
    return wake((struct task_struct *)ctx[0]);
}

SEC("tp_btf/sched_switch")
int on_switch(u64 *ctx)
{
    struct task_struct *previous = (struct task_struct *)ctx[1];
    struct task_struct *next = (struct task_struct *)ctx[2];
    bool preempted = ctx[0];
    if (preempted || task_is_runnable(previous))
        enqueue(previous);
    dequeue(next);
    return 0;
}

/* --- softirq and irq: neither nests on its own CPU; they belong to no process ----------------- */

static __always_inline int interrupt_begin(u32 span)
{
    u32 probe;
    struct open_interrupt *open = bpf_map_lookup_elem(&interrupt_open, &span);
    struct call_site site;
    if (!open || !span_probe(span, &probe) || !call_enter(probe, bpf_get_current_task_btf(), &site))
        return 0;
    u32 tag = call_tag(&site);
    if (open->start_ns && open->tag == tag)
        ledger_add(site.ledger->abandoned, 1);
    open->tag = tag;
    open->start_ns = bpf_ktime_get_ns();
    return 0;
}

static __always_inline int interrupt_end(u32 span)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct open_interrupt *open = bpf_map_lookup_elem(&interrupt_open, &span);
    struct call_site site;
    if (!open || !open->start_ns)
        return 0;
    u64 start_ns = open->start_ns;
    open->start_ns = 0;
    if (call_site_find(tag_probe(open->tag), &site) && call_tag(&site) == open->tag)
        call_return(&site, 0, 0, start_ns, now_ns, 0);
    return 0;
}

SEC("tp_btf/softirq_entry")
int on_softirq_entry(u64 *ctx)
{
    return interrupt_begin(LORIS_SPAN_SOFTIRQ);
}

SEC("tp_btf/softirq_exit")
int on_softirq_exit(u64 *ctx)
{
    return interrupt_end(LORIS_SPAN_SOFTIRQ);
}

SEC("tp_btf/irq_handler_entry")
int on_irq_entry(u64 *ctx)
{
    return interrupt_begin(LORIS_SPAN_IRQ);
}

SEC("tp_btf/irq_handler_exit")
int on_irq_exit(u64 *ctx)
{
    return interrupt_end(LORIS_SPAN_IRQ);
}
