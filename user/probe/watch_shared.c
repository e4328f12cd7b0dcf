/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches syscalls and spans: they share programs and are switched by tables in the kernel. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "probe/probe_set_internal.h"
#include "probe/span_names.h"
#include "probe/syscall_names.h"

static const struct {
    const char *name;
    enum loris_span span;
} span_slots[] = {
    {"block-io", LORIS_SPAN_BLOCK_IO},
    {"run-queue", LORIS_SPAN_RUN_QUEUE},
    {"softirq", LORIS_SPAN_SOFTIRQ},
    {"irq", LORIS_SPAN_IRQ},
};

static int set_slot(struct kernel_side *side, enum kernel_map map, uint32_t slot, uint32_t value)
{
    return bpf_map_update_elem(kernel_side_map(side, map), &slot, &value, BPF_ANY) ? -errno : 0;
}

struct matching {
    struct probe_set *set;
    struct watch *watch;
    struct attach_report *report;
    struct diag *reterr_diag;
    enum kernel_map map;
    enum attach_kind kind;
    int error;
};

/* Makes the probe and enters it into its slot; what another target has is passed over. */
static void add_slot(struct matching *matching, const char *name, uint32_t slot)
{
    uint32_t id;
    struct diag diag = {0};
    if (matching->error)
        return;
    int error = probe_set_make(matching->set, matching->watch, name, "", &id, &diag);
    if (error == -EEXIST) {
        attach_report_add(matching->report, "%s", diag.what);
        return;
    }
    if (!error)
        error = set_slot(matching->set->side, matching->map, slot, id + 1);
    if (error) {
        matching->error = error;
        if (diag.what[0])
            *matching->reterr_diag = diag;
        else
            diag_set(matching->reterr_diag, -error, "cannot watch %s: %s", name, strerror(-error));
        return;
    }
    const struct attach_place place = {.probe = id};
    probe_set_placed(matching->set, &place, matching->kind);
}

static void on_syscall(const char *name, int number, void *context)
{
    char probe_name[TARGET_TEXT_MAX];
    if (number < 0 || number >= LORIS_SYSCALLS_MAX)
        return;
    snprintf(probe_name, sizeof(probe_name), "syscall:%s", name);
    add_slot(context, probe_name, (uint32_t)number);
}

static int use_group(struct matching *matching, enum tracepoint_group_kind group)
{
    int error = tracepoint_groups_use(&matching->set->tracepoints, matching->set->side, group,
                                      matching->reterr_diag);
    if (error)
        return error;
    matching->watch->groups |= 1u << group;
    return 0;
}

static int refuse_other_kinds(const struct matching *matching)
{
    enum attach_kind wanted = matching->watch->request.attach;
    if (wanted == ATTACH_AUTO || wanted == matching->kind)
        return 0;
    return diag_set(matching->reterr_diag, EOPNOTSUPP,
                    "%s cannot be attached through %s, only through %s",
                    matching->watch->request.target.text, attach_kind_name(wanted),
                    attach_kind_name(matching->kind));
}

int watch_attach_syscalls(struct probe_set *set, struct watch *watch, struct attach_report *report,
                          struct diag *reterr_diag)
{
    const char *name = watch->request.target.name;
    struct matching matching = {
        set, watch, report, reterr_diag, KERNEL_MAP_SYSCALL_PROBES, ATTACH_RAW_TRACEPOINT, 0};
    int error = refuse_other_kinds(&matching);
    if (error)
        return error;
    if (syscall_names_match(name, on_syscall, &matching) == 0) {
        diag_set(reterr_diag, ENOENT, "no syscall '%s' on this machine", name);
        syscall_names_suggest(name, reterr_diag);
        return -ENOENT;
    }
    return matching.error ? matching.error : use_group(&matching, TRACEPOINTS_SYSCALLS);
}

static void on_span(const struct span_name *span, void *context)
{
    struct matching *matching = context;
    char probe_name[TARGET_TEXT_MAX];
    for (size_t i = 0; i < sizeof(span_slots) / sizeof(span_slots[0]); i++) {
        if (matching->error || strcmp(span_slots[i].name, span->name) != 0)
            continue;
        snprintf(probe_name, sizeof(probe_name), "span:%s", span->name);
        add_slot(matching, probe_name, span_slots[i].span);
        if (!matching->error)
            matching->error = use_group(matching, (enum tracepoint_group_kind)span_slots[i].span);
    }
}

int watch_attach_span(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag)
{
    const char *name = watch->request.target.name;
    struct matching matching = {
        set, watch, report, reterr_diag, KERNEL_MAP_SPAN_PROBES, ATTACH_TRACEPOINTS, 0};
    int error = refuse_other_kinds(&matching);
    if (error)
        return error;
    if (span_names_match(name, on_span, &matching) > 0)
        return matching.error;
    diag_set(reterr_diag, ENOENT, "no span '%s'", name);
    span_names_suggest(name, reterr_diag);
    return -ENOENT;
}

enum tracepoint_group_kind watch_group_of(const struct probe *probe)
{
    if (probe->kind == TARGET_SYSCALL)
        return TRACEPOINTS_SYSCALLS;
    const char *name = strchr(probe->name, ':') + 1;
    for (size_t i = 0; i < sizeof(span_slots) / sizeof(span_slots[0]); i++)
        if (probe->kind == TARGET_SPAN && strcmp(span_slots[i].name, name) == 0)
            return (enum tracepoint_group_kind)span_slots[i].span;
    return TRACEPOINT_GROUPS;
}

/* An interrupt that is being handled on some CPU is not the next probe's. */
static void clear_interrupt(struct kernel_side *side, uint32_t span)
{
    _cleanup_free_ uint64_t *never = calloc(kernel_side_cpus(side), sizeof(*never));
    if (never)
        (void)bpf_map_update_elem(kernel_side_map(side, KERNEL_MAP_INTERRUPT_OPEN), &span, never,
                                  BPF_ANY);
}

void watch_clear_tables(struct kernel_side *side, const struct probe *probe)
{
    const char *name = strchr(probe->name, ':') + 1;
    if (probe->kind == TARGET_SYSCALL) {
        int number = syscall_names_find(name);
        if (number >= 0)
            (void)!set_slot(side, KERNEL_MAP_SYSCALL_PROBES, (uint32_t)number, 0);
        return;
    }
    for (size_t i = 0; i < sizeof(span_slots) / sizeof(span_slots[0]); i++) {
        if (probe->kind != TARGET_SPAN || strcmp(span_slots[i].name, name) != 0)
            continue;
        (void)!set_slot(side, KERNEL_MAP_SPAN_PROBES, span_slots[i].span, 0);
        clear_interrupt(side, span_slots[i].span);
    }
}
