/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/probe_set.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "probe/bpf_link.h"
#include "probe/object_file.h"
#include "probe/probe_set_internal.h"

struct probe_entry {
    struct probe probe; /* strings owned here */
    char *name, *target, *object;
};

struct probe_set {
    struct kernel_side *side;
    probe_admit_fn on_admit;
    void *context;
    uint64_t hash_seed;
    struct probe_entry **entries; /* by id, NULL when free */
    uint32_t *name_index;         /* open addressing by name; id + 1, 0 empty */
    uint32_t name_mask;
    uint16_t *generations; /* by id: how often it was used before */
    uint32_t capacity;
    uint32_t end; /* of the ids used so far */
    uint32_t attached;
    struct watch **watches;
    size_t watches_count;
    struct tracepoint_groups tracepoints;
    struct attach_trials trials;
    struct hazards hazards;
};

static void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    link_set_done(&watch->links);
    watched_files_done(&watch->files);
    free(watch->probes);
    free(watch->path);
    free(watch);
}
DEFINE_CLEANUP(struct watch *, watch_free);

static void probe_entry_free(struct probe_entry *entry)
{
    if (!entry)
        return;
    free(entry->name);
    free(entry->target);
    free(entry->object);
    free(entry);
}
DEFINE_CLEANUP(struct probe_entry *, probe_entry_free);

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
    if (!set->entries || !set->name_index || !set->generations)
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
    free(set);
}

struct kernel_side *probe_set_side(struct probe_set *set)
{
    return set->side;
}

struct tracepoint_groups *probe_set_tracepoints(struct probe_set *set)
{
    return &set->tracepoints;
}

struct attach_trials *probe_set_trials(struct probe_set *set)
{
    return &set->trials;
}

bool probe_set_has_hazard(struct probe_set *set, enum hazard hazard)
{
    return hazards_present(&set->hazards, hazard);
}

/* The slot that holds the name, or the empty one where it would go. */
static uint32_t *name_slot(const struct probe_set *set, const char *name)
{
    uint32_t at = (uint32_t)hash_bytes(name, strlen(name), set->hash_seed) & set->name_mask;
    while (set->name_index[at] && strcmp(set->entries[set->name_index[at] - 1]->name, name) != 0)
        at = (at + 1) & set->name_mask;
    return &set->name_index[at];
}

/* Probing sequences must not break, so the index is made anew; removing is rare. */
static void rebuild_names(struct probe_set *set)
{
    memset(set->name_index, 0, (set->name_mask + 1) * sizeof(*set->name_index));
    for (uint32_t id = 0; id < set->end; id++)
        if (set->entries[id])
            *name_slot(set, set->entries[id]->name) = id + 1;
}

static uint8_t default_error_rule(enum target_kind kind)
{
    switch (kind) {
    case TARGET_SYSCALL:
        return LORIS_ERROR_ERRNO;
    case TARGET_SPAN:
        return LORIS_ERROR_NEGATIVE;
    default:
        return LORIS_ERROR_NEVER;
    }
}

static int new_entry(const struct watch *watch, const char *name, const char *object,
                     struct probe_entry **ret_entry)
{
    const struct attach_request *request = &watch->request;
    _cleanup_(probe_entry_free_cleanup) struct probe_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    entry->name = strdup(name);
    entry->target = strdup(request->target.text);
    entry->object = strdup(object);
    if (!entry->name || !entry->target || !entry->object)
        return -ENOMEM;
    entry->probe = (struct probe){
        .name = entry->name,
        .target = entry->target,
        .object = entry->object,
        .kind = request->target.kind,
        .knobs = {.error_rule = request->has_error_rule ? request->error_rule
                                                        : default_error_rule(request->target.kind),
                  .filter = request->filter},
    };
    *ret_entry = take_ptr(entry);
    return 0;
}

static int watch_add_probe(struct watch *watch, uint32_t id)
{
    if (watch->probes_count == watch->probes_capacity) {
        size_t capacity = watch->probes_capacity ? 2 * watch->probes_capacity : 8;
        uint32_t *probes = reallocarray(watch->probes, capacity, sizeof(*probes));
        if (!probes)
            return -ENOMEM;
        watch->probes = probes;
        watch->probes_capacity = capacity;
    }
    watch->probes[watch->probes_count++] = id;
    return 0;
}

