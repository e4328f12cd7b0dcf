/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_heap.h"

#include <errno.h>

#include "agent/heap.h"
#include "base/glob.h"
#include "base/hash.h"

static struct heap_key group_of(struct agent *agent, const struct alert_rule *rule,
                                struct heap_key key)
{
    if (rule->by == ALERT_BY_PROCESS)
        return key;
    struct heap_key group = {.target = key.target, .level = HEAP_ALL};
    if (rule->by == ALERT_BY_UNIT) {
        group.level = HEAP_UNIT;
        group.who = heap_unit_of(agent, (uint32_t)(key.who >> 32), (uint32_t)key.who);
    }
    return group;
}

/* By none, a target has its row even when nobody holds anything. */
static int add_targets(struct agent *agent, const struct alert_rule *rule,
                       struct heap_table *groups)
{
    for (unsigned slot = 0; rule->by == ALERT_BY_NONE && slot < LORIS_HEAP_TARGETS_MAX; slot++) {
        const struct heap_target *target = &agent->heap->targets[slot];
        const struct heap_key key = {.target = target->id, .level = HEAP_ALL};
        if (target->id && glob_matches(rule->probe, target->request.target.text) &&
            !heap_table_get(groups, key))
            return -ENOMEM;
    }
    return 0;
}

/* Those of the living: ended processes hold nothing. */
static int gather(struct agent *agent, const struct alert_rule *rule, struct heap_table *groups)
{
    const struct config *config = agent->config;
    uint64_t window_ns =
        rule->window_ns ? rule->window_ns : config->window_slices * config->window_slice_ns;
    uint64_t now_ns = agent_now_ns();
    for (size_t i = 0; i < heap_table_count(agent->heap->live); i++) {
        const struct heap_group *from = heap_table_at(agent->heap->live, i);
        const struct heap_target *target = heap_target_find(agent->heap, from->key.target);
        if (!target || !glob_matches(rule->probe, target->request.target.text))
            continue;
        struct heap_group *into = heap_table_get(groups, group_of(agent, rule, from->key));
        if (!into)
            return -ENOMEM;
        heap_counts_add(&into->counts, &from->counts, true);
        into->growth_bytes_per_s +=
            heap_growth_per_s(&from->growth, from->counts.live_bytes, now_ns, window_ns);
    }
    return 0;
}

static struct alert_subject subject_of(struct agent *agent, const struct heap_group *group)
{
    const struct heap_target *target = heap_target_find(agent->heap, group->key.target);
    struct alert_subject subject = {.probe = target->request.target.text};
    if (group->key.level == HEAP_UNIT) {
        subject.whom = ALERT_OF_UNIT;
        subject.unit = process_table_unit(agent->processes, (uint32_t)group->key.who);
    } else if (group->key.level == HEAP_PROCESS) {
        const struct process_id id = {(uint32_t)(group->key.who >> 32), (uint32_t)group->key.who};
        const struct process *process = process_table_find(agent->processes, id);
        subject.whom = ALERT_OF_PROCESS;
        subject.pid = id.pid;
        subject.start_tick = id.start_tick;
        subject.comm = process ? process_table_comm(agent->processes, process->comm_id) : NULL;
        subject.unit = process ? process_table_unit(agent->processes, process->unit_id) : NULL;
    }
    return subject;
}

/* What shrinks grows by nothing. */
static double value_of(const struct alert_rule *rule, const struct heap_group *group)
{
    double value = rule->metric == ALERT_LIVE_BYTES   ? (double)group->counts.live_bytes
                   : rule->metric == ALERT_LIVE_COUNT ? (double)group->counts.live_count
                                                      : group->growth_bytes_per_s;
    return value > 0 ? value : 0;
}

int alert_heap_observe(struct agent *agent, const struct alert_rule *rule, struct alert_book *book,
                       size_t index)
{
    if (!agent->heap || !agent->heap->live)
        return 0;
    _cleanup_(heap_table_free_cleanup) struct heap_table *groups = NULL;
    size_t live = heap_table_count(agent->heap->live);
    int error = heap_table_new((uint32_t)live + LORIS_HEAP_TARGETS_MAX, hash_seed(), &groups);
    if (!error)
        error = add_targets(agent, rule, groups);
    if (!error)
        error = gather(agent, rule, groups);
    for (size_t i = 0; !error && i < heap_table_count(groups); i++) {
        const struct heap_group *group = heap_table_at(groups, i);
        const struct alert_subject subject = subject_of(agent, group);
        alert_book_observe(book, index, &subject, true, value_of(rule, group),
                           heap_counts_calls(&group->counts));
    }
    return error;
}
