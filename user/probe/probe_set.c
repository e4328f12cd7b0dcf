/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/probe_set.h"

#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"
#include "probe/probe_set_internal.h"

static void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch_let_go(watch);
    free(watch->probes);
    free(watch->path);
    free(watch);
}
DEFINE_CLEANUP(struct watch *, watch_free);

int probe_set_new(struct kernel_side *side, uint64_t hash_seed, probe_admit_fn on_admit,
                  void *context, struct probe_set **ret_set)
{
    _cleanup_(probe_set_free_cleanup) struct probe_set *set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    set->side = side;
    set->on_admit = on_admit;
    set->context = context;
    set->hash_seed = hash_seed;
    set->capacity = kernel_side_config(side)->probes_max;
    uint32_t slots = 4;
    while (slots < 2 * set->capacity)
        slots *= 2;
    set->name_mask = slots - 1;
    set->entries = calloc(set->capacity, sizeof(*set->entries));
    set->name_index = calloc(slots, sizeof(*set->name_index));
    set->generations = calloc(set->capacity, sizeof(*set->generations));
    set->held = calloc(set->capacity, sizeof(*set->held));
    if (!set->entries || !set->name_index || !set->generations || !set->held)
        return -ENOMEM;
    *ret_set = take_ptr(set);
    return 0;
}

void probe_set_free(struct probe_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->watches_count; i++)
        watch_free(set->watches[i]);
    for (uint32_t id = 0; set->entries && id < set->capacity; id++)
        probe_entry_free(set->entries[id]);
    tracepoint_groups_done(&set->tracepoints);
    free(set->watches);
    free(set->entries);
    free(set->name_index);
    free(set->generations);
    probe_set_forget_held(set);
    free(set);
}

void probe_set_on_enable(struct probe_set *set, probe_enable_fn on_enable, void *context)
{
    set->on_enable = on_enable;
    set->enable_context = context;
}

struct attach_trials *probe_set_trials(struct probe_set *set)
{
    return &set->trials;
}

bool probe_set_has_hazard(struct probe_set *set, enum hazard hazard)
{
    return hazards_present(&set->hazards, hazard);
}

int probe_set_attach_by_kind(struct probe_set *set, struct watch *watch,
                             struct attach_report *report, struct diag *reterr_diag)
{
    switch (watch->request.target.kind) {
    case TARGET_USER:
        return watch_attach_user(set, watch, report, reterr_diag);
    case TARGET_USDT:
        return watch_attach_usdt(set, watch, report, reterr_diag);
    case TARGET_KERNEL:
        return watch_attach_kernel(set, watch, report, reterr_diag);
    case TARGET_SYSCALL:
        return watch_attach_syscalls(set, watch, report, reterr_diag);
    case TARGET_SPAN:
        return watch_attach_span(set, watch, report, reterr_diag);
    case TARGET_HEAP:
    case TARGET_KMEM:
        break; /* no probes: the agent attaches them by themselves */
    }
    return -EINVAL;
}

uint32_t probe_set_enable(struct probe_set *set, struct watch *watch)
{
    _cleanup_free_ uint32_t *placeless = calloc(watch->probes_count + 1, sizeof(*placeless));
    size_t placeless_count = 0;
    size_t kept = 0;
    if (!placeless)
        return 0;
    for (size_t i = 0; i < watch->probes_count; i++) {
        struct probe *probe = &set->entries[watch->probes[i]]->probe;
        enum tracepoint_group_kind group = watch_group_of(probe);
        if (probe->sites == 0) {
            placeless[placeless_count++] = probe->id;
            continue;
        }
        watch->probes[kept++] = probe->id;
        if (!probe->knobs.enabled && set->on_enable)
            set->on_enable(probe, &probe->knobs, set->enable_context);
        if (!probe->knobs.enabled)
            probe->knobs.enabled = watch->request.look ? LORIS_PROBE_LOOK : LORIS_PROBE_ON;
        if (group != TRACEPOINT_GROUPS)
            probe->paused = set->tracepoints.groups[group].paused;
    }
    /* These are none of the watch's any more: their ids are free as soon as they are released. */
    probe_set_mark_detached(set, placeless, placeless_count);
    watch->probes_count = kept;
    return probe_set_write_knobs(set, watch->probes, kept) ? 0 : (uint32_t)kept;
}

int probe_set_end_look(struct probe_set *set)
{
    int first_error = 0;
    for (size_t i = 0; i < set->watches_count; i++)
        set->watches[i]->request.look = false; /* what is found later measures at once */
    for (uint32_t id = 0; id < set->end; id++) {
        struct probe *probe = set->entries[id] ? &set->entries[id]->probe : NULL;
        if (!probe || probe->knobs.enabled != LORIS_PROBE_LOOK)
            continue;
        probe->knobs.enabled = LORIS_PROBE_OFF;
        int error = kernel_side_set_knobs(set->side, id, &probe->knobs);
        if (!error)
            error = kernel_side_clear_ledger(set->side, id);
        probe->knobs.enabled = LORIS_PROBE_ON;
        if (!error)
            error = kernel_side_set_knobs(set->side, id, &probe->knobs);
        if (error && !first_error)
            first_error = error;
    }
    return first_error;
}

