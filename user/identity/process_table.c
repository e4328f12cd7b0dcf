/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity/process_table.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "identity/name_pool.h"

/* Entries are known by a 24-bit index; index 0 means none. A slot of the hash table holds the
 * index and, above it, 8 bits of the hash, so that a probe rarely touches a wrong entry. */
#define INDEX_BITS    24
#define INDEX_MASK    ((1u << INDEX_BITS) - 1)
#define NONE          0
#define SLOTS_FIRST   256u
#define CHUNK_SHIFT   9
#define CHUNK_ENTRIES (1u << CHUNK_SHIFT)
#define CACHE_LINE    64

/* Second chances one eviction gives before it takes whatever is oldest. */
#define CHANCES_MAX 64

struct entry {
    struct process process;
    uint32_t newer;
    uint32_t older : INDEX_BITS;
    uint32_t found : 1; /* since it was last considered for eviction */
};

_Static_assert(sizeof(struct entry) == CACHE_LINE, "a look-up touches one line of the slab");

/* By last update, or by exit. */
struct order {
    uint32_t newest;
    uint32_t oldest;
};

struct process_table {
    uint32_t max_processes;
    uint32_t count;
    uint32_t used; /* entries of the slab that were ever used, index 0 included */
    uint32_t free; /* released entries, linked by `older` */
    uint32_t slot_count;
    uint32_t *slots; /* linear probing, Knuth vol. 3, 6.4 algorithms L and R */
    struct order live;
    struct order exited;
    uint64_t hash_seed;
    struct name_pool *comms;
    struct name_pool *units;
    process_fn on_forget;
    void *forget_context;
    struct process_table_figures figures; /* processes, names and bytes of the pools excepted */
    struct entry *chunks[];               /* never move, so that a process found stays in place */
};

static uint32_t chunk_count(uint32_t max_processes)
{
    return (max_processes >> CHUNK_SHIFT) + 1;
}

int process_table_new(const struct process_table_config *config, struct process_table **ret_table)
{
    if (config->max_processes == 0 || config->max_processes > INDEX_MASK ||
        config->max_names >= INDEX_MASK)
        return -EINVAL;
    size_t bytes =
        sizeof(struct process_table) + chunk_count(config->max_processes) * sizeof(struct entry *);
    _cleanup_(process_table_free_cleanup) struct process_table *table = calloc(1, bytes);
    if (!table)
        return -ENOMEM;
    table->max_processes = config->max_processes;
    table->figures.max_processes = config->max_processes;
    table->figures.max_names = 2ull * config->max_names;
    table->hash_seed = config->hash_seed;
    table->used = 1;
    table->slot_count = SLOTS_FIRST;
    table->slots = calloc(SLOTS_FIRST, sizeof(*table->slots));
    if (!table->slots)
        return -ENOMEM;
    table->figures.bytes = bytes + SLOTS_FIRST * sizeof(*table->slots);
    int status = name_pool_new(config->max_names + 1, config->hash_seed, &table->comms);
    if (status == 0)
        status = name_pool_new(config->max_names + 1, config->hash_seed, &table->units);
    if (status < 0)
        return status;
    *ret_table = take_ptr(table);
    return 0;
}

void process_table_free(struct process_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < chunk_count(table->max_processes); i++)
        free(table->chunks[i]);
    name_pool_free(table->units);
    name_pool_free(table->comms);
    free(table->slots);
    free(table);
}

static struct entry *entry_at(const struct process_table *table, uint32_t index)
{
    return &table->chunks[index >> CHUNK_SHIFT][index & (CHUNK_ENTRIES - 1)];
}

static uint64_t hash_id(const struct process_table *table, struct process_id id)
{
    return hash_bytes(&id, sizeof(id), table->hash_seed);
}

static uint32_t slot_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32) & ~INDEX_MASK;
}

static bool same_id(struct process_id left, struct process_id right)
{
    return left.pid == right.pid && left.start_tick == right.start_tick;
}

