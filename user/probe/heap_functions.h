/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions that allocate and free: by which names objects export them. */
#pragma once

#include <stdbool.h>

#include "loris/heap.h"

struct heap_function {
    enum loris_heap_function function;
    bool throws; /* exceptions leave it: its return address must stay what it is */
};

/* The function of a symbol, prefixes of known allocators (je_, tc_, mi_, ...) allowed; NULL: it is
 * none. Symbols of one place have one function. */
const struct heap_function *heap_functions_find(const char *symbol);
/* "malloc", "posix_memalign", "new", "delete", ... */
const char *heap_function_name(enum loris_heap_function function);
