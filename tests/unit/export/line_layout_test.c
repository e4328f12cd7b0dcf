/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/line_layout.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

static const struct line_origin origin = {
    .host = "db1", .version = "9.8", .run = "00112233445566778899aabbccddeeff", .seq = 17};

static const char series[] =
    "{\"schema\":\"loris.series/1\",\"time\":\"2026-11-20T07:00:00.123Z\",\"window_s\":10.0,"
    "\"probe\":\"user:libc.so.6:malloc\",\"group\":{\"kind\":\"process\",\"pid\":71,"
    "\"comm\":\"redis-server\",\"unit\":\"redis.service\"},\"count\":12345,\"rate_per_s\":1234.5,"
    "\"errors\":2,\"time_share\":1.0,\"p50_ns\":240,\"p99_ns\":2100,\"max_ns\":88000,\"lost\":0}";

static const char alert[] =
    "{\"schema\":\"loris.alert/1\",\"time\":\"2026-11-20T07:00:00.123Z\",\"alert\":\"slow\","
    "\"state\":\"firing\",\"severity\":\"critical\",\"message\":\"too slow\",\"value\":0.5,"
    "\"labels\":{\"team\":\"db\",\"a\\\"b\":\"c\"}}";

static const enum line_layout layouts[] = {LINE_LAYOUT_LORIS, LINE_LAYOUT_ECS, LINE_LAYOUT_OTEL};

static void assert_line(enum line_layout layout, const char *object, const char *expected)
{
    _cleanup_text_ struct text lines = {0};
    assert_int_equal(line_layout_write(&lines, layout, &origin, object, strlen(object)), 0);
    assert_string_equal(lines.bytes, expected);
}

