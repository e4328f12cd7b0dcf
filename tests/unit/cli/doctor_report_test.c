/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/doctor_report.c"

#include "cli/json_field.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* checks: JSON objects, separated by commas. */
static struct text report(const char *checks, bool limited, unsigned width)
{
    struct text out = {0}, reply_text = {0};
    text_append_format(&reply_text, "{\"checks\":[%s],\"limited\":%s}", checks,
                       limited ? "true" : "false");
    json_t *reply = json_loads(reply_text.bytes, 0, NULL);
    assert_non_null(reply);
    doctor_report_print(reply, width, false, &out);
    assert_int_equal(out.failed, 0);
    json_decref(reply);
    text_done(&reply_text);
    return out;
}

static int exit_code(const char *checks, const char *limited)
{
    char text[512];
    snprintf(text, sizeof(text), "{\"checks\":[%s],\"limited\":%s}", checks, limited);
    json_t *reply = json_loads(text, 0, NULL);
    assert_non_null(reply);
    int code = doctor_report_exit_code(reply);
    json_decref(reply);
    return code;
}

#define CHECK(result) "{\"check\":\"a.b\",\"result\":\"" result "\",\"found\":\"that\"}"

static void a_check_has_what_follows_and_what_to_do(void **state)
{
    (void)state;
    struct text out =
        report("{\"check\":\"kernel.jit\",\"result\":\"warning\",\"found\":\"it is "
               "off\",\"consequence\":\"slow\",\"remedy\":\"switch it on\"}," CHECK("ok"),
               false, 0);
    assert_string_equal(out.bytes, "warning  kernel.jit                 it is off\n"
                                   "           so     slow\n"
                                   "           to do  switch it on\n"
                                   "ok       a.b                        that\n"
                                   "2 checks: 1 warning, 1 ok; loris can work here\n");
    text_done(&out);
}

static void trouble_is_bold_where_there_is_colour(void **state)
{
    (void)state;
    struct text out = {0};
    json_t *reply = json_loads("{\"checks\":[" CHECK("fail") "," CHECK("ok") "]}", 0, NULL);
    doctor_report_print(reply, 0, true, &out);
    assert_ptr_equal(strstr(out.bytes, "\033[1mfail     \033[0ma.b "), out.bytes);
    assert_non_null(strstr(out.bytes, "\nok       a.b "));
    json_decref(reply);
    text_done(&out);
}

static void lines_are_broken_between_words(void **state)
{
    (void)state;
    struct text out =
        report("{\"check\":\"a.b\",\"result\":\"fail\",\"found\":\"one two three four "
               "five six seven eight nine ten eleven\",\"remedy\":\"/a/word/that/is/"
               "longer/than/any/line/of/this/terminal/can/be/and/stays/whole x\"}",
               false, 80);
    assert_string_equal(
        out.bytes,
        "fail     a.b                        one two three four five six seven eight nine\n"
        "                                    ten eleven\n"
        "           to do  /a/word/that/is/longer/than/any/line/of/this/terminal/"
        "can/be/and/stays/whole\n"
        "                  x\n"
        "1 check: 1 fail; what fails keeps loris from working as it was asked to\n");
    for (unsigned width = 1; width < 200; width++) {
        struct text any = report(CHECK("unknown"), false, width);
        text_done(&any);
    }
    text_done(&out);
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    struct text out = report("{\"check\":\"a.b\",\"result\":\"ok\",\"found\":\"aaa bb cccc d eeeee "
                             "ff ggg hhhh iiiii j kk lll mmmm nnnnn ooooo pppp q rr sss\"}",
                             false, 61);
    for (char *line = strtok(out.bytes, "\n"); line; line = strtok(NULL, "\n"))
        assert_in_range(strlen(line), 1, 61);
    text_done(&out);
}

static void the_exit_code_says_whether_loris_can_work(void **state)
{
    (void)state;
    assert_int_equal(exit_code(CHECK("ok") "," CHECK("warning") "," CHECK("absent"), "false"), 0);
    assert_int_equal(exit_code(CHECK("unknown"), "false"), 0);
    assert_int_equal(exit_code(CHECK("ok") "," CHECK("fail"), "false"), 1);
    assert_int_equal(exit_code(CHECK("fail"), "true"), 1);
    assert_int_equal(exit_code(CHECK("unknown"), "true"), 4);
    assert_int_equal(exit_code("", "null"), 0);
}

static void shows_answers_of_any_shape(void **state)
{
    (void)state;
    static const char *const odd[] = {"7",
                                      "null",
                                      "{}",
                                      "[]",
                                      "{\"check\":7,\"result\":[],\"found\":null}",
                                      "{\"check\":\"\\u001b[2J\",\"result\":\"\\u001b[31m evil and "
                                      "long\",\"found\":\"\\u009b\"}"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct text out = report(odd[i], true, 80);
        assert_null(strchr(out.bytes, '\x1b'));
        text_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_has_what_follows_and_what_to_do),
        cmocka_unit_test(trouble_is_bold_where_there_is_colour),
        cmocka_unit_test(lines_are_broken_between_words),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(the_exit_code_says_whether_loris_can_work),
        cmocka_unit_test(shows_answers_of_any_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
