/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 8

/* The exit code, or -1 where lorisd would go on. */
static int parse(struct options *options, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)"lorisd"};
    int argc = 1, code = -1;
    while (argc <= ARGUMENTS_MAX && arguments[argc - 1]) {
        argv[argc] = (char *)arguments[argc - 1];
        argc++;
    }
    optind = 0; /* getopt_long(3): begin anew */
    opterr = 0;
    bool goes_on = options_parse(argc, argv, options, &code);
    assert_int_equal(goes_on, code == -1);
    return code;
}

#define PARSE(options, ...) parse(options, (const char *const[]){__VA_ARGS__, NULL})

static void reads_what_is_given_and_leaves_the_rest_open(void **state)
{
    (void)state;
    struct options options;
    const char *none[] = {NULL};
    assert_int_equal(parse(&options, none), -1);
    assert_null(options.config_path);
    assert_null(options.socket_path);
    assert_int_equal(options.client_fd, -1);
    assert_int_equal(PARSE(&options, "-c", "a.yaml", "--socket=/s", "--budget", "5%"), -1);
    assert_string_equal(options.config_path, "a.yaml");
    assert_string_equal(options.socket_path, "/s");
    assert_string_equal(options.budget, "5%");
    assert_false(options.check_only);
    assert_int_equal(PARSE(&options, "--check-config", "b.yaml"), -1);
    assert_true(options.check_only);
    assert_string_equal(options.config_path, "b.yaml");
}

static void takes_numbers_of_open_sockets_only(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(PARSE(&options, "--client-fd", "7"), -1);
    assert_int_equal(options.client_fd, 7);
    static const char *const wrong[] = {"-1", "1024", "x", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(PARSE(&options, "--client-fd", wrong[i]), LORISD_USAGE);
}

static void ends_with_usage_on_what_it_does_not_know(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(PARSE(&options, "--wibble"), LORISD_USAGE);
    assert_int_equal(PARSE(&options, "word"), LORISD_USAGE);
    assert_int_equal(PARSE(&options, "--config"), LORISD_USAGE);
}

static void ends_well_after_help_and_version(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(PARSE(&options, "--help"), LORISD_FINE);
    assert_int_equal(PARSE(&options, "--version"), LORISD_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_given_and_leaves_the_rest_open),
        cmocka_unit_test(takes_numbers_of_open_sockets_only),
        cmocka_unit_test(ends_with_usage_on_what_it_does_not_know),
        cmocka_unit_test(ends_well_after_help_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
