/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The probes of a probe_set: their ids, names and knobs. */
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/hash.h"
#include "probe/probe_set_internal.h"

#define HELD_WAIT_MS 1000

void probe_entry_free(struct probe_entry *entry)
{
    if (!entry)
        return;
    free(entry->name);
    free(entry->target);
    free(entry->object);
    free(entry);
}

/* --- names --------------------------------------------------------------------------------- */

static uint32_t home_of(const struct probe_set *set, const char *name)
{
    return (uint32_t)hash_bytes(name, strlen(name), set->hash_seed) & set->name_mask;
}

/* The slot that holds the name, or the empty one where it would go. */
static uint32_t name_slot(const struct probe_set *set, const char *name)
{
    uint32_t at = home_of(set, name);
    while (set->name_index[at] && strcmp(set->entries[set->name_index[at] - 1]->name, name) != 0)
        at = (at + 1) & set->name_mask;
    return at;
}

/* Empties the slot, and moves names up that were pushed beyond it. */
static void forget_name(struct probe_set *set, const char *name)
{
    uint32_t hole = name_slot(set, name);
    uint32_t at = hole;
    for (;;) {
        at = (at + 1) & set->name_mask;
        if (!set->name_index[at])
            break;
        uint32_t home = home_of(set, set->entries[set->name_index[at] - 1]->name);
        if (((at - home) & set->name_mask) < ((at - hole) & set->name_mask))
            continue;
        set->name_index[hole] = set->name_index[at];
        hole = at;
    }
    set->name_index[hole] = 0;
}

/* --- making and releasing ------------------------------------------------------------------ */

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

