/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/alert_view.c"
#include "cli/check.c"
#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Nothing is printed here. */
int output_once(struct text *text)
{
    text_clear(text);
    return EXIT_CODE_FINE;
}

static json_t *json_of(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, text);
    return json;
}

#define RULE(more)                                                                                 \
    "{\"alert\":\"slow\",\"severity\":\"warning\",\"probe\":\"user:a:b\",\"metric\":\"p99\","      \
    "\"condition\":\"above\",\"threshold\":200000000.0,\"value_unit\":\"ns\"," more "}"

static void assert_value(const char *object, const char *expected)
{
    char value[32];
    json_t *json = json_of(object);
    alert_view_value(json, "value", value);
    assert_string_equal(value, expected);
    json_decref(json);
}

static void values_read_as_people_write_them(void **state)
{
    (void)state;
    assert_value("{\"value_unit\":\"ns\",\"value\":312000000}", "312 ms");
    assert_value("{\"value_unit\":\"ratio\",\"value\":0.052}", "5.20 %");
    assert_value("{\"value_unit\":\"per_s\",\"value\":1200.5}", "1.20 k/s");
    assert_value("{\"value_unit\":\"bytes\",\"value\":67108864}", "64.0 MiB");
    assert_value("{\"value_unit\":\"number\",\"value\":3}", "3");
    assert_value("{\"value_unit\":\"ns\"}", "-");
    assert_value("{\"value_unit\":\"ns\",\"value\":-5}", "-");
    assert_value("{\"value_unit\":\"ns\",\"value\":1e300}", "-");
}

static void a_table_shows_who_and_since_when(void **state)
{
    (void)state;
    json_t *reply =
        json_of("{\"alerts\":[" RULE("\"state\":\"firing\",\"value\":312000000,\"group\":{\"kind\":"
                                     "\"process\",\"pid\":71,\"comm\":\"pg\"},"
                                     "\"active_since\":\"2026-11-20T14:43:20.123Z\"") "]}");
    struct text out = {0};
    alert_view_active(reply, 0, false, &out);
    assert_string_equal(
        out.bytes,
        "STATE   SEVERITY  ALERT  PROBE     WHO      VALUE  LIMIT         SINCE\n"
        "firing  warning   slow   user:a:b  pg[71]  312 ms  above 200 ms  2026-11-20T14:43:20Z\n");
    text_done(&out);
    json_decref(reply);
}

static void the_footer_counts_rules_by_their_state(void **state)
{
    (void)state;
    json_t *reply = json_of("{\"rules\":[{\"state\":\"firing\"},{\"state\":\"inactive\"},"
                            "{\"state\":\"unknown\"},{\"state\":\"inactive\"}],\"held_back\":3}");
    struct text out = {0};
    alert_view_footer(reply, &out);
    assert_string_equal(out.bytes,
                        "4 rules: 1 firing, 1 without data, 2 ok; 3 changes held back\n");
    text_done(&out);
    json_decref(reply);
}

static void a_change_is_a_line_whatever_it_says(void **state)
{
    (void)state;
    json_t *alert = json_of("{\"time\":\"2026-11-20T14:43:20.123Z\",\"state\":\"firing\","
                            "\"severity\":\"critical\",\"alert\":\"slow\","
                            "\"message\":\"a\\nb\\u001b[2J\"}");
    struct text out = {0};
    alert_view_change(alert, &out);
    assert_string_equal(out.bytes, "2026-11-20T14:43:20Z  firing    critical  slow: a?b?[2J\n");
    text_done(&out);
    json_decref(alert);
}

/* --- loris check ------------------------------------------------------------------------------ */

static void assert_finding(const char *reply_text, enum plugin_code code, const char *expected)
{
    json_t *reply = json_of(reply_text);
    struct text line = {0};
    assert_int_equal(code_of(reply), code);
    append_finding(&line, reply, code);
    assert_string_equal(line.bytes, expected);
    text_done(&line);
    json_decref(reply);
}

static void a_check_says_what_is_worst(void **state)
{
    (void)state;
    assert_finding(
        "{\"state\":\"inactive\",\"severity\":\"warning\",\"alerts\":[],\"rules\":[" RULE(
            "\"state\":\"inactive\",\"value\":3000000") "]}",
        PLUGIN_OK, "slow: p99 of user:a:b is 3.00 ms, not above 200 ms");
    assert_finding("{\"state\":\"unknown\",\"severity\":\"warning\",\"alerts\":[],\"rules\":[" RULE(
                       "\"state\":\"unknown\"") "]}",
                   PLUGIN_UNKNOWN, "slow: p99 of user:a:b has no data (limit: above 200 ms)");
#define ALERT(state, severity, message)                                                            \
    "{\"alert\":\"x\",\"state\":\"" state "\",\"severity\":\"" severity                            \
    "\",\"message\":\"" message "\"}"
    assert_finding("{\"state\":\"firing\",\"severity\":\"critical\",\"alerts\":[" ALERT(
                       "firing", "warning",
                       "w") "," ALERT("pending", "critical",
                                      "p") "," ALERT("firing", "critical",
                                                     "a | b") "," ALERT("firing", "critical",
                                                                        "c") "],"
                                                                             "\"rules\":[]}",
                   PLUGIN_CRITICAL, "x firing: a / b, and 1 more");
#undef ALERT
}

static void severities_are_plugin_codes(void **state)
{
    (void)state;
    static const struct {
        const char *state, *severity;
        enum plugin_code code;
    } cases[] = {
        {"inactive", "critical", PLUGIN_OK},
        {"pending", "critical", PLUGIN_OK},
        {"firing", "info", PLUGIN_OK},
        {"firing", "warning", PLUGIN_WARNING},
        {"firing", "critical", PLUGIN_CRITICAL},
        {"unknown", "info", PLUGIN_UNKNOWN},
        {"", "", PLUGIN_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *object =
            json_pack("{s:s,s:s}", "state", cases[i].state, "severity", cases[i].severity);
        assert_int_equal(code_of(object), cases[i].code);
        json_decref(object);
    }
}

static void assert_perfdata(const char *rule, const char *expected)
{
    json_t *object = json_of(rule);
    struct text line = {0};
    append_perfdata(&line, object);
    assert_string_equal(line.bytes, expected);
    text_done(&line);
    json_decref(object);
}

static void performance_data_has_units_and_ranges(void **state)
{
    (void)state;
    assert_perfdata(RULE("\"value\":312000000"), " 'slow'=0.312s;0.2;;0");
    assert_perfdata("{\"alert\":\"a'b=c|d\",\"severity\":\"critical\",\"condition\":\"below\","
                    "\"value_unit\":\"ratio\",\"value\":0.4,\"threshold\":0.5}",
                    " 'a_b_c_d'=40%;;50:;0");
    assert_perfdata("{\"alert\":\"m\",\"severity\":\"info\",\"condition\":\"above\","
                    "\"value_unit\":\"bytes\",\"value\":1000,\"threshold\":2000}",
                    " 'm'=1000B;2000;;0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_read_as_people_write_them),
        cmocka_unit_test(a_table_shows_who_and_since_when),
        cmocka_unit_test(the_footer_counts_rules_by_their_state),
        cmocka_unit_test(a_change_is_a_line_whatever_it_says),
        cmocka_unit_test(a_check_says_what_is_worst),
        cmocka_unit_test(severities_are_plugin_codes),
        cmocka_unit_test(performance_data_has_units_and_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
