/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One of the kernel's allocators as a JSON object. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json_writer.h"
#include "loris/kmem.h"

#define KMEM_JSON_SCHEMA "loris.kmem/1"

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