int probe_set_make(struct probe_set *set, struct watch *watch, const char *name, const char *object,
                   uint32_t *ret_id, struct diag *reterr_diag)
{
    uint32_t *slot = name_slot(set, name);
    if (*slot) {
        const struct probe *known = &set->entries[*slot - 1]->probe;
        *ret_id = known->id;
        if (known->attached && strcmp(known->target, watch->request.target.text) == 0)
            return 0;
        return diag_set(reterr_diag, EEXIST, "%s is watched already, for the target %s", name,
                        known->target);
    }
    uint32_t id = 0;
    while (id < set->capacity && set->entries[id])
        id++;
    if (id == set->capacity) {
        diag_set(reterr_diag, ENOSPC, "no room for %s: all %u probes are in use", name,
                 set->capacity);
        diag_hint(reterr_diag, "choose a narrower glob, or set a larger probes_max");
        return -ENOSPC;
    }
    _cleanup_(probe_entry_free_cleanup) struct probe_entry *entry = NULL;
    int error = new_entry(watch, name, object, &entry);
    if (error)
        return diag_set(reterr_diag, -error, "out of memory");
    entry->probe.id = id;
    entry->probe.knobs.generation = set->generations[id];
    entry->probe.attached = true;
    error = set->on_admit ? set->on_admit(&entry->probe, set->context) : 0;
    if (error)
        return diag_set(reterr_diag, -error, "no room for the series of %s in memory_budget", name);
    error = kernel_side_set_knobs(set->side, id, &entry->probe.knobs);
    if (!error)
        error = watch_add_probe(watch, id);
    if (error)
        return diag_set(reterr_diag, -error, "cannot set up %s: %s", name, strerror(-error));
    set->entries[id] = take_ptr(entry);
    if (id >= set->end)
        set->end = id + 1;
    *slot = id + 1;
    set->attached++;
    *ret_id = id;
    return 0;
}

void probe_set_placed(struct probe_set *set, uint32_t id, enum attach_kind kind, uint64_t offset)
{
    struct probe *probe = &set->entries[id]->probe;
    if (probe->sites++ == 0) {
        probe->offset = offset;
        probe->attach = kind;
    }
}

void probe_set_unplaced(struct probe_set *set, uint32_t id)
{
    struct probe *probe = &set->entries[id]->probe;
    if (probe->sites > 0)
        probe->sites--;
}

static void mark_detached(struct probe_set *set, uint32_t id)
{
    struct probe *probe = &set->entries[id]->probe;
    if (!probe->attached)
        return;
    probe->attached = false;
    probe->knobs.enabled = 0;
    set->attached--;
    (void)!kernel_side_set_knobs(set->side, id, &probe->knobs);
    watch_clear_tables(set->side, probe);
}

static int attach_by_kind(struct probe_set *set, struct watch *watch, struct attach_report *report,
                          struct diag *reterr_diag)
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
    }
    return -EINVAL;
}

/*
 * Lets the probes that got a place count from now on; returns how many did. The others are none of
 * the watch's any more: their ids are free as soon as they are released.
 */
static uint32_t enable_probes(struct probe_set *set, struct watch *watch)
{
    uint32_t enabled = 0;
    size_t kept = 0;
    for (size_t i = 0; i < watch->probes_count; i++) {
        struct probe *probe = &set->entries[watch->probes[i]]->probe;
        if (probe->sites == 0) {
            mark_detached(set, probe->id);
            continue;
        }
        watch->probes[kept++] = probe->id;
        probe->knobs.enabled = 1;
        if (kernel_side_set_knobs(set->side, probe->id, &probe->knobs) == 0)
            enabled++;
    }
    watch->probes_count = kept;
    return enabled;
}