/* Puts what no longer holds on to anything out of the way of a second try. */
static void abandon_watch(struct probe_set *set, struct watch *watch)
{
    probe_set_mark_detached(set, watch->probes, watch->probes_count);
    watch->probes_count = 0;
    watch_let_go(watch);
    for (unsigned group = 0; group < TRACEPOINT_GROUPS; group++)
        if (watch->groups & (1u << group))
            tracepoint_groups_leave(&set->tracepoints, (enum tracepoint_group_kind)group);
    watch->groups = 0;
}

static struct watch **find_watch(const struct probe_set *set, const char *text)
{
    for (size_t i = 0; i < set->watches_count; i++)
        if (strcmp(set->watches[i]->request.target.text, text) == 0)
            return &set->watches[i];
    return NULL;
}

int probe_set_attach(struct probe_set *set, const struct attach_request *request,
                     struct attach_report *report, struct diag *reterr_diag)
{
    if (find_watch(set, request->target.text))
        return diag_set(reterr_diag, EEXIST, "%s is watched already", request->target.text);
    struct watch **watches = reallocarray(set->watches, set->watches_count + 1, sizeof(*watches));
    _cleanup_(watch_free_cleanup) struct watch *watch = calloc(1, sizeof(*watch));
    if (watches)
        set->watches = watches;
    if (!watches || !watch)
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    watch->request = *request;
    int error = probe_set_attach_by_kind(set, watch, report, reterr_diag);
    uint32_t enabled = error ? 0 : probe_set_enable(set, watch);
    if (!error && enabled == 0) {
        error = -EOPNOTSUPP;
        diag_set(reterr_diag, EOPNOTSUPP, "nothing of %s could be attached: %s",
                 request->target.text,
                 report->messages_count ? report->messages.bytes : "no match");
        if (report->forcible)
            diag_hint(reterr_diag, "force overrides it (--force, force: true) at your own risk");
    }
    if (error) {
        abandon_watch(set, watch);
        return error;
    }
    report->attached += enabled;
    set->watches[set->watches_count++] = take_ptr(watch);
    return 0;
}

/* The kernel waits for each link that is closed, 20 to 60 ms, and up to half a second for single
 * ones, while nobody would be served. */
#define LINKS_CLOSED_HERE_MAX 3

static void count_link(int link_fd, void *context)
{
    size_t *count = context;
    (void)link_fd;
    ++*count;
}

static bool detaches_slowly(const struct probe_set *set, struct watch *watch)
{
    if (watch->probes_count == 0)
        return false;
    size_t links = 0;
    struct watched_file *file;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        linked_places_walk(&file->places, count_link, &links);
    enum attach_kind kind = set->entries[watch->probes[0]]->probe.attach;
    return links > LINKS_CLOSED_HERE_MAX || kind == ATTACH_UPROBE || kind == ATTACH_KPROBE ||
           kind == ATTACH_FENTRY;
}

static void detach_apart(struct probe_set *set, struct watch *watch)
{
    _cleanup_(link_set_done) struct link_set links = {0};
    struct watched_file *file;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        (void)!linked_places_take_links(&file->places, &links); /* else closed here */
    int done_fd = link_set_cut_apart(&links);
    if (done_fd >= 0)
        probe_set_hold_ids(set, done_fd, watch->probes, watch->probes_count);
}

uint32_t probe_set_detach(struct probe_set *set, const char *target_text)
{
    struct watch **found = find_watch(set, target_text);
    if (!found)
        return 0;
    _cleanup_(watch_free_cleanup) struct watch *watch = *found;
    *found = set->watches[--set->watches_count];
    uint32_t count = (uint32_t)watch->probes_count;
    bool slowly = detaches_slowly(set, watch);
    probe_set_mark_detached(set, watch->probes, watch->probes_count);
    if (slowly)
        detach_apart(set, watch);
    abandon_watch(set, watch);
    return count;
}

static void add_missed(int fd, void *context)
{
    uint64_t *missed = context;
    if (bpf_link_is_program(fd))
        *missed += bpf_link_program_missed(fd);
}

uint64_t probe_set_missed(const struct probe_set *set)
{
    uint64_t missed = kernel_side_missed(set->side);
    for (size_t i = 0; i < set->watches_count; i++) {
        struct watch *watch = set->watches[i];
        bool own_programs = watch->probes_count > 0 &&
                            set->entries[watch->probes[0]]->probe.attach == ATTACH_FENTRY;
        struct watched_file *file;
        for (size_t k = 0; own_programs && (file = watch_file_at(watch, k)); k++)
            linked_places_walk(&file->places, add_missed, &missed);
    }
    return missed;
}

int probe_set_follow_life(struct probe_set *set, bool follow, struct diag *reterr_diag)
{
    bool following = set->tracepoints.groups[TRACEPOINTS_LIFE].users > 0;
    if (follow && !following)
        return tracepoint_groups_use(&set->tracepoints, set->side, TRACEPOINTS_LIFE, reterr_diag);
    if (!follow && following)
        tracepoint_groups_leave(&set->tracepoints, TRACEPOINTS_LIFE);
    return 0;
}
