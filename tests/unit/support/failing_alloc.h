/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reruns a piece of a test with its k-th allocation failing, for every k.
 *
 * Including this header (once, in the file with main()) puts malloc, calloc, realloc, reallocarray,
 * aligned_alloc, posix_memalign, strdup and strndup of the test binary in front of the C library's
 * or the sanitizer's: an executable's own definition comes first for everybody, so the modules
 * under test need no change, and what libraries allocate for them (fopen, getline, opendir, JSON)
 * fails too. While nothing is armed they pass through. ASan still sees every block and leak.
 *
 *     static void build_and_free(void *context)
 *     {
 *         struct thing *thing = NULL;
 *         int status = thing_new(&thing);
 *         assert_true(status == 0 || status == -ENOMEM);
 *         ...
 *         thing_free(thing);
 *     }
 *
 *     static void survives_every_failed_allocation(void **state)
 *     {
 *         assert_in_range(failing_alloc_each(build_and_free, NULL), 3, 1000);
 *     }
 *
 * failing_alloc_each runs the body with the k-th allocation failing and then with the k-th and all
 * later ones failing, k = 1, 2, ... until a run is through without reaching k; it returns how many
 * allocations the undisturbed body makes. The lower bound proves that something was tried. Only
 * allocations of the calling thread count. The body must leave nothing behind but `context`, and
 * take what a failure leads to for granted (no assert_int_equal(status, 0)).
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FAILING_ALLOC_RUNS_MAX 100000u

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAILING_ALLOC_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FAILING_ALLOC_ASAN 1
#endif

#ifdef FAILING_ALLOC_ASAN
#define FAILING_ALLOC_REAL(name) __interceptor_##name
#else
#define FAILING_ALLOC_REAL(name) __libc_##name
#endif

void *FAILING_ALLOC_REAL(malloc)(size_t bytes);
void *FAILING_ALLOC_REAL(calloc)(size_t count, size_t bytes);
void *FAILING_ALLOC_REAL(realloc)(void *old, size_t bytes);
void *FAILING_ALLOC_REAL(memalign)(size_t alignment, size_t bytes);

static _Thread_local struct {
    bool armed;
    bool all_after;
    unsigned left; /* allocations that still succeed */
    unsigned seen;
} failing_alloc;

static inline bool failing_alloc_fails(void)
{
    if (!failing_alloc.armed)
        return false;
    failing_alloc.seen++;
    if (failing_alloc.left > 1) {
        failing_alloc.left--;
        return false;
    }
    bool fails = failing_alloc.left == 1;
    if (!failing_alloc.all_after)
        failing_alloc.left = 0; /* spent */
    if (fails)
        errno = ENOMEM;
    return fails;
}

void *malloc(size_t bytes)
{
    return failing_alloc_fails() ? NULL : FAILING_ALLOC_REAL(malloc)(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return failing_alloc_fails() ? NULL : FAILING_ALLOC_REAL(calloc)(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return failing_alloc_fails() ? NULL : FAILING_ALLOC_REAL(realloc)(old, bytes);
}

void *reallocarray(void *old, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || failing_alloc_fails())
        return NULL;
    return FAILING_ALLOC_REAL(realloc)(old, total);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return failing_alloc_fails() ? NULL : FAILING_ALLOC_REAL(memalign)(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
    void *memory = failing_alloc_fails() ? NULL : FAILING_ALLOC_REAL(memalign)(alignment, bytes);
    if (!memory)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}

char *strndup(const char *string, size_t max_bytes)
{
    size_t length = strnlen(string, max_bytes);
    char *copy = malloc(length + 1);
    if (!copy)
        return NULL;
    copy[length] = '\0';
    return memcpy(copy, string, length);
}

char *strdup(const char *string)
{
    return strndup(string, strlen(string));
}

/* The nth allocation from now on fails (0: none), and with all_after every later one. */
static inline void failing_alloc_arm(unsigned nth, bool all_after)
{
    failing_alloc.left = nth;
    failing_alloc.seen = 0;
    failing_alloc.all_after = all_after;
    failing_alloc.armed = true;
}

/* Returns how many allocations were asked for since it was armed. */
static inline unsigned failing_alloc_disarm(void)
{
    failing_alloc.armed = false;
    return failing_alloc.seen;
}

static inline unsigned failing_alloc_each(void (*body)(void *context), void *context)
{
    for (unsigned nth = 1; nth < FAILING_ALLOC_RUNS_MAX; nth++) {
        failing_alloc_arm(nth, false);
        body(context);
        if (failing_alloc_disarm() < nth)
            return nth - 1;
        failing_alloc_arm(nth, true);
        body(context);
        failing_alloc_disarm();
    }
    return FAILING_ALLOC_RUNS_MAX;
}
