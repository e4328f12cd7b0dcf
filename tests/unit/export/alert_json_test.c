/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../alert/alert_cases.h"

#include <jansson.h>

#include "export/alert_json.h"
#include "export/line_layout.h"

/* Book time 5000 s is 2026-11-20T15:00:00Z. */
static const struct alert_clock noon = {5000 * S, 1795186800 * S, 60 * S};

static struct alert firing_alert(uint32_t pid)
{
    return (struct alert){.subject = process_subject(pid),
                          .state = {ALERT_FIRING, .active_ns = 4000 * S, .fired_ns = 4300 * S},
                          .sight = ALERT_SEES_TRUE,
                          .value = 312e6,
                          .count = 40};
}

static json_t *object_of(const struct alert_notice *notice)
{
    struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_json_write_notice(&json, NULL, notice, &noon);
    assert_int_equal(text.failed, 0);
    json_t *object = json_loads(text.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    text_done(&text);
    return object;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "(none)";
}

static void an_alert_has_all_that_is_known_of_it(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    assert_int_equal(alert_rule_add_label(&rule, "team", "db"), 0);
    assert_int_equal(alert_rule_add_annotation(&rule, "runbook", "see {labels.team}, {window}"), 0);
    const struct alert alert = firing_alert(71);
    struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_json_write(&json, NULL, &rule, &alert, &noon, 9);
    assert_string_equal(
        text.bytes,
        "{\"schema\":\"loris.alert/1\",\"time\":\"2026-11-20T15:00:00.000Z\",\"seq\":9,"
        "\"alert\":\"slow\",\"state\":\"firing\",\"severity\":\"warning\","
        "\"message\":\"p99 of user:a:b for comm[71] is 312 ms, above 200 ms\","
        "\"probe\":\"user:a:b\","
        "\"group\":{\"kind\":\"process\",\"pid\":71,\"comm\":\"comm\",\"unit\":\"x.service\"},"
        "\"metric\":\"p99\",\"condition\":\"above\",\"threshold\":200000000.0,\"value_unit\":"
        "\"ns\","
        "\"window_s\":60.0,\"value\":312000000.0,\"count\":40,"
        "\"active_since\":\"2026-11-20T14:43:20.000Z\",\"fired_at\":\"2026-11-20T14:48:20.000Z\","
        "\"labels\":{\"team\":\"db\"},\"annotations\":{\"runbook\":\"see db, 60.0 s\"}}");
    text_done(&text);
    alert_rule_done(&rule);
}

static void a_notice_names_others_and_what_was_held_back(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    struct alert alerts[30];
    const struct alert *pointers[30];
    for (uint32_t i = 0; i < 30; i++) {
        alerts[i] = firing_alert(i + 1);
        pointers[i] = &alerts[i];
    }
    const struct alert_notice notice = {ALERT_NOTICE_FIRING, &rule, pointers, 30, 7};
    json_t *object = object_of(&notice);
    assert_string_equal(string_of(object, "kind"), "firing");
    assert_string_equal(string_of(object, "message"),
                        "slow is firing: p99 of user:a:b for comm[1] is 312 ms, above 200 ms, "
                        "and 29 more; 7 changes held back");
    assert_int_equal(json_integer_value(json_object_get(object, "alerts")), 30);
    assert_int_equal(json_integer_value(json_object_get(object, "held_back")), 7);
    assert_int_equal(json_array_size(json_object_get(object, "more")), ALERT_JSON_MORE_MAX);
    json_decref(object);
}

static void what_is_held_back_alone_is_a_notice_without_an_alert(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    const struct alert_notice notice = {
        .kind = ALERT_NOTICE_HELD_BACK, .rule = &rule, .held_back = 1};
    json_t *object = object_of(&notice);
    assert_string_equal(string_of(object, "kind"), "held_back");
    assert_string_equal(string_of(object, "message"), "slow goes up and down: 1 change held back");
    assert_null(json_object_get(object, "state"));
    assert_null(json_object_get(object, "value"));
    json_decref(object);
}

static void an_end_that_was_held_back_is_told_although_it_is_pending_again(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    struct alert alert = firing_alert(71);
    const struct alert *pointers[] = {&alert};
    const struct alert_notice notice = {ALERT_NOTICE_RESOLVED, &rule, pointers, 1, 0};
    alert.state.phase = ALERT_PENDING;
    json_t *object = object_of(&notice);
    assert_string_equal(string_of(object, "kind"), "resolved");
    assert_string_equal(string_of(object, "state"), "resolved");
    assert_string_equal(string_of(object, "message"),
                        "slow is resolved and pending again: p99 of user:a:b for comm[71] is "
                        "312 ms, above 200 ms");
    json_decref(object);
}

static void assert_message(const struct alert *alert, const char *expected)
{
    const struct alert_rule rule = slow_rule("slow");
    struct text message = {0};
    alert_message_write(&rule, alert, 60 * S, &message);
    assert_string_equal(message.bytes, expected);
    text_done(&message);
}

static void says_how_it_ended(void **state)
{
    (void)state;
    struct alert alert = firing_alert(71);
    alert.state.phase = ALERT_INACTIVE;
    alert.sight = ALERT_SEES_FALSE;
    alert.value = 90e6;
    assert_message(&alert, "p99 of user:a:b for comm[71] is 90.0 ms, no longer above 200 ms");
    alert.is_gone = true;
    assert_message(&alert, "the process has ended");
    alert.is_gone = false;
    alert.sight = ALERT_SEES_NOTHING;
    assert_message(&alert, "given up without data");
    alert.is_ruleless = true;
    assert_message(&alert, "the rule is gone or asks for something else now");
    alert.is_ruleless = false;
    alert.state.phase = ALERT_UNKNOWN;
    alert.value = 312e6;
    assert_message(&alert, "p99 of user:a:b for comm[71] was 312 ms, above 200 ms; no data since");
}

static void a_notice_is_a_line_whatever_strangers_are_called(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    char name[ALERT_LABEL_BYTES], probe[ALERT_PROBE_BYTES], long_text[ALERT_TEXT_BYTES];
    memset(probe, '\x01', sizeof(probe) - 1);
    probe[sizeof(probe) - 1] = '\0';
    memset(long_text, '"', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (unsigned i = 0; i < ALERT_ANNOTATIONS_MAX; i++) {
        snprintf(name, sizeof(name), "a%u", i);
        assert_int_equal(alert_rule_add_annotation(&rule, name, long_text), 0);
    }
    long_text[ALERT_LABEL_TEXT_BYTES - 1] = '\0';
    for (unsigned i = 0; i < ALERT_LABELS_MAX; i++) {
        snprintf(name, sizeof(name), "l%u", i);
        assert_int_equal(alert_rule_add_label(&rule, name, long_text), 0);
    }
    struct alert alert = firing_alert(71);
    alert.subject.comm = probe;
    alert.subject.unit = "\xff\xfe";
    const struct alert *pointers[ALERT_ALERTS_OF_RULE];
    for (size_t i = 0; i < ALERT_ALERTS_OF_RULE; i++)
        pointers[i] = &alert;
    const struct alert_notice notice = {ALERT_NOTICE_FIRING, &rule, pointers, ALERT_ALERTS_OF_RULE,
                                        0};
    const struct line_origin origin = {"host", "1", "run", 1};
    struct text text = {0}, line = {0};
    struct json_writer json = {.text = &text};
    alert_json_write_notice(&json, NULL, &notice, &noon);
    assert_int_equal(line_layout_write(&line, LINE_LAYOUT_LORIS, &origin, text.bytes, text.length),
                     0);
    json_t *object = json_loads(line.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    assert_string_equal(string_of(object, "alert"), "slow");
    assert_int_equal(json_integer_value(json_object_get(object, "alerts")), ALERT_ALERTS_OF_RULE);
    json_decref(object);
    text_done(&text);
    text_done(&line);
    alert_rule_done(&rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_has_all_that_is_known_of_it),
        cmocka_unit_test(a_notice_names_others_and_what_was_held_back),
        cmocka_unit_test(what_is_held_back_alone_is_a_notice_without_an_alert),
        cmocka_unit_test(an_end_that_was_held_back_is_told_although_it_is_pending_again),
        cmocka_unit_test(says_how_it_ended),
        cmocka_unit_test(a_notice_is_a_line_whatever_strangers_are_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