/* Puts what no longer holds on to anything out of the way of a second try. */
static void abandon_watch(struct probe_set *set, struct watch *watch)
{
    for (size_t i = 0; i < watch->probes_count; i++)
        mark_detached(set, watch->probes[i]);
    watch->probes_count = 0;
    link_set_cut(&watch->links, 0);
    watched_files_done(&watch->files);
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
    int error = attach_by_kind(set, watch, report, reterr_diag);
    uint32_t enabled = error ? 0 : enable_probes(set, watch);
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

/* Single links take up to half a second each to detach, while nobody would be served. Their calls
 * in flight are told apart by generation. */
static bool detaches_slowly(const struct probe_set *set, const struct watch *watch)
{
    if (watch->probes_count == 0)
        return false;
    enum attach_kind kind = set->entries[watch->probes[0]]->probe.attach;
    return kind == ATTACH_UPROBE || kind == ATTACH_KPROBE || kind == ATTACH_FENTRY;
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
    for (size_t i = 0; i < watch->probes_count; i++)
        mark_detached(set, watch->probes[i]);
    if (slowly) {
        link_set_cut_apart(&watch->links);
        for (size_t i = 0; i < watch->files.count; i++)
            link_set_cut_apart(&watch->files.files[i].links);
    }
    abandon_watch(set, watch);
    return count;
}

int probe_set_release(struct probe_set *set, uint32_t id)
{
    assert(set->entries[id] && !set->entries[id]->probe.attached);
    uint16_t generation = (uint16_t)(set->generations[id] + 1);
    int error = kernel_side_reset_probe(set->side, id, generation);
    if (error)
        return error;
    set->generations[id] = generation;
    probe_entry_free(take_ptr(set->entries[id]));
    rebuild_names(set);
    return 0;
}

/* What the target's object means by now; false: it means nothing, or was never a file. */
static bool stat_object(const struct watch *watch, struct stat *ret_now)
{
    char path[PATH_MAX];
    return watch->path && object_file_resolve(watch->request.target.object, "", path, NULL) == 0 &&
           stat(path, ret_now) == 0;
}

bool probe_set_watches_file(const struct probe_set *set, const char *name)
{
    for (size_t i = 0; i < set->watches_count; i++) {
        const char *path = set->watches[i]->path;
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (slash && strcmp(slash + 1, name) == 0)
            return true;
    }
    return false;
}

uint32_t probe_set_cut_rewritten(struct probe_set *set)
{
    uint32_t cut = 0;
    for (size_t i = 0; i < set->watches_count; i++) {
        struct stat now;
        struct watch *watch = set->watches[i];
        if (!stat_object(watch, &now) ||
            watched_files_state(&watch->files, &now) != WATCHED_FILE_REWRITTEN)
            continue;
        watched_files_drop(&watch->files, &now);
        cut++;
    }
    return cut;
}

uint32_t probe_set_refresh(struct probe_set *set, struct attach_report *report)
{
    uint32_t replaced = 0;
    (void)probe_set_cut_rewritten(set);
    for (size_t i = 0; i < set->watches_count; i++) {
        struct stat now;
        struct diag diag = {0};
        struct watch *watch = set->watches[i];
        if (!stat_object(watch, &now) ||
            watched_files_state(&watch->files, &now) != WATCHED_FILE_NEW)
            continue;
        if (attach_by_kind(set, watch, report, &diag)) {
            link_set_cut(&watch->links, 0);
            attach_report_add(report, "%s was replaced, and cannot be attached again: %s",
                              watch->path, diag.what);
            continue;
        }
        enable_probes(set, watch);
        replaced++;
    }
    return replaced;
}

void probe_set_folders(const struct probe_set *set, probe_folder_fn on_folder, void *context)
{
    for (size_t i = 0; i < set->watches_count; i++) {
        char path[PATH_MAX];
        if (!set->watches[i]->path)
            continue;
        snprintf(path, sizeof(path), "%s", set->watches[i]->path);
        on_folder(dirname(path), context);
    }
}

uint64_t probe_set_missed(const struct probe_set *set)
{
    uint64_t missed = kernel_side_missed(set->side);
    for (size_t i = 0; i < set->watches_count; i++) {
        const struct watch *watch = set->watches[i];
        bool own_programs = watch->probes_count > 0 &&
                            set->entries[watch->probes[0]]->probe.attach == ATTACH_FENTRY;
        for (size_t k = 0; own_programs && k < watch->links.count; k++)
            missed += bpf_link_missed(watch->links.fds[k]);
    }
    return missed;
}

const struct probe *probe_set_find(const struct probe_set *set, uint32_t id)
{
    return id < set->capacity && set->entries[id] ? &set->entries[id]->probe : NULL;
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

uint32_t probe_set_attached(const struct probe_set *set)
{
    return set->attached;
}

uint32_t probe_set_end(const struct probe_set *set)
{
    return set->end;
}

void probe_set_walk(const struct probe_set *set, probe_fn on_probe, void *context)
{
    for (uint32_t id = 0; id < set->end; id++)
        if (set->entries[id])
            on_probe(&set->entries[id]->probe, context);
}
