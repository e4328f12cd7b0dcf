/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One group's allocations, or one of the kernel's allocators, as a JSON object. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/heap_table.h"
#include "base/json_writer.h"
#include "loris/kmem.h"

#define HEAP_JSON_SCHEMA "loris.heap/1"
#define KMEM_JSON_SCHEMA "loris.kmem/1"

/* "malloc", ... by enum loris_heap_function; this stage knows no names of functions. */
typedef const char *(*heap_json_name_fn)(enum loris_heap_function function);

struct heap_json {
    const char *target;
    const char *time; /* when the answer was made, as clock_format_utc */
    const struct heap_group *group;
    uint32_t pid;     /* 0: not one process */
    const char *comm; /* NULL: unknown, or many */
    const char *unit; /* the same */
    heap_json_name_fn name_of;
};

void heap_json_write(struct json_writer *json, const char *key, const struct heap_json *heap);

struct kmem_json {
    const char *time;
    const char *kind; /* "slab" or "pages" */
    const char *name; /* of the cache; NULL for pages */
    uint32_t order;   /* of pages */
    struct loris_kmem_counts counts;
    uint64_t object_bytes; /* of a cache, or of pages; 0: they differ, or nobody tells */
    bool frees_known;      /* of what it allocates, frees are counted here */
    bool calls_known;      /* what it frees is allocated here */
};

void kmem_json_write(struct json_writer *json, const char *key, const struct kmem_json *kmem);
