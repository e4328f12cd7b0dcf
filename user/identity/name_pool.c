/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity/name_pool.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

#define NAMES_MAX   (1u << 24)
#define SLOTS_FIRST 64u
#define ARENA_BYTES 4068 /* with its link a little less than a page, for malloc's own header */
#define EMPTY_SLOT  0    /* id 0, "(other)", needs no slot: it is found without looking */

/* Strings never move, so that a name stays valid; freed all at once. */
struct arena {
    struct arena *next;
    uint32_t used;
    char bytes[ARENA_BYTES];
};

_Static_assert(sizeof(struct arena) == 4080, "no padding behind the bytes");

struct name_pool {
    uint32_t max_names;
    uint32_t count;
    uint32_t slot_count; /* a power of two, at least 4/3 of count */
    uint32_t *slots;     /* linear probing, Knuth vol. 3, 6.4 algorithm L; holds ids */
    const char **names;  /* by id; room for slot_count */
    struct arena *arenas;
    uint64_t hash_seed;
    uint64_t bytes;
    uint64_t refused;
    uint64_t hits;
};

int name_pool_new(uint32_t max_names, uint64_t hash_seed, struct name_pool **ret_pool)
{
    if (max_names == 0 || max_names > NAMES_MAX)
        return -EINVAL;
    _cleanup_(name_pool_free_cleanup) struct name_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->max_names = max_names;
    pool->hash_seed = hash_seed;
    pool->slot_count = SLOTS_FIRST;
    pool->slots = calloc(SLOTS_FIRST, sizeof(*pool->slots));
    pool->names = calloc(SLOTS_FIRST, sizeof(*pool->names));
    if (!pool->slots || !pool->names)
        return -ENOMEM;
    pool->names[NAME_POOL_OTHER] = "(other)";
    pool->count = 1;
    pool->bytes = sizeof(*pool) + SLOTS_FIRST * (sizeof(*pool->slots) + sizeof(*pool->names));
    *ret_pool = take_ptr(pool);
    return 0;
}

void name_pool_free(struct name_pool *pool)
{
    if (!pool)
        return;
    while (pool->arenas) {
        struct arena *arena = pool->arenas;
        pool->arenas = arena->next;
        free(arena);
    }
    free(pool->names);
    free(pool->slots);
    free(pool);
}

/* The slot that holds the name, or the empty one where it belongs. */
static uint32_t *find_slot(const struct name_pool *pool, const char *name, size_t length)
{
    uint32_t mask = pool->slot_count - 1;
    uint32_t at = (uint32_t)hash_bytes(name, length, pool->hash_seed) & mask;
    while (pool->slots[at] != EMPTY_SLOT && strcmp(pool->names[pool->slots[at]], name) != 0)
        at = (at + 1) & mask;
    return &pool->slots[at];
}

static int grow(struct name_pool *pool)
{
    uint32_t slot_count = pool->slot_count * 2;
    _cleanup_free_ uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    const char **names = realloc(pool->names, slot_count * sizeof(*names));
    if (!names)
        return -ENOMEM;
    pool->names = names;
    free(pool->slots);
    pool->slots = take_ptr(slots);
    pool->bytes += (slot_count - pool->slot_count) * (sizeof(*slots) + sizeof(*names));
    pool->slot_count = slot_count;
    for (uint32_t id = 1; id < pool->count; id++)
        *find_slot(pool, names[id], strlen(names[id])) = id;
    return 0;
}

static const char *store(struct name_pool *pool, const char *name, size_t length)
{
    struct arena *arena = pool->arenas;
    if (!arena || ARENA_BYTES - arena->used < length + 1) {
        arena = calloc(1, sizeof(*arena));
        if (!arena)
            return NULL;
        arena->next = pool->arenas;
        pool->arenas = arena;
        pool->bytes += sizeof(*arena);
    }
    char *stored = arena->bytes + arena->used;
    memcpy(stored, name, length + 1);
    arena->used += (uint32_t)length + 1;
    return stored;
}

uint32_t name_pool_intern(struct name_pool *pool, const char *name)
{
    char clean[NAME_POOL_NAME_BYTES];
    text_sanitize(name, sizeof(clean) - 1, clean);
    if (strcmp(clean, pool->names[NAME_POOL_OTHER]) == 0)
        return NAME_POOL_OTHER;
    size_t length = strlen(clean);
    uint32_t *slot = find_slot(pool, clean, length);
    if (*slot != EMPTY_SLOT) {
        pool->hits++;
        return *slot;
    }
    if (pool->count == pool->max_names)
        goto refused;
    if (pool->count >= pool->slot_count / 4 * 3) {
        if (grow(pool) < 0)
            goto refused;
        slot = find_slot(pool, clean, length);
    }
    const char *stored = store(pool, clean, length);
    if (!stored)
        goto refused;
    pool->names[pool->count] = stored;
    *slot = pool->count;
    return pool->count++;
refused:
    pool->refused++;
    return NAME_POOL_OTHER;
}

const char *name_pool_name(const struct name_pool *pool, uint32_t id)
{
    return pool->names[id < pool->count ? id : NAME_POOL_OTHER];
}

uint32_t name_pool_count(const struct name_pool *pool)
{
    return pool->count;
}

uint64_t name_pool_bytes(const struct name_pool *pool)
{
    return pool->bytes;
}

uint64_t name_pool_refused(const struct name_pool *pool)
{
    return pool->refused;
}

uint64_t name_pool_hits(const struct name_pool *pool)
{
    return pool->hits;
}
