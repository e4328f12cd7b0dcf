/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/series_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WITH_SERIES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

struct fixture {
    struct rollup_row row;
    struct series_json series;
};

/* What is attached all the time and counted exactly: the answer of an agent with time to spare. */
static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->row = (struct rollup_row){.key = {.level = SERIES_PROCESS}, .window_ns = 2000000000};
    latency_stat_init(&fixture->row.stat);
    fixture->series = (struct series_json){
        .probe = "syscall:read", .time = "now", .row = &fixture->row, .observed = 1};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    latency_stat_done(&fixture->row.stat);
    free(fixture);
    return 0;
}

static json_t *written(const struct series_json *series)
{
    struct text out = {0};
    struct json_writer json = {.text = &out};
    series_json_write(&json, NULL, series);
    assert_int_equal(out.failed, 0);
    json_t *object = json_loadb(out.bytes, out.length, 0, NULL);
    assert_non_null(object);
    text_done(&out);
    return object;
}

static bool has(const struct series_json *series, const char *key)
{
    json_t *object = written(series);
    bool found = json_object_get(object, key) != NULL;
    json_decref(object);
    return found;
}

static double number(const struct series_json *series, const char *key)
{
    json_t *object = written(series);
    double value = json_number_value(json_object_get(object, key));
    json_decref(object);
    return value;
}

static bool is_estimated(const struct series_json *series)
{
    json_t *object = written(series);
    const json_t *value = json_object_get(object, "estimated");
    assert_true(json_is_boolean(value));
    bool is = json_is_true(value);
    json_decref(object);
    return is;
}

static void leaves_out_what_does_not_apply(void **state)
{
    struct series_json *series = &((struct fixture *)*state)->series;
    static const char *const absent[] = {
        "group",      "mean_ns",  "min_ns",      "p50_ns",    "p999_ns", "max_ns",   "final",
        "rank_error", "observed", "count_error", "in_flight", "waiting", "oldest_ns"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        if (has(series, absent[i]))
            fail_msg("%s is there", absent[i]);
    assert_true(has(series, "relative_error"));
    assert_true(number(series, "window_s") == 2.0);
    assert_false(is_estimated(series));
}

static void calls_have_latencies(void **state)
{
    struct fixture *fixture = *state;
    struct series_json *series = &fixture->series;
    assert_int_equal(latency_stat_record(&fixture->row.stat, 700, false, 1), 0);
    assert_true(number(series, "mean_ns") == 700);
    assert_true(number(series, "p999_ns") == 700);
    assert_true(number(series, "rate_per_s") == 0.5);
    assert_false(has(series, "rank_error"));
    assert_false(is_estimated(series));
}

static void thinned_calls_have_a_rank_error(void **state)
{
    struct fixture *fixture = *state;
    struct series_json *series = &fixture->series;
    for (int i = 0; i < 100; i++)
        assert_int_equal(latency_stat_record(&fixture->row.stat, 700, false, 8), 0);
    assert_true(number(series, "count") == 800);
    /* 1.96 * 0.5 * sqrt(100 * 8 * 7) / 800, in four digits */
    assert_true(number(series, "rank_error") == 0.09167);
    assert_false(has(series, "count_error"));
    assert_true(is_estimated(series));
}

static void says_how_far_a_count_may_be_off(void **state)
{
    struct series_json *series = &((struct fixture *)*state)->series;
    series->count_error = 64.0;
    assert_true(number(series, "count_error") == 64);
    assert_false(has(series, "rank_error"));
    assert_true(is_estimated(series));
}

static void says_for_what_part_of_the_time_it_was_attached(void **state)
{
    struct series_json *series = &((struct fixture *)*state)->series;
    series->observed = 1.0 / 128;
    assert_true(number(series, "observed") == 0.007812);
    series->observed = 0; /* it has not been attached yet, which is something to know */
    assert_true(has(series, "observed"));
}

static void marks_a_row_whose_breakdown_is_estimated(void **state)
{
    struct fixture *fixture = *state;
    struct series_json *series = &fixture->series;
    fixture->row.estimated = true;
    assert_true(is_estimated(series));
    assert_false(has(series, "rank_error"));
    assert_false(has(series, "count_error"));
}

static void open_calls_have_an_age_when_there_are_any(void **state)
{
    struct series_json *series = &((struct fixture *)*state)->series;
    series->has_in_flight = true;
    assert_true(has(series, "in_flight"));
    assert_false(has(series, "oldest_ns"));
    series->in_flight = 1;
    series->oldest_ns = 5;
    series->final = true;
    assert_true(number(series, "oldest_ns") == 5);
    assert_true(has(series, "final"));
}

static void calls_that_wait_are_told_when_there_are_any(void **state)
{
    struct series_json *series = &((struct fixture *)*state)->series;
    series->waiting = 27;
    assert_true(number(series, "waiting") == 27);
    assert_true(number(series, "count") == 0); /* they are in no count */
    assert_true(number(series, "lost") == 0);
}

static void assert_group(struct fixture *fixture, uint32_t level, const char *expected)
{
    fixture->row.key.level = level;
    fixture->series.grouped = true;
    fixture->series.pid = 7;
    fixture->series.comm = "sh";
    fixture->series.unit = "x.service";
    json_t *object = written(&fixture->series);
    char *group = json_dumps(json_object_get(object, "group"), JSON_COMPACT);
    assert_non_null(group);
    assert_string_equal(group, expected);
    free(group);
    json_decref(object);
}

static void a_group_has_the_fields_of_its_kind(void **state)
{
    assert_group(*state, SERIES_PROCESS,
                 "{\"kind\":\"process\",\"pid\":7,\"comm\":\"sh\",\"unit\":\"x.service\"}");
    assert_group(*state, SERIES_NAME, "{\"kind\":\"name\",\"comm\":\"sh\",\"unit\":\"x.service\"}");
    assert_group(*state, SERIES_UNIT, "{\"kind\":\"unit\",\"unit\":\"x.service\"}");
    assert_group(*state, SERIES_OTHER, "{\"kind\":\"other\"}");
    assert_group(*state, SERIES_UNATTRIBUTED, "{\"kind\":\"unattributed\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERIES(leaves_out_what_does_not_apply),
        WITH_SERIES(calls_have_latencies),
        WITH_SERIES(thinned_calls_have_a_rank_error),
        WITH_SERIES(says_how_far_a_count_may_be_off),
        WITH_SERIES(says_for_what_part_of_the_time_it_was_attached),
        WITH_SERIES(marks_a_row_whose_breakdown_is_estimated),
        WITH_SERIES(open_calls_have_an_age_when_there_are_any),
        WITH_SERIES(calls_that_wait_are_told_when_there_are_any),
        WITH_SERIES(a_group_has_the_fields_of_its_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
