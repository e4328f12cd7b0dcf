/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One group's allocations as a JSON object. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/heap_table.h"
#include "base/json_writer.h"

#define HEAP_JSON_SCHEMA "loris.heap/1"

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
