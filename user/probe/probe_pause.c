/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links that come and go while their probes stay: attaching for part of the time.
 *
 * A call that is open when links are closed may end unseen, and the next one to start unseen at the
 * same stack pointer may end seen. Its end must not be taken for that of the first, so where open
 * calls are kept in maps the generation moves on with every pause. In the ledger those calls are
 * the probe's cut_off. The kernel keeps open calls of sessions by link, so these need it not.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "loris/ledger.h"
#include "probe/probe_set_internal.h"

bool probe_set_is_own(const struct probe_set *set, uint32_t id)
{
    return set->entries[id]->own_links;
}

int probe_set_link(struct probe_set *set, struct watched_file *file, const struct attach_job *job,
                   struct diag *reterr_diag)
{
    struct linked_places *places = &file->places;
    for (size_t i = 0; i < places->count; i++) {
        const struct linked_place *place = &places->places[i];
        const struct probe *probe = &set->entries[place->probe]->probe;
        if (place->is_linked || !probe->paused || linked_places_pause(places, probe->id) == 0)
            continue;
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    }
    return linked_places_link(places, job, reterr_diag);
}

/* --- calls that were open when links were closed ------------------------------------------- */

/* Calls that entered and have not ended, those cut off before included. */
static uint64_t count_open(struct probe_set *set, uint32_t id, struct loris_ledger *ledgers)
{
    int fd = kernel_side_map(set->side, KERNEL_MAP_PROBE_LEDGER);
    if (bpf_map_lookup_elem(fd, &id, ledgers))
        return set->entries[id]->probe.cut_off;
    uint64_t entered = 0;
    uint64_t ended = 0;
    for (uint32_t cpu = 0; cpu < kernel_side_cpus(set->side); cpu++) {
        entered += ledgers[cpu].entered;
        ended += ledgers[cpu].returned + ledgers[cpu].abandoned;
    }
    return entered > ended ? entered - ended : 0;
}

/* None of the probes has a link now: whatever is open has no end. */
static void cut_off_calls(struct probe_set *set, const uint32_t *ids, size_t count)
{
    _cleanup_free_ struct loris_ledger *ledgers =
        calloc(kernel_side_cpus(set->side), sizeof(*ledgers));
    for (size_t i = 0; i < count; i++) {
        struct probe *probe = &set->entries[ids[i]]->probe;
        if (ledgers)
            probe->cut_off = count_open(set, ids[i], ledgers);
        if (probe->attach != ATTACH_UPROBE_SESSION && probe->attach != ATTACH_KPROBE_SESSION)
            probe->knobs.generation++;
        /* Should it ever come round, the oldest records are long drained. */
        if ((uint16_t)(probe->knobs.generation - probe->first_generation) > UINT16_MAX / 2)
            probe->first_generation++;
    }
    (void)!probe_set_write_knobs(set, ids, count);
}

/* --- links of their own -------------------------------------------------------------------- */

static void on_refused(const struct attach_place *place, int error, void *context)
{
    (void)error;
    probe_set_unplaced(context, place->probe);
}

/* Makes what links the watch's files lack; tries all, returns the first failure. */
static int link_files(struct probe_set *set, struct watch *watch)
{
    const struct attach_job job = {set->side, &set->trials, NULL, on_refused, set};
    int first_error = 0;
    struct watched_file *file;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++) {
        if (!linked_places_lack(&file->places))
            continue;
        int error =
            watched_file_is_rewritten(file) ? -ESTALE : probe_set_link(set, file, &job, NULL);
        if (error && !first_error)
            first_error = error;
    }
    return first_error;
}

void probe_set_mend(struct probe_set *set, struct watch *watch)
{
    (void)!link_files(set, watch); /* what is rewritten is about to be attached anew */
}

static bool shares_links(struct watch *watch, const uint32_t *ids, size_t count)
{
    struct watched_file *file;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        for (size_t k = 0; k < count; k++)
            if (linked_places_share(&file->places, ids[k]))
                return true;
    return false;
}

/* The probes that have lost their links and want them back, each once. */
static size_t find_unlinked(struct probe_set *set, struct watch *watch, uint32_t *ids)
{
    size_t count = 0;
    struct watched_file *file;
    set->round++;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        for (size_t k = 0; k < file->places.count; k++) {
            const struct linked_place *place = &file->places.places[k];
            struct probe_entry *entry = set->entries[place->probe];
            if (place->is_linked || entry->round == set->round || entry->probe.paused)
                continue;
            entry->round = set->round;
            ids[count++] = place->probe;
        }
    return count;
}

