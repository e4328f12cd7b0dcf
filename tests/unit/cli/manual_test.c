/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/manual.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A table of its own: what commands there are is not the matter here. */
static const struct command_option options[] = {
    {OPTION_BY, 0, "by", "GROUP", "unit none", "one line for each"},
    {OPTION_PID, 'p', "pid", "PID", NULL, "a_b *c* <d>"},
    {.id = OPTION_NONE},
};
const struct command_option command_global_options[] = {
    {OPTION_HELP, 'h', "help", NULL, NULL, "this text"},
    {.id = OPTION_NONE},
};
const struct command command_table[] = {
    {
        .name = "see",
        .arguments = "[PROBE-GLOB] red|green FILE...",
        .takes_child = true,
        .summary = "look",
        .description = "Looks.\n# no heading\n- no list",
        .examples = "see '*'\n",
        .options = options,
    },
    {.name = NULL},
};

static void assert_says(const char *part)
{
    _cleanup_text_ struct text out = {0};
    manual_format(&out);
    assert_false(out.failed);
    if (!strstr(out.bytes, part))
        fail_msg("\"%s\" is not in: %s", part, out.bytes);
}

static void tells_words_to_type_from_those_that_stand_for_something(void **state)
{
    (void)state;
    assert_says("*loris see* [_PROBE-GLOB_] *red*|*green* _FILE_... [_OPTION_]... "
                "[*--* _COMMAND_ _ARG_...]\n");
}

static void names_options_with_their_letters_values_and_choices(void **state)
{
    (void)state;
    assert_says("*--by* _GROUP_\n\tone line for each.\n\tOne of *unit*, *none*.\n\n");
    assert_says("*-p*, *--pid* _PID_\n");
    assert_says("# OPTIONS OF EVERY COMMAND\n\n*-h*, *--help*\n\tthis text\n");
}

static void escapes_what_would_be_formatted(void **state)
{
    (void)state;
    assert_says("\ta\\_b \\*c\\* \\<d>\n");
    assert_says("Looks.\n\\# no heading\n\\- no list\n");
}

static void leaves_examples_as_they_are(void **state)
{
    (void)state;
    assert_says("```\nsee '*'\n```\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_words_to_type_from_those_that_stand_for_something),
        cmocka_unit_test(names_options_with_their_letters_values_and_choices),
        cmocka_unit_test(escapes_what_would_be_formatted),
        cmocka_unit_test(leaves_examples_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