/* The slot of the process, or the empty one that ends its probe. */
static uint32_t *find_slot(const struct process_table *table, struct process_id id)
{
    uint64_t hash = hash_id(table, id);
    uint32_t mask = table->slot_count - 1;
    uint32_t tag = slot_tag(hash);
    uint32_t at = (uint32_t)hash & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t *slot = &table->slots[at];
        if (*slot == NONE)
            return slot;
        if ((*slot & ~INDEX_MASK) == tag &&
            same_id(entry_at(table, *slot & INDEX_MASK)->process.id, id))
            return slot;
    }
}

static void put_slot(struct process_table *table, uint32_t index)
{
    struct process_id id = entry_at(table, index)->process.id;
    *find_slot(table, id) = slot_tag(hash_id(table, id)) | index;
}

/* Closes the gap by moving back what probed past it, so no tombstones wear the table out. */
static void remove_slot(struct process_table *table, struct process_id id)
{
    uint32_t mask = table->slot_count - 1;
    uint32_t gap = (uint32_t)(find_slot(table, id) - table->slots);
    for (uint32_t at = (gap + 1) & mask; table->slots[at] != NONE; at = (at + 1) & mask) {
        const struct entry *entry = entry_at(table, table->slots[at] & INDEX_MASK);
        uint32_t home = (uint32_t)hash_id(table, entry->process.id) & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        table->slots[gap] = table->slots[at];
        gap = at;
    }
    table->slots[gap] = NONE;
}

static int grow_slots(struct process_table *table)
{
    uint32_t old_count = table->slot_count;
    uint32_t *slots = calloc((size_t)old_count * 2, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    _cleanup_free_ uint32_t *old = table->slots;
    table->slots = slots;
    table->slot_count = old_count * 2;
    table->figures.bytes += old_count * sizeof(*slots);
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i] != NONE)
            put_slot(table, old[i] & INDEX_MASK);
    return 0;
}

static void append_newest(struct process_table *table, struct order *order, uint32_t index)
{
    struct entry *entry = entry_at(table, index);
    entry->newer = NONE;
    entry->older = order->newest & INDEX_MASK;
    if (order->newest != NONE)
        entry_at(table, order->newest)->newer = index;
    else
        order->oldest = index;
    order->newest = index;
}

static void unlink_from(struct process_table *table, struct order *order, uint32_t index)
{
    const struct entry *entry = entry_at(table, index);
    if (entry->newer != NONE)
        entry_at(table, entry->newer)->older = entry->older;
    else
        order->newest = entry->older;
    if (entry->older != NONE)
        entry_at(table, entry->older)->newer = entry->newer;
    else
        order->oldest = entry->newer;
}

static void release(struct process_table *table, struct order *order, uint32_t index)
{
    struct entry *entry = entry_at(table, index);
    remove_slot(table, entry->process.id);
    unlink_from(table, order, index);
    if (!entry->process.exited)
        table->figures.processes_live--;
    entry->older = table->free & INDEX_MASK;
    table->free = index;
    table->count--;
}

/* False when there is nobody to forget. */
static bool forget_one(struct process_table *table)
{
    struct order *order = &table->exited;
    if (order->oldest == NONE) {
        order = &table->live;
        for (int chance = 0; chance < CHANCES_MAX && order->oldest != NONE; chance++) {
            uint32_t index = order->oldest;
            if (!entry_at(table, index)->found)
                break;
            entry_at(table, index)->found = 0;
            unlink_from(table, order, index);
            append_newest(table, order, index);
        }
    }
    uint32_t index = order->oldest;
    if (index == NONE)
        return false;
    const struct process *process = &entry_at(table, index)->process;
    if (!process->exited)
        table->figures.forgotten++;
    if (table->on_forget)
        table->on_forget(process, table->forget_context);
    release(table, order, index);
    return true;
}

/* NONE without memory. */
static uint32_t take_free_entry(struct process_table *table)
{
    uint32_t index = table->free;
    if (index != NONE) {
        table->free = entry_at(table, index)->older;
        return index;
    }
    struct entry **chunk = &table->chunks[table->used >> CHUNK_SHIFT];
    if (!*chunk) {
        size_t bytes = CHUNK_ENTRIES * sizeof(struct entry);
        *chunk = aligned_alloc(CACHE_LINE, bytes);
        if (!*chunk)
            return NONE;
        table->figures.bytes += bytes;
    }
    return table->used++;
}

