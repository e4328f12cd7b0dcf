/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/status_outputs.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_printed(const char *reply_text, const char *expected)
{
    _cleanup_text_ struct text out = {0};
    _cleanup_json_ json_t *reply = json_loads(reply_text, 0, NULL);
    assert_non_null(reply);
    status_outputs_print(reply, &out);
    assert_int_equal(out.failed, 0);
    assert_string_equal(out.length ? out.bytes : "", expected);
}

static void an_agent_that_writes_no_lines_says_nothing_of_them(void **state)
{
    (void)state;
    assert_printed("{}", "");
    assert_printed("{\"outputs\":[]}", "");
}

static void tells_what_was_written_waits_and_was_lost(void **state)
{
    (void)state;
    assert_printed("{\"outputs\":[{\"name\":\"summaries\",\"to\":\"/var/log/x\",\"written\":12345,"
                   "\"failed\":678,\"pending\":1,\"failing\":\"No space left on device\"},"
                   "{\"name\":\"summaries\",\"to\":\"journal\",\"written\":0,\"failed\":0,"
                   "\"pending\":0},"
                   "{\"name\":\"alerts\",\"to\":\"-\",\"written\":1,\"failed\":0,\"pending\":0}]}",
                   "lines     summaries to /var/log/x: 12,345 written, 1 pending, 678 failed; "
                   "failing: No space left on device\n"
                   "          summaries to journal: 0 written\n"
                   "          alerts to stdout: 1 written\n");
}

static void a_path_cannot_write_on_the_terminal(void **state)
{
    (void)state;
    assert_printed("{\"outputs\":[{\"name\":\"summaries\",\"to\":\"/a\\u001b[2J\",\"written\":1}]}",
                   "lines     summaries to /a?[2J: 1 written\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_that_writes_no_lines_says_nothing_of_them),
        cmocka_unit_test(tells_what_was_written_waits_and_was_lost),
        cmocka_unit_test(a_path_cannot_write_on_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