/* The line, read back. */
static json_t *line_of(enum line_layout layout, const char *object)
{
    _cleanup_text_ struct text lines = {0};
    assert_int_equal(line_layout_write(&lines, layout, &origin, object, strlen(object)), 0);
    assert_true(lines.length <= LINE_LAYOUT_BYTES_MAX);
    assert_ptr_equal(memchr(lines.bytes, '\n', lines.length), lines.bytes + lines.length - 1);
    json_t *line = json_loadb(lines.bytes, lines.length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    return line;
}

static void the_loris_layout_is_the_object_with_its_place(void **state)
{
    (void)state;
    _cleanup_text_ struct text expected = {0};
    text_append(&expected, series, strlen(series) - 1);
    text_append_string(&expected, ",\"seq\":17,\"run\":\"00112233445566778899aabbccddeeff\"}\n");
    assert_line(LINE_LAYOUT_LORIS, series, expected.bytes);
}

static void ecs_has_its_own_names_and_the_rest_below_loris(void **state)
{
    (void)state;
    assert_line(
        LINE_LAYOUT_ECS, series,
        "{\"@timestamp\":\"2026-11-20T07:00:00.123Z\",\"ecs\":{\"version\":\"8.11.0\"},"
        "\"message\":\"user:libc.so.6:malloc redis-server[71]: 12345 calls, 1.23 k/s, p50 240 ns, "
        "p99 2.10 us, max 88.0 us, 2 errors\",\"log\":{\"level\":\"info\"},"
        "\"event\":{\"kind\":\"metric\",\"module\":\"loris\",\"dataset\":\"loris.series\","
        "\"sequence\":17,\"duration\":10000000000},"
        "\"agent\":{\"type\":\"loris\",\"version\":\"9.8\","
        "\"ephemeral_id\":\"00112233445566778899aabbccddeeff\"},\"host\":{\"hostname\":\"db1\"},"
        "\"service\":{\"name\":\"redis\"},\"process\":{\"pid\":71,\"name\":\"redis-server\"},"
        "\"loris\":{\"schema\":\"loris.series/1\",\"window_s\":10.0,"
        "\"probe\":\"user:libc.so.6:malloc\",\"group\":{\"kind\":\"process\","
        "\"unit\":\"redis.service\"},\"count\":12345,\"rate_per_s\":1234.5,\"errors\":2,"
        "\"time_share\":1.0,\"p50_ns\":240,\"p99_ns\":2100,\"max_ns\":88000,\"lost\":0}}\n");
}

static void ecs_knows_an_alert(void **state)
{
    (void)state;
    assert_line(
        LINE_LAYOUT_ECS, alert,
        "{\"@timestamp\":\"2026-11-20T07:00:00.123Z\",\"ecs\":{\"version\":\"8.11.0\"},"
        "\"message\":\"too slow\",\"log\":{\"level\":\"critical\"},"
        "\"event\":{\"kind\":\"alert\",\"module\":\"loris\",\"dataset\":\"loris.alert\","
        "\"sequence\":17},\"agent\":{\"type\":\"loris\",\"version\":\"9.8\","
        "\"ephemeral_id\":\"00112233445566778899aabbccddeeff\"},\"host\":{\"hostname\":\"db1\"},"
        "\"rule\":{\"name\":\"slow\"},\"labels\":{\"team\":\"db\",\"a_b\":\"c\"},"
        "\"loris\":{\"schema\":\"loris.alert/1\",\"alert\":\"slow\",\"state\":\"firing\","
        "\"severity\":\"critical\",\"value\":0.5}}\n");
}

static void otel_is_a_log_record_with_flat_attributes(void **state)
{
    (void)state;
    assert_line(
        LINE_LAYOUT_OTEL, alert,
        "{\"Timestamp\":\"2026-11-20T07:00:00.123Z\","
        "\"ObservedTimestamp\":\"2026-11-20T07:00:00.123Z\",\"SeverityText\":\"critical\","
        "\"SeverityNumber\":18,\"EventName\":\"loris.alert\",\"Body\":\"too slow\","
        "\"Resource\":{\"service.name\":\"loris\",\"service.version\":\"9.8\","
        "\"service.instance.id\":\"00112233445566778899aabbccddeeff\",\"host.name\":\"db1\"},"
        "\"InstrumentationScope\":{\"Name\":\"loris\",\"Version\":\"9.8\"},"
        "\"Attributes\":{\"loris.schema\":\"loris.alert/1\",\"loris.alert\":\"slow\","
        "\"loris.state\":\"firing\",\"loris.severity\":\"critical\",\"loris.value\":0.5,"
        "\"loris.labels.team\":\"db\",\"loris.labels.a_b\":\"c\",\"loris.seq\":17}}\n");
    json_t *line = line_of(LINE_LAYOUT_OTEL, series);
    const json_t *attributes = json_object_get(line, "Attributes");
    assert_int_equal(json_integer_value(json_object_get(attributes, "process.pid")), 71);
    assert_string_equal(json_string_value(json_object_get(attributes, "process.executable.name")),
                        "redis-server");
    assert_int_equal(json_integer_value(json_object_get(line, "SeverityNumber")), 9);
    json_decref(line);
}

static void what_is_over_is_no_longer_critical(void **state)
{
    (void)state;
    json_t *line = line_of(LINE_LAYOUT_OTEL, "{\"schema\":\"loris.alert/1\",\"time\":\"t\","
                                             "\"state\":\"resolved\",\"severity\":\"critical\"}");
    assert_string_equal(json_string_value(json_object_get(line, "SeverityText")), "info");
    json_decref(line);
    static const char *const warnings[] = {
        "{\"schema\":\"a/1\",\"time\":\"t\",\"state\":\"firing\",\"severity\":\"warning\"}",
        "{\"schema\":\"a/1\",\"time\":\"t\",\"state\":\"unknown\",\"severity\":\"critical\"}"};
    for (unsigned i = 0; i < 2; i++) {
        line = line_of(LINE_LAYOUT_OTEL, warnings[i]);
        assert_int_equal(json_integer_value(json_object_get(line, "SeverityNumber")), 13);
        json_decref(line);
    }
}

static void a_path_of_a_cgroup_is_no_service(void **state)
{
    (void)state;
    json_t *line = line_of(LINE_LAYOUT_ECS,
                           "{\"schema\":\"loris.series/1\",\"time\":\"t\",\"group\":{"
                           "\"kind\":\"process\",\"comm\":\"bash\",\"unit\":\"/a.service\"}}");
    const json_t *service = json_object_get(line, "service");
    assert_string_equal(json_string_value(json_object_get(service, "name")), "bash");
    json_decref(line);
}

static void refuses_what_is_no_object_of_ours(void **state)
{
    (void)state;
    static const char *const strange[] = {"",
                                          "{}",
                                          "[1]",
                                          "x",
                                          "{\"schema\":\"loris.series/1\"}",
                                          "{\"schema\":7,\"time\":\"t\"}",
                                          "{\"schema\":\"a\",",
                                          "{\"schema\":\"a\",\"time\":\"\"}"};
    _cleanup_text_ struct text lines = {0};
    text_append_string(&lines, "before\n");
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        for (unsigned layout = LINE_LAYOUT_ECS; layout <= LINE_LAYOUT_OTEL; layout++)
            assert_int_equal(
                line_layout_write(&lines, layout, &origin, strange[i], strlen(strange[i])),
                -EINVAL);
    assert_string_equal(lines.bytes, "before\n");
}

static void words_and_layouts_match(void **state)
{
    (void)state;
    enum line_layout layout;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        assert_int_equal(line_layout_parse(line_layout_name(layouts[i]), &layout), 0);
        assert_int_equal(layout, layouts[i]);
    }
    assert_int_equal(line_layout_parse("ECS", &layout), -EINVAL);
}

/* --- too long -------------------------------------------------------------------------------- */

/* Where a layout keeps the names of what was cut. */
static const json_t *cut_of(const json_t *line, enum line_layout layout)
{
    if (layout == LINE_LAYOUT_OTEL)
        return json_object_get(json_object_get(line, "Attributes"), "loris.cut");
    if (layout == LINE_LAYOUT_ECS)
        line = json_object_get(line, "loris");
    return json_object_get(line, "cut");
}