static bool has_slot_for_one_more(struct process_table *table)
{
    return table->count + 1 <= table->slot_count / 4 * 3 || grow_slots(table) == 0;
}

/* A live process without names; NONE when memory is short and nobody can be forgotten. */
static uint32_t add(struct process_table *table, struct process_id id)
{
    if (table->count == table->max_processes)
        forget_one(table);
    if (!has_slot_for_one_more(table) && !forget_one(table))
        return NONE;
    uint32_t index = take_free_entry(table);
    if (index == NONE && forget_one(table))
        index = take_free_entry(table);
    if (index == NONE)
        return NONE;
    *entry_at(table, index) = (struct entry){.process = {.id = id}};
    put_slot(table, index);
    append_newest(table, &table->live, index);
    table->count++;
    table->figures.processes_live++;
    return index;
}

static uint32_t index_of(const struct process_table *table, struct process_id id)
{
    return *find_slot(table, id) & INDEX_MASK;
}

int process_table_update(struct process_table *table, struct process_id id,
                         struct process_id parent, const char *comm, const char *unit,
                         uint64_t now_ns)
{
    (void)now_ns; /* the order of updates is their age */
    uint32_t index = index_of(table, id);
    if (index == NONE) {
        index = add(table, id);
        if (index == NONE)
            return -ENOMEM;
    }
    struct process *process = &entry_at(table, index)->process;
    if (process->exited)
        return 0;
    if (table->live.newest != index) {
        unlink_from(table, &table->live, index);
        append_newest(table, &table->live, index);
    }
    if (process->parent.pid == 0)
        process->parent = parent;
    if (comm) {
        text_sanitize(comm, sizeof(process->comm) - 1, process->comm);
        process->comm_id = name_pool_intern(table->comms, process->comm);
    }
    if (unit)
        process->unit_id = name_pool_intern(table->units, unit);
    return 0;
}

void process_table_exit(struct process_table *table, struct process_id id, uint64_t now_ns)
{
    uint32_t index = index_of(table, id);
    if (index == NONE)
        return;
    struct process *process = &entry_at(table, index)->process;
    if (process->exited)
        return;
    unlink_from(table, &table->live, index);
    append_newest(table, &table->exited, index);
    process->exited = true;
    process->exited_ns = now_ns;
    table->figures.processes_live--;
}

uint32_t process_table_reap(struct process_table *table, uint64_t before_ns, uint32_t max,
                            process_fn on_reap, void *context)
{
    uint32_t reaped = 0;
    for (; reaped < max && table->exited.oldest != NONE; reaped++) {
        const struct process *process = &entry_at(table, table->exited.oldest)->process;
        if (process->exited_ns >= before_ns)
            break;
        if (on_reap)
            on_reap(process, context);
        release(table, &table->exited, table->exited.oldest);
    }
    return reaped;
}

void process_table_on_forget(struct process_table *table, process_fn on_forget, void *context)
{
    table->on_forget = on_forget;
    table->forget_context = context;
}

const struct process *process_table_find(struct process_table *table, struct process_id id)
{
    uint32_t index = index_of(table, id);
    if (index == NONE) {
        table->figures.misses++;
        return NULL;
    }
    table->figures.hits++;
    struct entry *entry = entry_at(table, index);
    if (!entry->found)
        entry->found = 1;
    return &entry->process;
}

bool process_table_knows(const struct process_table *table, struct process_id id)
{
    return index_of(table, id) != NONE;
}

const char *process_table_comm(const struct process_table *table, uint32_t comm_id)
{
    return name_pool_name(table->comms, comm_id);
}

const char *process_table_unit(const struct process_table *table, uint32_t unit_id)
{
    return name_pool_name(table->units, unit_id);
}

struct process_table_figures process_table_figures(const struct process_table *table)
{
    struct process_table_figures figures = table->figures;
    figures.processes = table->count;
    figures.names = name_pool_count(table->comms) - 1 + name_pool_count(table->units) - 1;
    figures.names_bytes = name_pool_bytes(table->comms) + name_pool_bytes(table->units);
    figures.bytes += figures.names_bytes;
    figures.names_refused = name_pool_refused(table->comms) + name_pool_refused(table->units);
    figures.names_hit = name_pool_hits(table->comms) + name_pool_hits(table->units);
    return figures;
}
