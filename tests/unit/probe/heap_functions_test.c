/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/heap_functions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void is(const char *symbol, enum loris_heap_function function, bool throws)
{
    const struct heap_function *found = heap_functions_find(symbol);
    if (!found)
        fail_msg("%s is no function that allocates", symbol);
    assert_int_equal(found->function, function);
    assert_int_equal(found->throws, throws);
}

static void knows_the_functions_of_c(void **state)
{
    (void)state;
    is("malloc", LORIS_HEAP_MALLOC, false);
    is("calloc", LORIS_HEAP_CALLOC, false);
    is("realloc", LORIS_HEAP_REALLOC, false);
    is("reallocarray", LORIS_HEAP_REALLOCARRAY, false);
    is("posix_memalign", LORIS_HEAP_POSIX_MEMALIGN, false);
    is("aligned_alloc", LORIS_HEAP_ALIGNED_ALLOC, false);
    is("memalign", LORIS_HEAP_MEMALIGN, false);
    is("valloc", LORIS_HEAP_VALLOC, false);
    is("pvalloc", LORIS_HEAP_PVALLOC, false);
    is("free", LORIS_HEAP_FREE, false);
}

static void knows_the_prefixes_of_other_allocators(void **state)
{
    (void)state;
    is("je_malloc", LORIS_HEAP_MALLOC, false);
    is("tc_posix_memalign", LORIS_HEAP_POSIX_MEMALIGN, false);
    is("mi_free", LORIS_HEAP_FREE, false);
    is("rpcalloc", LORIS_HEAP_CALLOC, false);
}

/* As c++filt reads them: all that a C++17 program can replace, of 64 and of 32 bits. */
static void knows_every_operator_new_and_delete(void **state)
{
    static const char *const news[] = {
        "_Znwm",
        "_Znam",
        "_ZnwmRKSt9nothrow_t",
        "_ZnamRKSt9nothrow_t",
        "_ZnwmSt11align_val_t",
        "_ZnamSt11align_val_t",
        "_ZnwmSt11align_val_tRKSt9nothrow_t",
        "_ZnamSt11align_val_tRKSt9nothrow_t",
        "_Znwj",
        "_Znaj",
    };
    static const char *const deletes[] = {
        "_ZdlPv",
        "_ZdaPv",
        "_ZdlPvm",
        "_ZdaPvm",
        "_ZdlPvRKSt9nothrow_t",
        "_ZdaPvRKSt9nothrow_t",
        "_ZdlPvSt11align_val_t",
        "_ZdaPvSt11align_val_t",
        "_ZdlPvmSt11align_val_t",
        "_ZdaPvmSt11align_val_t",
        "_ZdlPvSt11align_val_tRKSt9nothrow_t",
        "_ZdaPvSt11align_val_tRKSt9nothrow_t",
        "_ZdlPvj",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++)
        is(news[i], LORIS_HEAP_NEW, true);
    for (size_t i = 0; i < sizeof(deletes) / sizeof(deletes[0]); i++)
        is(deletes[i], LORIS_HEAP_DELETE, false);
}

/* Placement new allocates nothing; the others only look like it. */
static void knows_nothing_else(void **state)
{
    static const char *const others[] = {
        "",         "mallocs",     "xmalloc",      "malloc_trim",  "je_mallctl", "je_",
        "_ZnwmPv",  "_Znw",        "_Zn",          "_ZnwmSt",      "_Zdl",       "_ZdlPvS_",
        "_ZdlPvmm", "__libc_free", "freeaddrinfo", "je_je_malloc", "tc_new",     "_Znwmm",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (heap_functions_find(others[i]))
            fail_msg("'%s' is taken for a function that allocates", others[i]);
}

static void names_every_function(void **state)
{
    (void)state;
    for (int i = 0; i < LORIS_HEAP_FUNCTIONS; i++)
        assert_non_null(heap_function_name((enum loris_heap_function)i));
    assert_string_equal(heap_function_name(LORIS_HEAP_NEW), "new");
    assert_string_equal(heap_function_name(LORIS_HEAP_DELETE), "delete");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_functions_of_c),
        cmocka_unit_test(knows_the_prefixes_of_other_allocators),
        cmocka_unit_test(knows_every_operator_new_and_delete),
        cmocka_unit_test(knows_nothing_else),
        cmocka_unit_test(names_every_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
