/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/tracepoint_group.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"

struct member {
    enum tracepoint_group_kind group;
    enum kernel_program program;
    const char *raw_name; /* NULL: a BTF tracepoint */
    bool optional;
};

/* Ends are attached before begins: what has no begin is passed over. */
static const struct member members[] = {
    {TRACEPOINTS_BLOCK_IO, KERNEL_REQUEST_COMPLETE, NULL, false},
    {TRACEPOINTS_BLOCK_IO, KERNEL_REQUEST_REQUEUE, NULL, false},
    {TRACEPOINTS_BLOCK_IO, KERNEL_REQUEST_ISSUE, NULL, false},
    {TRACEPOINTS_RUN_QUEUE, KERNEL_SWITCH, NULL, false},
    {TRACEPOINTS_RUN_QUEUE, KERNEL_WAKEUP, NULL, false},
    {TRACEPOINTS_RUN_QUEUE, KERNEL_WAKEUP_NEW, NULL, false},
    {TRACEPOINTS_SOFTIRQ, KERNEL_SOFTIRQ_EXIT, NULL, false},
    {TRACEPOINTS_SOFTIRQ, KERNEL_SOFTIRQ_ENTRY, NULL, false},
    {TRACEPOINTS_IRQ, KERNEL_IRQ_EXIT, NULL, false},
    {TRACEPOINTS_IRQ, KERNEL_IRQ_ENTRY, NULL, false},
    {TRACEPOINTS_SYSCALLS, KERNEL_SYSCALL_EXIT, "sys_exit", false},
    {TRACEPOINTS_SYSCALLS, KERNEL_SYSCALL_ENTRY, "sys_enter", false},
    {TRACEPOINTS_LIFE, KERNEL_PROCESS_EXIT, NULL, false},
    {TRACEPOINTS_LIFE, KERNEL_PROCESS_EXEC, NULL, false},
    {TRACEPOINTS_LIFE, KERNEL_PROCESS_RENAME, NULL, false},
    {TRACEPOINTS_LIFE, KERNEL_PROCESS_FORK, NULL, false},
    {TRACEPOINTS_LIFE, KERNEL_CGROUP_MKDIR, NULL, true},
    {TRACEPOINTS_LIFE, KERNEL_CGROUP_RMDIR, NULL, true},
    {TRACEPOINTS_LIFE, KERNEL_CGROUP_ATTACH, NULL, true},
};

static int attach_member(struct kernel_side *side, const struct member *member,
                         struct link_set *links, struct diag *reterr_diag)
{
    int program_fd = kernel_side_program(side, member->program, reterr_diag);
    if (program_fd < 0)
        return program_fd;
    int link_fd = bpf_link_raw_tracepoint(program_fd, member->raw_name);
    if (link_fd < 0)
        return diag_set(reterr_diag, -link_fd, "cannot attach to a tracepoint: %s",
                        strerror(-link_fd));
    return link_set_add(links, link_fd);
}

static int attach_members(struct tracepoint_group *group, struct kernel_side *side,
                          enum tracepoint_group_kind kind, struct diag *reterr_diag)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (members[i].group != kind)
            continue;
        int error = attach_member(side, &members[i], &group->links, reterr_diag);
        if (error && !members[i].optional) {
            link_set_cut(&group->links, 0);
            return error;
        }
    }
    return 0;
}

int tracepoint_groups_use(struct tracepoint_groups *groups, struct kernel_side *side,
                          enum tracepoint_group_kind kind, struct diag *reterr_diag)
{
    struct tracepoint_group *group = &groups->groups[kind];
    int error = group->users > 0 ? 0 : attach_members(group, side, kind, reterr_diag);
    if (!error)
        group->users++;
    return error;
}

int tracepoint_groups_pause(struct tracepoint_groups *groups, enum tracepoint_group_kind kind)
{
    struct tracepoint_group *group = &groups->groups[kind];
    if (group->users == 0)
        return -ENOENT;
    link_set_cut(&group->links, 0);
    group->paused = true;
    return 0;
}

int tracepoint_groups_resume(struct tracepoint_groups *groups, struct kernel_side *side,
                             enum tracepoint_group_kind kind, struct diag *reterr_diag)
{
    struct tracepoint_group *group = &groups->groups[kind];
    if (group->users == 0)
        return -ENOENT;
    int error = group->paused ? attach_members(group, side, kind, reterr_diag) : 0;
    if (!error)
        group->paused = false;
    return error;
}

void tracepoint_groups_leave(struct tracepoint_groups *groups, enum tracepoint_group_kind kind)
{
    struct tracepoint_group *group = &groups->groups[kind];
    assert(group->users > 0);
    if (--group->users > 0)
        return;
    link_set_cut(&group->links, 0);
    group->paused = false;
}

void tracepoint_groups_done(struct tracepoint_groups *groups)
{
    for (size_t i = 0; i < TRACEPOINT_GROUPS; i++)
        link_set_done(&groups->groups[i].links);
}
