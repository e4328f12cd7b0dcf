/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/nearest_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "probe/span_names.h"
#include "probe/syscall_names.h"

static const char *hint_for(const char *wanted, const char *const *names, struct diag *diag)
{
    struct nearest_names nearest;
    memset(diag, 0, sizeof(*diag));
    nearest_names_init(&nearest, wanted);
    for (; *names; names++)
        nearest_names_offer(&nearest, *names);
    nearest_names_hint(&nearest, diag);
    return diag->hint;
}

static void puts_the_nearest_spelling_first(void **state)
{
    (void)state;
    static const char *const names[] = {
        "PQfinish", "PQexecParams", "PQexecPrepared", "PQexec", "PQexec", "PQdb", NULL};
    struct diag diag;
    assert_string_equal(hint_for("PQexce", names, &diag),
                        "nearest names: PQexec, PQexecParams, PQexecPrepared");
    assert_memory_equal(hint_for("PQd", names, &diag), "nearest names: PQdb,", 20);
    assert_string_equal(hint_for("frobnicate", names, &diag), "");
    assert_string_equal(hint_for("PQ*", names, &diag), "");
    assert_string_equal(hint_for("", names, &diag), "");
}

static void keeps_the_best_of_many(void **state)
{
    (void)state;
    static const char *const names[] = {"workXX", "workX", "wrk",  "wXrk", "workXXX",
                                        "woXk",   "work1", "work", NULL};
    struct diag diag;
    const char *const hint = hint_for("work", names, &diag);
    assert_memory_equal(hint, "nearest names: work, ", 21);
    assert_null(strstr(hint, "workXXX"));
}

static void ignores_names_too_long_to_show(void **state)
{
    (void)state;
    char name[NEAREST_NAME_LENGTH + 2];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    const char *const names[] = {name, NULL};
    struct diag diag;
    assert_string_equal(hint_for("aaaa", names, &diag), "");
}

static void count_syscall(const char *name, int number, void *context)
{
    assert_int_equal(syscall_names_find(name), number);
    ++*(size_t *)context;
}

static void knows_the_syscalls_of_this_architecture(void **state)
{
    (void)state;
    size_t seen = 0;
    assert_int_equal(syscall_names_find("openat"), 257);
    assert_int_equal(syscall_names_find("open_at"), -1);
    assert_true(syscall_names_match("*", count_syscall, &seen) > 300);
    assert_true(seen > 300);
    assert_int_equal(syscall_names_match("openat", NULL, NULL), 1);
    assert_int_equal(syscall_names_match("openat?", NULL, NULL), 1);
    struct diag diag = {0};
    syscall_names_suggest("opnat", &diag);
    assert_memory_equal(diag.hint, "nearest names: openat", 21);
}

static void describes_the_spans(void **state)
{
    (void)state;
    assert_int_equal(span_names_match("*", NULL, NULL), 4);
    assert_int_equal(span_names_match("*irq", NULL, NULL), 2);
    assert_int_equal(span_names_match("block_io", NULL, NULL), 0);
    struct diag diag = {0};
    span_names_suggest("block_io", &diag);
    assert_string_equal(diag.hint, "nearest names: block-io");
    span_names_suggest("frobnicate", &diag);
    assert_string_equal(diag.hint, "spans are block-io, run-queue, softirq and irq");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_the_nearest_spelling_first),
        cmocka_unit_test(keeps_the_best_of_many),
        cmocka_unit_test(ignores_names_too_long_to_show),
        cmocka_unit_test(knows_the_syscalls_of_this_architecture),
        cmocka_unit_test(describes_the_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
