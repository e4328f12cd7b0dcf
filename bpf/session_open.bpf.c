/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The open calls of sessions, read from the kernel's own list of return instances. */
#include "identity.bpf.h"

#define CONSUMERS_MAX 16
#define EXTRA_CONSUMERS_MAX 8
#define INSTANCES_MAX 64

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

struct open_writer {
    struct loris_open_call out;
    struct seq_file *seq;
    u64 born_ns;
};

static __always_inline void write_consumer(struct open_writer *writer, struct uprobe *uprobe,
                                           u64 cookie, u64 id)
{
    /* A start time before the task's birth was inherited over a fork. */
    if (!cookie || cookie < writer->born_ns)
        return;
    writer->out.probe = session_probe((u64)uprobe, id);
    if (writer->out.probe == NO_PROBE)
        return;
    writer->out.start_ns = cookie;
    bpf_seq_write(writer->seq, &writer->out, sizeof(writer->out));
}

SEC("iter/task")
int on_each_session(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    if (!task || !task->utask)
        return 0;
    struct open_writer writer = {.seq = ctx->meta->seq, .born_ns = task->start_time};
    writer.out.pid = task->tgid;
    writer.out.tid = task->pid;
    writer.out.start_tick = task_start_tick(task);
    /* Frames below the stack pointer at the last entry into the kernel were jumped over. */
    struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
    u64 stack_pointer = regs->sp;

    struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);
    for (int i = 0; i < INSTANCES_MAX && instance; i++) {
        struct uprobe *uprobe = BPF_CORE_READ(instance, hprobe.uprobe);
        u64 frame = BPF_CORE_READ(instance, stack);
        if (uprobe && frame >= stack_pointer) {
            int count = BPF_CORE_READ(instance, cons_cnt);
            if (count > 0)
                write_consumer(&writer, uprobe, BPF_CORE_READ(instance, consumer.cookie),
                               BPF_CORE_READ(instance, consumer.id));
            struct return_consumer *extra = BPF_CORE_READ(instance, extra_consumers);
            for (int k = 0; k < EXTRA_CONSUMERS_MAX && k < count - 1 && extra; k++) {
                struct return_consumer one = {};
                bpf_core_read(&one, sizeof(one), &extra[k]);
                write_consumer(&writer, uprobe, one.cookie, one.id);
            }
        }
        instance = BPF_CORE_READ(instance, next);
    }
    return 0;
}