static int new_entry(struct watch *watch, const char *name, const char *object,
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
    entry->watch = watch;
    entry->own_links = request->own_links;
    entry->probe = (struct probe){
        .name = entry->name,
        .target = entry->target,
        .object = entry->object,
        .kind = request->target.kind,
        .attached = true,
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

/* --- ids that nobody may have yet ---------------------------------------------------------- */

static void end_detaching(struct probe_set *set, size_t at)
{
    struct detaching *ended = &set->detachings[at];
    for (size_t i = 0; i < ended->count; i++) {
        set->held[ended->ids[i]] = false;
        if (ended->ids[i] < set->lowest_free)
            set->lowest_free = ended->ids[i];
    }
    close_fd(&ended->done_fd);
    free(ended->ids);
    *ended = set->detachings[--set->detachings_count];
}

void probe_set_hold_ids(struct probe_set *set, int done_fd, const uint32_t *ids, size_t count)
{
    char nothing;
    struct detaching *grown =
        reallocarray(set->detachings, set->detachings_count + 1, sizeof(*grown));
    struct detaching added = {done_fd, calloc(count + 1, sizeof(*ids)), count};
    if (grown)
        set->detachings = grown;
    if (!grown || !added.ids) { /* wait here: slow, but nobody's calls are taken for another's */
        (void)!fcntl(done_fd, F_SETFL, 0);
        (void)!read(done_fd, &nothing, 1);
        close(done_fd);
        free(added.ids);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        added.ids[i] = ids[i];
        set->held[ids[i]] = true;
    }
    set->detachings[set->detachings_count++] = added;
}

/* Those whose links are gone by now. */
static void let_held_go(struct probe_set *set)
{
    char nothing;
    for (size_t i = set->detachings_count; i > 0; i--)
        if (read(set->detachings[i - 1].done_fd, &nothing, 1) == 0)
            end_detaching(set, i - 1);
}

void probe_set_forget_held(struct probe_set *set)
{
    while (set->detachings_count > 0)
        end_detaching(set, set->detachings_count - 1);
    free(set->detachings);
    free(set->held);
}

static bool is_free(const struct probe_set *set, uint32_t id)
{
    return !set->entries[id] && !set->held[id];
}

static uint32_t find_free(struct probe_set *set)
{
    let_held_go(set);
    while (set->lowest_free < set->capacity && !is_free(set, set->lowest_free))
        set->lowest_free++;
    return set->lowest_free;
}

static uint32_t take_id(struct probe_set *set)
{
    uint32_t id = find_free(set);
    if (id < set->capacity || set->detachings_count == 0)
        return id;
    /* As long as it would have taken without the process apart, but not for ever. */
    struct pollfd wait = {.fd = set->detachings[0].done_fd, .events = POLLIN};
    (void)!poll(&wait, 1, HELD_WAIT_MS);
    return find_free(set);
}

int probe_set_make(struct probe_set *set, struct watch *watch, const char *name, const char *object,
                   uint32_t *ret_id, struct diag *reterr_diag)
{
    uint32_t slot = name_slot(set, name);
    if (set->name_index[slot]) {
        const struct probe_entry *known = set->entries[set->name_index[slot] - 1];
        *ret_id = known->probe.id;
        if (known->watch == watch)
            return 0;
        return diag_set(reterr_diag, EEXIST, "%s is watched already, for the target %s", name,
                        known->target);
    }
    uint32_t id = take_id(set);
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
    /* As the kernel side has it since the id was released: its other knobs follow when enabled. */
    entry->probe.knobs.generation = entry->probe.first_generation = set->generations[id];
    error = set->on_admit ? set->on_admit(&entry->probe, set->context) : 0;
    if (error)
        return diag_set(reterr_diag, -error, "no room for the series of %s in memory_budget", name);
    error = watch_add_probe(watch, id);
    if (error)
        return diag_set(reterr_diag, -error, "out of memory");
    set->entries[id] = take_ptr(entry);
    if (id >= set->end)
        set->end = id + 1;
    set->name_index[slot] = id + 1;
    set->attached++;
    *ret_id = id;
    return 0;
}

int probe_set_release(struct probe_set *set, uint32_t id)
{
    assert(set->entries[id] && !set->entries[id]->probe.attached);
    uint16_t generation = (uint16_t)(set->entries[id]->probe.knobs.generation + 1);
    int error = kernel_side_reset_probe(set->side, id, generation);
    if (error)
        return error;
    set->generations[id] = generation;
    forget_name(set, set->entries[id]->name);
    probe_entry_free(take_ptr(set->entries[id]));
    if (id < set->lowest_free)
        set->lowest_free = id;
    return 0;
}

void probe_set_placed(struct probe_set *set, const struct attach_place *place,
                      enum attach_kind kind)
{
    struct probe *probe = &set->entries[place->probe]->probe;
    if (probe->sites++ > 0)
        return;
    probe->offset = place->offset - probe->placement.offset_bytes;
    probe->attach = kind;
}

void probe_set_tell_placement(struct probe_set *set, uint32_t id, const struct placement *placement)
{
    struct probe *probe = &set->entries[id]->probe;
    if (probe->sites == 0 && !probe->placement.instruction[0])
        probe->placement = *placement;
}

void probe_set_unplaced(struct probe_set *set, uint32_t id)
{
    struct probe *probe = &set->entries[id]->probe;
    if (probe->sites > 0)
        probe->sites--;
}

/* --- knobs --------------------------------------------------------------------------------- */

/* Where the kernel takes no batches. */
static int write_one_by_one(struct probe_set *set, const uint32_t *ids, size_t count)
{
    int first_error = 0;
    for (size_t i = 0; i < count; i++) {
        int error = kernel_side_set_knobs(set->side, ids[i], &set->entries[ids[i]]->probe.knobs);
        if (error && !first_error)
            first_error = error;
    }
    return first_error;
}

int probe_set_write_knobs(struct probe_set *set, const uint32_t *ids, size_t count)
{
    if (count < 2)
        return write_one_by_one(set, ids, count);
    _cleanup_free_ struct loris_probe_knobs *knobs = calloc(count, sizeof(*knobs));
    if (!knobs)
        return write_one_by_one(set, ids, count);
    for (size_t i = 0; i < count; i++)
        knobs[i] = set->entries[ids[i]]->probe.knobs;
    __u32 written = (__u32)count;
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    int fd = kernel_side_map(set->side, KERNEL_MAP_PROBE_KNOBS);
    if (bpf_map_update_batch(fd, ids, knobs, &written, &options) == 0 && written == count)
        return 0;
    return write_one_by_one(set, ids, count);
}

int probe_set_tune(struct probe_set *set, uint32_t id, const struct probe_tuning *tuning)
{
    struct probe_entry *entry = id < set->capacity ? set->entries[id] : NULL;
    if (!entry || !entry->probe.attached)
        return -ENOENT;
    struct loris_probe_knobs knobs = entry->probe.knobs;
    knobs.bias_ns = tuning->bias_ns;
    knobs.sample_shift = tuning->sample_shift;
    knobs.thin_shift = tuning->thin_shift;
    int error = kernel_side_set_knobs(set->side, id, &knobs);
    if (!error)
        entry->probe.knobs = knobs;
    return error;
}

void probe_set_mark_detached(struct probe_set *set, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct probe_entry *entry = set->entries[ids[i]];
        entry->watch = NULL;
        if (!entry->probe.attached)
            continue;
        entry->probe.attached = false;
        entry->probe.paused = false;
        entry->probe.knobs.enabled = 0;
        set->attached--;
    }
    (void)!probe_set_write_knobs(set, ids, count);
    for (size_t i = 0; i < count; i++)
        watch_clear_tables(set->side, &set->entries[ids[i]]->probe);
}

/* --- looking ------------------------------------------------------------------------------- */

const struct probe *probe_set_find(const struct probe_set *set, uint32_t id)
{
    return id < set->capacity && set->entries[id] ? &set->entries[id]->probe : NULL;
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