/* Takes the probes, which are all of the watch, out of its shared links, and leaves those cut. */
static int split_watch(struct probe_set *set, struct watch *watch, const uint32_t *ids,
                       size_t count)
{
    _cleanup_free_ uint32_t *unlinked = calloc(watch->probes_count + 1, sizeof(*unlinked));
    struct watched_file *file;
    if (!unlinked)
        return -ENOMEM;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        if (linked_places_reserve(&file->places, ids, count))
            return -ENOMEM;
    /* All of them: a probe may have places in several files, and must be wholly unlinked. */
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        linked_places_isolate(&file->places, ids, count);
    for (size_t i = 0; i < count; i++)
        set->entries[ids[i]]->own_links = true;
    size_t unlinked_count = find_unlinked(set, watch, unlinked);
    for (size_t i = 0; i < unlinked_count; i++)
        set->entries[unlinked[i]]->probe.gaps++;
    cut_off_calls(set, unlinked, unlinked_count);
    return 0;
}

/* The probes of one watch. */
static int isolate_in(struct probe_set *set, struct watch *watch, const uint32_t *ids, size_t count)
{
    if (!shares_links(watch, ids, count))
        return 0;
    int error = split_watch(set, watch, ids, count);
    return error ? error : link_files(set, watch);
}

typedef int (*watch_probes_fn)(struct probe_set *set, struct watch *watch, const uint32_t *ids,
                               size_t count);

/* Calls for each watch with those of the probes that are its; goes on, returns the first failure.
 */
static int for_each_watch(struct probe_set *set, const uint32_t *probe_ids, size_t count,
                          watch_probes_fn on_watch)
{
    _cleanup_free_ uint32_t *ids = calloc(count + 1, sizeof(*ids));
    int first_error = 0;
    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < set->watches_count; i++) {
        struct watch *watch = set->watches[i];
        size_t of_watch = 0;
        for (size_t k = 0; k < count; k++)
            if (probe_ids[k] < set->capacity && set->entries[probe_ids[k]] &&
                set->entries[probe_ids[k]]->watch == watch)
                ids[of_watch++] = probe_ids[k];
        int error = of_watch ? on_watch(set, watch, ids, of_watch) : 0;
        if (error && !first_error)
            first_error = error;
    }
    return first_error;
}

int probe_set_isolate(struct probe_set *set, const uint32_t *probe_ids, size_t count)
{
    return for_each_watch(set, probe_ids, count, isolate_in);
}

static void close_links(struct watch *watch, uint32_t id)
{
    struct watched_file *file;
    for (size_t i = 0; (file = watch_file_at(watch, i)); i++)
        (void)!linked_places_pause(&file->places, id); /* reserved when it was isolated */
}

static void mark_paused(struct probe_set *set, const uint32_t *ids, size_t count, bool paused)
{
    for (size_t i = 0; i < count; i++)
        set->entries[ids[i]]->probe.paused = paused;
}

/* Probes that shared a link get none of their own before they are resumed. */
static int pause_in(struct probe_set *set, struct watch *watch, const uint32_t *ids, size_t count)
{
    bool shared = shares_links(watch, ids, count);
    mark_paused(set, ids, count, true);
    int error = shared ? split_watch(set, watch, ids, count) : 0;
    if (error) {
        mark_paused(set, ids, count, false);
        return error;
    }
    for (size_t i = 0; i < count; i++)
        close_links(watch, ids[i]);
    cut_off_calls(set, ids, count);
    return shared ? link_files(set, watch) : 0;
}

static int resume_probe(struct probe_set *set, struct probe_entry *entry)
{
    struct watched_file *file;
    uint32_t id = entry->probe.id;
    const struct attach_job job = {set->side, &set->trials, NULL, on_refused, set};
    int error = -ESTALE;
    entry->probe.paused = false;
    for (size_t i = 0; (file = watch_file_at(entry->watch, i)); i++) {
        if (watched_file_is_rewritten(file))
            continue;
        linked_places_resume(&file->places, id);
        error = probe_set_link(set, file, &job, NULL);
        if (error)
            break;
    }
    if (error) {
        close_links(entry->watch, id);
        entry->probe.paused = true;
    }
    return error;
}

/* --- units --------------------------------------------------------------------------------- */

uint32_t probe_set_units(const struct probe_set *set)
{
    return set->capacity + TRACEPOINT_GROUPS;
}

uint32_t probe_set_unit(const struct probe_set *set, uint32_t id)
{
    enum tracepoint_group_kind group = watch_group_of(&set->entries[id]->probe);
    return group == TRACEPOINT_GROUPS ? id : set->capacity + group;
}

