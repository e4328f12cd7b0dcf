/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The open calls of sessions, read from the kernel's own list of return instances. */
#include "identity.bpf.h"
#include "session_cookie.bpf.h"

#define CONSUMERS_MAX 16 /* of one uprobe */
/* A thread has up to 64 return instances (MAX_URETPROBE_DEPTH), each with its consumers and one
 * step that finds no more. */
#define STEPS_MAX 256

/*
 * The probe of the uprobe's consumer with this id, when the consumer is ours; else NO_PROBE. A
 * function of its own, so that the verifier walks its loop once. Addresses come as numbers: they
 * are only ever read with bpf_probe_read_kernel.
 */
__weak __noinline u32 session_probe(u64 uprobe_address, u64 consumer_id)
{
    struct uprobe *uprobe = (struct uprobe *)uprobe_address;
    struct list_head *head = (void *)uprobe + bpf_core_field_offset(uprobe->consumers);
    struct list_head *at = BPF_CORE_READ(head, next);
    for (int i = 0; i < CONSUMERS_MAX && at != head && at; i++) {
        struct uprobe_consumer *consumer =
            (void *)at - bpf_core_field_offset(struct uprobe_consumer, cons_node);
        if (BPF_CORE_READ(consumer, id) == consumer_id) {
            struct bpf_uprobe *own =
                (void *)consumer - bpf_core_field_offset(struct bpf_uprobe, consumer);
            u32 program = BPF_CORE_READ(own, link, link.prog, aux, id);
            if (program != control_now().user_session_program)
                return NO_PROBE;
            return BPF_CORE_READ(own, cookie);
        }
        at = BPF_CORE_READ(at, next);
    }
    return NO_PROBE;
}

/*
 * The call that the instance holds for its index-th consumer: 0 and *ret_call filled, 1 when that
 * consumer is not ours, 2 when there are no more. A function of its own for the same reason.
 */
__weak __noinline int session_call(u64 instance_address, u32 index, u64 born_ns,
                                   struct loris_open_call *ret_call)
{
    struct return_instance *instance = (struct return_instance *)instance_address;
    struct return_consumer consumer = {};
    if (!ret_call || (s64)index >= BPF_CORE_READ(instance, cons_cnt))
        return 2;
    if (index == 0) {
        consumer.cookie = BPF_CORE_READ(instance, consumer.cookie);
        consumer.id = BPF_CORE_READ(instance, consumer.id);
    } else {
        struct return_consumer *extra = BPF_CORE_READ(instance, extra_consumers);
        bpf_probe_read_kernel(&consumer, sizeof(consumer),
                              (void *)extra + (index - 1) * bpf_core_type_size(*extra));
    }
    /* A start time before the task's birth was inherited over a fork. */
    struct uprobe *uprobe = BPF_CORE_READ(instance, hprobe.uprobe);
    u64 now_ns = bpf_ktime_get_ns();
    u64 start_ns = now_ns - session_cookie_age_ns(consumer.cookie, now_ns);
    if (!uprobe || !consumer.cookie || start_ns < born_ns)
        return 1;
    u32 probe = session_probe((u64)uprobe, consumer.id);
    ret_call->probe = probe;
    ret_call->weight = session_cookie_weight(consumer.cookie);
    ret_call->start_ns = start_ns;
    return probe == NO_PROBE;
}

/* Where the walk over a thread's calls is. */
struct session_walk {
    u64 instance; /* address of a return instance, 0 at the end */
    u64 stack_pointer;
    u64 born_ns;
    u32 index; /* of the instance's consumers */
    u32 reserved;
};

/*
 * One step to the next consumer, or from the last one to the next instance. Returns how many bytes
 * of *ret_call are to be written, none when the step found no call of ours; -1 at the end.
 */
__weak __noinline int session_step(struct session_walk *walk, struct loris_open_call *ret_call)
{
    if (!walk || !ret_call || !walk->instance)
        return -1;
    struct return_instance *instance = (struct return_instance *)walk->instance;
    /* Frames below the stack pointer at the last entry into the kernel were jumped over. */
    int outcome = 2;
    if (BPF_CORE_READ(instance, stack) >= walk->stack_pointer)
        outcome = session_call(walk->instance, walk->index++, walk->born_ns, ret_call);
    if (outcome == 2) {
        walk->index = 0;
        walk->instance = (u64)BPF_CORE_READ(instance, next);
    }
    return outcome == 0 ? sizeof(*ret_call) : 0;
}

SEC("iter/task")
int on_each_session(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    if (!task || !task->utask)
        return 0;
    struct loris_open_call call = {
        .pid = task->tgid, .tid = task->pid, .start_tick = task_start_tick(task)};
    struct session_walk walk = {
        .instance = (u64)BPF_CORE_READ(task, utask, return_instances),
        .stack_pointer = ((struct pt_regs *)bpf_task_pt_regs(task))->sp,
        .born_ns = task->start_time,
    };
    struct seq_file *seq = ctx->meta->seq;
    for (int i = 0; i < STEPS_MAX; i++) {
        u32 bytes = session_step(&walk, &call);
        if (bytes > sizeof(call))
            break;
        bpf_seq_write(seq, &call, bytes);
    }
    return 0;
}
