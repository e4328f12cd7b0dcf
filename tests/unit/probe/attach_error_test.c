/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_error.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void knows_the_error_that_only_the_kernel_has(void **state)
{
    (void)state;
    assert_string_equal(attach_error_text(524), "the kernel cannot probe this instruction");
    assert_string_equal(attach_error_text(-524), "the kernel cannot probe this instruction");
}

static void leaves_no_usual_error_without_words(void **state)
{
    (void)state;
    static const int errors[] = {EPERM,  EACCES, EINVAL, EILSEQ, ENOEXEC, EMFILE,
                                 ENFILE, ENOMEM, EBUSY,  ENOENT, ESRCH,   EOPNOTSUPP};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *text = attach_error_text(-errors[i]);
        assert_non_null(text);
        assert_null(strstr(text, "Unknown"));
        assert_string_equal(text, attach_error_text(errors[i]));
    }
}

static void says_something_of_every_number(void **state)
{
    (void)state;
    static const int errors[] = {0, 1, 4095, 100000, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        assert_true(strlen(attach_error_text(errors[i])) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_error_that_only_the_kernel_has),
        cmocka_unit_test(leaves_no_usual_error_without_words),
        cmocka_unit_test(says_something_of_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