static void assert_cut(const char *object, const char *name)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        json_t *line = line_of(layouts[i], object);
        const json_t *cut = cut_of(line, layouts[i]);
        bool found = false;
        for (size_t at = 0; at < json_array_size(cut); at++)
            found |= strcmp(json_string_value(json_array_get(cut, at)), name) == 0;
        if (!found)
            fail_msg("%s is not named as cut in layout %s", name, line_layout_name(layouts[i]));
        json_decref(line);
    }
}

/* An object with `count` members of `bytes` bytes each within `outer`. */
static struct text long_object(const char *outer, unsigned count, const char *character,
                               size_t bytes)
{
    struct text object = {0};
    text_append_format(&object, "{\"schema\":\"loris.alert/1\",\"time\":\"t\",\"%s\":{", outer);
    for (unsigned i = 0; i < count; i++) {
        text_append_format(&object, "%s\"k%u\":\"", i ? "," : "", i);
        for (size_t at = 0; at < bytes; at += strlen(character))
            text_append_string(&object, character);
        text_append_string(&object, "\"");
    }
    text_append_string(&object, "}}");
    return object;
}

static void a_line_is_always_short_enough_and_says_what_was_cut(void **state)
{
    (void)state;
    static const struct {
        unsigned count;
        const char *character;
        size_t bytes;
        const char *cut;
    } cases[] = {
        {1, "x", 9000, "labels.k0"},
        {1, "\xe2\x82\xac", 30000, "labels.k0"},
        {20, "\xf0\x9f\x90\xa2", 2000, "labels.k19"},
        {10, "\\u0001", 6000, "labels.k9"},
        {5000, "x", 10, "*"},
        {300, "\\u0001", 1000, "*"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_text_ struct text object =
            long_object("labels", cases[i].count, cases[i].character, cases[i].bytes);
        assert_cut(object.bytes, cases[i].cut);
    }
}

static void a_short_line_is_not_cut_however_deep_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        json_t *line = line_of(layouts[i], "{\"schema\":\"a/1\",\"time\":\"t\",\"list\":[1,{}],"
                                           "\"deep\":{\"er\":{\"x\":[1.5]}}}");
        assert_null(cut_of(line, layouts[i]));
        json_decref(line);
    }
}

/* The longest line that fits as it is, and the one that is a byte longer. */
static void cuts_at_the_limit_and_not_before(void **state)
{
    (void)state;
    _cleanup_text_ struct text lines = {0};
    _cleanup_text_ struct text object = long_object("labels", 1, "x", 1);
    assert_int_equal(
        line_layout_write(&lines, LINE_LAYOUT_LORIS, &origin, object.bytes, object.length), 0);
    size_t fits = 1 + LINE_LAYOUT_BYTES_MAX - lines.length;
    for (size_t over = 0; over <= 1; over++) {
        _cleanup_text_ struct text longer = long_object("labels", 1, "x", fits + over);
        text_clear(&lines);
        assert_int_equal(
            line_layout_write(&lines, LINE_LAYOUT_LORIS, &origin, longer.bytes, longer.length), 0);
        bool is_cut = strstr(lines.bytes, "\"cut\":[\"labels.k0\"]") != NULL;
        assert_int_equal(is_cut, over);
        if (!is_cut)
            assert_int_equal(lines.length, LINE_LAYOUT_BYTES_MAX);
    }
}

static void write_all(void *context)
{
    const struct text *object = context;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        _cleanup_text_ struct text lines = {0};
        text_append_string(&lines, "before\n");
        if (lines.failed)
            continue;
        int r = line_layout_write(&lines, layouts[i], &origin, object->bytes, object->length);
        assert_true(r == 0 || r == -ENOMEM);
        if (r < 0)
            assert_int_equal(lines.length, strlen("before\n"));
    }
}

/* All but jansson's own: its parser runs past a string that it has no memory for (jansson #362). */
static void survives_every_failed_allocation(void **state)
{
    (void)state;
    json_set_alloc_funcs(FAILING_ALLOC_REAL(malloc), free);
    struct text object = {.bytes = (char *)series, .length = strlen(series)};
    assert_in_range(failing_alloc_each(write_all, &object), 10, 5000);
    object = long_object("labels", 3, "x", 4000);
    assert_in_range(failing_alloc_each(write_all, &object), 10, 5000);
    text_done(&object);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loris_layout_is_the_object_with_its_place),
        cmocka_unit_test(ecs_has_its_own_names_and_the_rest_below_loris),
        cmocka_unit_test(ecs_knows_an_alert),
        cmocka_unit_test(otel_is_a_log_record_with_flat_attributes),
        cmocka_unit_test(what_is_over_is_no_longer_critical),
        cmocka_unit_test(a_path_of_a_cgroup_is_no_service),
        cmocka_unit_test(refuses_what_is_no_object_of_ours),
        cmocka_unit_test(words_and_layouts_match),
        cmocka_unit_test(a_line_is_always_short_enough_and_says_what_was_cut),
        cmocka_unit_test(a_short_line_is_not_cut_however_deep_it_is),
        cmocka_unit_test(cuts_at_the_limit_and_not_before),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