static struct probe_entry *find_unit_probe(const struct probe_set *set, uint32_t unit)
{
    struct probe_entry *entry = unit < set->capacity ? set->entries[unit] : NULL;
    return entry && entry->watch && entry->probe.sites > 0 ? entry : NULL;
}

/* Which state the group's probes are in, and what became of their open calls. */
static void mark_group(struct probe_set *set, enum tracepoint_group_kind group, bool paused)
{
    _cleanup_free_ uint32_t *ids = calloc(set->end + 1, sizeof(*ids));
    size_t count = 0;
    for (uint32_t id = 0; id < set->end; id++) {
        struct probe_entry *entry = set->entries[id];
        if (!entry || !entry->probe.attached || watch_group_of(&entry->probe) != group)
            continue;
        entry->probe.paused = paused;
        if (ids)
            ids[count++] = id;
    }
    if (ids)
        cut_off_calls(set, ids, count);
}

static int pause_group(struct probe_set *set, enum tracepoint_group_kind group)
{
    int error = tracepoint_groups_pause(&set->tracepoints, group);
    if (!error)
        mark_group(set, group, true);
    return error;
}

/* Whoever is in the maps of open calls may be gone, or open another one, by now. */
static int forget_open(struct probe_set *set, enum tracepoint_group_kind group)
{
    int error = 0;
    if (group == TRACEPOINTS_SYSCALLS)
        return kernel_side_clear_map(set->side, KERNEL_MAP_SYSCALL_SLOTS);
    if (group == TRACEPOINTS_BLOCK_IO)
        return kernel_side_clear_map(set->side, KERNEL_MAP_REQUEST_OPEN);
    if (group == TRACEPOINTS_RUN_QUEUE)
        error = kernel_side_clear_map(set->side, KERNEL_MAP_RUNQUEUE_SLOTS);
    if (group == TRACEPOINTS_RUN_QUEUE && !error)
        error = kernel_side_clear_map(set->side, KERNEL_MAP_RUNQUEUE_OPEN);
    return error;
}

/* The kernel does not wait for programs on tracepoints when it closes their links, so what they did
 * to the very last is looked at now. */
static int resume_group(struct probe_set *set, enum tracepoint_group_kind group)
{
    if (set->tracepoints.groups[group].users == 0)
        return -ENOENT;
    mark_group(set, group, false);
    int error = forget_open(set, group);
    if (!error)
        error = tracepoint_groups_resume(&set->tracepoints, set->side, group, NULL);
    if (error)
        mark_group(set, group, true);
    return error;
}

const char *probe_set_unit_name(const struct probe_set *set, uint32_t unit)
{
    static const char *const groups[TRACEPOINT_GROUPS] = {
        [TRACEPOINTS_BLOCK_IO] = "span:block-io", [TRACEPOINTS_RUN_QUEUE] = "span:run-queue",
        [TRACEPOINTS_SOFTIRQ] = "span:softirq",   [TRACEPOINTS_IRQ] = "span:irq",
        [TRACEPOINTS_SYSCALLS] = "syscall:*",     [TRACEPOINTS_LIFE] = "processes",
    };
    if (unit >= set->capacity)
        return unit < probe_set_units(set) ? groups[unit - set->capacity] : NULL;
    return set->entries[unit] ? set->entries[unit]->probe.name : NULL;
}

bool probe_set_paused(const struct probe_set *set, uint32_t unit)
{
    if (unit >= set->capacity)
        return set->tracepoints.groups[unit - set->capacity].paused;
    const struct probe_entry *entry = find_unit_probe(set, unit);
    return entry && entry->probe.paused;
}

int probe_set_pause(struct probe_set *set, const uint32_t *units, size_t count)
{
    _cleanup_free_ uint32_t *ids = calloc(count + 1, sizeof(*ids));
    size_t ids_count = 0;
    int first_error = 0;
    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int error = 0;
        if (probe_set_paused(set, units[i]))
            continue;
        if (units[i] >= set->capacity)
            error = pause_group(set, (enum tracepoint_group_kind)(units[i] - set->capacity));
        else if (find_unit_probe(set, units[i]))
            ids[ids_count++] = units[i];
        else
            error = -ENOENT;
        if (error && !first_error)
            first_error = error;
    }
    int error = for_each_watch(set, ids, ids_count, pause_in);
    return first_error ? first_error : error;
}

int probe_set_resume(struct probe_set *set, uint32_t unit)
{
    if (unit >= set->capacity)
        return probe_set_paused(set, unit)
                   ? resume_group(set, (enum tracepoint_group_kind)(unit - set->capacity))
                   : 0;
    struct probe_entry *entry = find_unit_probe(set, unit);
    if (!entry)
        return -ENOENT;
    return entry->probe.paused ? resume_probe(set, entry) : 0;
}
