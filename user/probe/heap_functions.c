/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/heap_functions.h"

#include <stddef.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *symbol;
    struct heap_function function;
} c_functions[] = {
    {"malloc", {LORIS_HEAP_MALLOC, false}},
    {"calloc", {LORIS_HEAP_CALLOC, false}},
    {"realloc", {LORIS_HEAP_REALLOC, false}},
    {"reallocarray", {LORIS_HEAP_REALLOCARRAY, false}},
    {"posix_memalign", {LORIS_HEAP_POSIX_MEMALIGN, false}},
    {"aligned_alloc", {LORIS_HEAP_ALIGNED_ALLOC, false}},
    {"memalign", {LORIS_HEAP_MEMALIGN, false}},
    {"valloc", {LORIS_HEAP_VALLOC, false}},
    {"pvalloc", {LORIS_HEAP_PVALLOC, false}},
    {"free", {LORIS_HEAP_FREE, false}},
    {"cfree", {LORIS_HEAP_FREE, false}},
    {"free_sized", {LORIS_HEAP_FREE, false}},
    {"free_aligned_sized", {LORIS_HEAP_FREE, false}},
};

/* Of allocators that are built into programs under names of their own: jemalloc, tcmalloc,
 * mimalloc, rpmalloc. */
static const char *const prefixes[] = {"je_", "tc_", "mi_", "rp"};

/*
 * C++: "Znw" and "Zna" are operator new and new[], "Zdl" and "Zda" their deletes; then the
 * parameters (Itanium ABI): the size, m or j, of new; the pointer of delete, and its size or not;
 * St11align_val_t, an alignment; RKSt9nothrow_t, that nothing is thrown.
 */
static const struct heap_function throwing_new = {LORIS_HEAP_NEW, true};
static const struct heap_function delete_function = {LORIS_HEAP_DELETE, false};

/* Past the prefix, when it is there. */
static const char *past(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : text;
}

static bool is_parameter_rest(const char *rest)
{
    rest = past(rest, "St11align_val_t");
    rest = past(rest, "RKSt9nothrow_t");
    return *rest == '\0';
}

static const struct heap_function *find_cxx(const char *symbol)
{
    bool is_new = strncmp(symbol, "_Znw", 4) == 0 || strncmp(symbol, "_Zna", 4) == 0;
    bool is_delete = strncmp(symbol, "_ZdlPv", 6) == 0 || strncmp(symbol, "_ZdaPv", 6) == 0;
    if (is_new && (symbol[4] == 'm' || symbol[4] == 'j') && is_parameter_rest(symbol + 5))
        return &throwing_new;
    if (!is_delete)
        return NULL;
    const char *rest = symbol + 6;
    if (*rest == 'm' || *rest == 'j')
        rest++;
    return is_parameter_rest(rest) ? &delete_function : NULL;
}

static const struct heap_function *find_c(const char *name)
{
    for (size_t i = 0; i < LENGTH(c_functions); i++)
        if (strcmp(c_functions[i].symbol, name) == 0)
            return &c_functions[i].function;
    return NULL;
}

const struct heap_function *heap_functions_find(const char *symbol)
{
    if (symbol[0] == '_')
        return find_cxx(symbol);
    const struct heap_function *found = find_c(symbol);
    for (size_t i = 0; i < LENGTH(prefixes) && !found; i++)
        if (strncmp(symbol, prefixes[i], strlen(prefixes[i])) == 0)
            found = find_c(symbol + strlen(prefixes[i]));
    return found;
}

const char *heap_function_name(enum loris_heap_function function)
{
    static const char *const names[LORIS_HEAP_FUNCTIONS] = {
        [LORIS_HEAP_MALLOC] = "malloc",
        [LORIS_HEAP_CALLOC] = "calloc",
        [LORIS_HEAP_REALLOC] = "realloc",
        [LORIS_HEAP_REALLOCARRAY] = "reallocarray",
        [LORIS_HEAP_POSIX_MEMALIGN] = "posix_memalign",
        [LORIS_HEAP_ALIGNED_ALLOC] = "aligned_alloc",
        [LORIS_HEAP_MEMALIGN] = "memalign",
        [LORIS_HEAP_VALLOC] = "valloc",
        [LORIS_HEAP_PVALLOC] = "pvalloc",
        [LORIS_HEAP_NEW] = "new",
        [LORIS_HEAP_FREE] = "free",
        [LORIS_HEAP_DELETE] = "delete",
    };
    return names[function];
}
