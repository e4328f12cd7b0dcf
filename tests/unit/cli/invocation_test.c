/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command_table.c"
#include "cli/completion.c"
#include "cli/invocation.c"
#include "cli/message.c"
#include "cli/output.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

/* The commands themselves are not under test. */
#define STUB(name)                                                                                 \
    int name(const struct invocation *invocation)                                                  \
    {                                                                                              \
        (void)invocation;                                                                          \
        return 0;                                                                                  \
    }
STUB(command_watch)
STUB(command_stats)
STUB(command_status)
STUB(command_list)
STUB(command_heap)
STUB(command_top)
STUB(command_check_config)
STUB(command_show_help)
STUB(command_version)

#define WORDS_MAX 16

static int parse(struct invocation *invocation, char *words[WORDS_MAX])
{
    int count = 0;
    while (words[count])
        count++;
    return invocation_parse(count, words, invocation);
}
#define PARSE(invocation, ...)                                                                     \
    parse(invocation, (char *[WORDS_MAX]){(char *)"loris", __VA_ARGS__, NULL})

static void takes_options_wherever_they_stand(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(PARSE(&invocation, "--json", "watch", "a:b", "-p", "1", "c:d", "-p2",
                           "--socket=/s", "--by", "none"),
                     0);
    assert_ptr_equal(invocation.command->run, command_watch);
    assert_true(invocation.json);
    assert_string_equal(invocation.socket_path, "/s");
    assert_int_equal(invocation.argument_count, 2);
    assert_string_equal(invocation.arguments[0], "a:b");
    assert_string_equal(invocation.arguments[1], "c:d");
    assert_string_equal(invocation_value(&invocation, OPTION_PID), "2");
    assert_string_equal(invocation_value(&invocation, OPTION_BY), "none");
    assert_int_equal(invocation.given_count, 3);
    assert_null(invocation.child_arguments);
    assert_false(invocation_has(&invocation, OPTION_FORCE));
    invocation_done(&invocation);
}

static void leaves_the_childs_options_alone(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(
        PARSE(&invocation, "watch", "a:b", "-i", "1s", "--", "ls", "-l", "--", "--json"), 0);
    assert_int_equal(invocation.argument_count, 1);
    assert_false(invocation.json);
    assert_string_equal(invocation.child_arguments[0], "ls");
    assert_string_equal(invocation.child_arguments[1], "-l");
    assert_string_equal(invocation.child_arguments[3], "--json");
    assert_null(invocation.child_arguments[4]);
    invocation_done(&invocation);
}

static void asks_for_help_without_arguments(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(PARSE(&invocation, "watch", "--help"), 0);
    assert_true(invocation.help);
    invocation_done(&invocation);
    assert_int_equal(PARSE(&invocation, "-h"), 0);
    assert_ptr_equal(invocation.command->run, command_show_help);
    invocation_done(&invocation);
}

static void reports_every_misuse_as_a_usage_error(void **state)
{
    (void)state;
    static char *const misuses[][WORDS_MAX] = {
        {"loris", NULL},
        {"loris", "wathc", NULL},
        {"loris", "", NULL},
        {"loris", "--nope", NULL},
        {"loris", "stats", "--nope", NULL},
        {"loris", "stats", "-q", NULL},
        {"loris", "stats", "--window", NULL},
        {"loris", "stats", "-p", NULL},
        {"loris", "stats", "--json=1", NULL},
        {"loris", "stats", "--by", "", NULL},
        {"loris", "stats", "--by", "process unit", NULL},
        {"loris", "stats", "--by", "proc", NULL},
        {"loris", "stats", "a", "b", NULL},
        {"loris", "watch", NULL},
        {"loris", "watch", "a:b", "--", NULL},
        {"loris", "list", NULL},
        {"loris", "status", "-i", "1s", NULL},
    };
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
        struct invocation invocation;
        char *words[WORDS_MAX];
        memcpy(words, misuses[i], sizeof(words));
        assert_int_equal(parse(&invocation, words), EXIT_CODE_USAGE);
        invocation_done(&invocation);
    }
}

static void bounds_the_number_of_options(void **state)
{
    (void)state;
    struct invocation invocation;
    enum { COUNT = INVOCATION_OPTIONS_MAX + 4 };
    char **words = calloc(COUNT + 1, sizeof(*words));
    assert_non_null(words);
    for (size_t i = 0; i < COUNT; i++)
        words[i] = (char *)"-p1";
    words[0] = (char *)"loris";
    words[1] = (char *)"watch";
    words[2] = (char *)"a:b";
    assert_int_equal(invocation_parse(COUNT, words, &invocation), EXIT_CODE_USAGE);
    invocation_done(&invocation);
    free(words);
}

static void has_help_and_examples_for_every_command(void **state)
{
    (void)state;
    struct text overview = {0};
    command_overview(&overview);
    for (const struct command *command = command_table; command->name; command++) {
        struct text help = {0};
        char example[64];
        command_help(command, &help);
        snprintf(example, sizeof(example), "loris %s", command->name);
        assert_non_null(strstr(overview.bytes, command->name));
        assert_non_null(strstr(command->examples, command->name));
        assert_non_null(strstr(help.bytes, example));
        for (const char *line = help.bytes; *line; line += strcspn(line, "\n") + 1)
            assert_true(strcspn(line, "\n") <= 100);
        text_done(&help);
    }
    text_done(&overview);
}

static void completes_every_command_and_option(void **state)
{
    (void)state;
    void (*const shells[])(struct text *) = {complete_bash, complete_zsh, complete_fish};
    for (size_t i = 0; i < 3; i++) {
        struct text script = {0};
        shells[i](&script);
        for (const struct command *command = command_table; command->name; command++) {
            assert_non_null(strstr(script.bytes, command->name));
            for (const struct command_option *option = command->options; option->id != OPTION_NONE;
                 option++)
                assert_non_null(strstr(script.bytes, option->name));
        }
        text_done(&script);
    }
}

static void maps_errors_to_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(message_exit_code(0), 0);
    assert_int_equal(message_exit_code(-EREMOTEIO), 1);
    assert_int_equal(message_exit_code(-ENOENT), 3);
    assert_int_equal(message_exit_code(-ECONNREFUSED), 3);
    assert_int_equal(message_exit_code(-ECONNRESET), 3);
    assert_int_equal(message_exit_code(-EACCES), 4);
    assert_int_equal(message_exit_code(-EPERM), 4);
}

static void parse_one(void *context)
{
    (void)context;
    struct invocation invocation;
    int code = PARSE(&invocation, "watch", "a:b", "-p", "1", "-i", "1s");
    assert_true(code == 0 || code == EXIT_CODE_FAILED);
    invocation_done(&invocation);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(parse_one, NULL), 2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_options_wherever_they_stand),
        cmocka_unit_test(leaves_the_childs_options_alone),
        cmocka_unit_test(asks_for_help_without_arguments),
        cmocka_unit_test(reports_every_misuse_as_a_usage_error),
        cmocka_unit_test(bounds_the_number_of_options),
        cmocka_unit_test(has_help_and_examples_for_every_command),
        cmocka_unit_test(completes_every_command_and_option),
        cmocka_unit_test(maps_errors_to_exit_codes),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
