/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

static json_t *parse(const char *string)
{
    json_t *value = json_loads(string, 0, NULL);
    assert_non_null(value);
    return value;
}

static void assert_footer(const char *reply_text, const char *expected)
{
    json_t *reply = parse(reply_text);
    struct text out = {0};
    series_view_footer(reply, &out);
    assert_string_equal(out.bytes, expected);
    text_done(&out);
    json_decref(reply);
}

static void footer_says_what_is_covered(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":1234000,\"relative_error\":0.0055,"
                  "\"lost\":0},{\"probe\":\"b\",\"count\":567,\"relative_error\":0.0055}],"
                  "\"truncated\":0}",
                  "covers all 1,234,567 calls; quantiles within 0.55 %\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":7,\"relative_error\":0.011}],"
                  "\"truncated\":15}",
                  "covers 7 calls; 1 of 16 lines; quantiles within 1.10 %\n");
    assert_footer("{\"series\":[],\"truncated\":0}", "no calls\n");
}

static void footer_counts_a_probes_losses_once(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":50,\"lost\":10,\"in_flight\":2,"
                  "\"oldest_ns\":3200000000},{\"probe\":\"a\",\"count\":40,\"lost\":10,"
                  "\"in_flight\":2},{\"probe\":\"b\",\"count\":900,\"lost\":1,\"in_flight\":10}]}",
                  "covers 990 of 1,001 calls, 11 were lost; 12 in flight (oldest 3.20 s)\n");
}

static void footer_says_what_is_estimated(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":97,\"estimated\":true},{\"probe\":\"a\","
                  "\"count\":3,\"estimated\":true,\"group\":{\"kind\":\"unattributed\"}}]}",
                  "covers all 100 calls; breakdown estimated (3.0 % of calls counted in the "
                  "kernel)\n");
}

static void footer_says_how_far_ranks_and_counts_may_be_off(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":800,\"window_s\":5,"
                  "\"relative_error\":0.0054,\"rank_error\":0.0366,\"estimated\":true}]}",
                  "covers all 800 calls in 5.00 s; quantiles within 0.54 %; not every call was "
                  "timed: ranks within 3.7 %\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":800,\"rank_error\":0.0366,"
                  "\"count_error\":0.05,\"estimated\":true}]}",
                  "covers all 800 calls; not every call was timed: ranks within 3.7 %, counts "
                  "within 5 %\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":800,\"count_error\":0.12,"
                  "\"estimated\":true}]}",
                  "covers all 800 calls; counts within 12 %\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":800,\"count_error\":1.64,"
                  "\"estimated\":true}]}",
                  "covers all 800 calls; counts within 164 %\n");
}

static void footer_says_the_worst_of_all_lines(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":1,\"rank_error\":0.01,"
                  "\"count_error\":0.3,\"observed\":0.5},{\"probe\":\"b\",\"count\":2},"
                  "{\"probe\":\"c\",\"count\":3,\"rank_error\":0.02,\"count_error\":0.1,"
                  "\"observed\":0.125}]}",
                  "stands for 6 calls; not every call was timed: ranks within 2 %, counts within "
                  "30 %; attached 12.5 % of the time\n");
}

static void footer_claims_to_cover_all_only_when_it_was_attached_all_the_time(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":90,\"observed\":0}]}",
                  "stands for 90 calls; attached 0 % of the time\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":90,\"observed\":1}]}",
                  "covers all 90 calls\n");
}

static void footer_counts_a_probes_waiting_calls_once(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":990,\"waiting\":8},"
                  "{\"probe\":\"a\",\"count\":2,\"waiting\":8},"
                  "{\"probe\":\"b\",\"count\":6,\"waiting\":1}]}",
                  "covers 998 of 1,007 calls, 9 wait for a timed one to stand for them\n");
    /* Estimates are no cover, and neither are some lines of many. */
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":990,\"waiting\":8,\"observed\":0.5}]}",
                  "stands for 990 calls; attached 50 % of the time\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":990,\"waiting\":8}],\"truncated\":1}",
                  "covers 990 calls; 1 of 2 lines\n");
}

static void footer_names_the_breakdown_only_when_nothing_else_is_estimated(void **state)
{
    (void)state;
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":97,\"estimated\":true}]}",
                  "covers all 97 calls; breakdown estimated\n");
    assert_footer("{\"series\":[{\"probe\":\"a\",\"count\":97,\"estimated\":true,"
                  "\"count_error\":0.25}]}",
                  "covers all 97 calls; counts within 25 %\n");
}

static void shows_series_of_any_shape(void **state)
{
    (void)state;
    static const char odd[] =
        "{\"series\":[{\"probe\":1,\"group\":\"x\",\"count\":-5,\"rate_per_s\":\"a\","
        "\"p99_ns\":1e300,\"errors\":3,\"error_ratio\":null}],\"truncated\":-1}";
    static const char *const replies[] = {"{}", "{\"series\":7}", "{\"series\":[7,null,[],{}]}",
                                          odd};
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        json_t *reply = parse(replies[i]);
        struct text out = {0};
        const struct series_view view = {.width = 80};
        series_view_print(reply, &view, &out);
        series_view_json(reply, &out);
        assert_int_equal(out.failed, 0);
        text_done(&out);
        json_decref(reply);
    }
}

static const char three[] =
    "{\"series\":["
    "{\"probe\":\"a\",\"group\":{\"kind\":\"process\",\"pid\":7,\"comm\":\"sh\"},\"count\":30,"
    "\"mean_ns\":10,\"p99_ns\":1},"
    "{\"probe\":\"b\",\"group\":{\"kind\":\"unit\",\"unit\":\"x.service\"},\"count\":20,"
    "\"mean_ns\":20,\"p99_ns\":2},"
    "{\"probe\":\"c\",\"group\":{\"kind\":\"other\"},\"count\":1,\"mean_ns\":1,\"p99_ns\":3}]}";

static void names_processes_units_and_the_rest(void **state)
{
    (void)state;
    json_t *reply = parse(three);
    struct text out = {0};
    const struct series_view view = {0};
    series_view_print(reply, &view, &out);
    assert_non_null(strstr(out.bytes, " sh[7] "));
    assert_non_null(strstr(out.bytes, " x.service "));
    assert_non_null(strstr(out.bytes, " (other) "));
    text_done(&out);
    json_decref(reply);
}

static void passes_series_through_as_they_came(void **state)
{
    (void)state;
    static const char line[] = "{\"schema\":\"loris.series/1\",\"window_s\":10.0,\"zeta\":1,"
                               "\"alpha\":0.0055,\"rate_per_s\":1234.5,\"final\":true}";
    char text[256];
    snprintf(text, sizeof(text), "{\"series\":[%s]}", line);
    json_t *reply = parse(text);
    struct text out = {0};
    series_view_json(reply, &out);
    assert_memory_equal(out.bytes, line, sizeof(line) - 1);
    assert_string_equal(out.bytes + sizeof(line) - 1, "\n");
    text_done(&out);
    json_decref(reply);
}

static void groups_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *expected;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {1234567, "1,234,567"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[32];
        series_view_format_exact(cases[i].value, out);
        assert_string_equal(out, cases[i].expected);
    }
}

static void print_three(void *context)
{
    struct text out = {0};
    const struct series_view view = {.width = 60};
    series_view_print(context, &view, &out);
    series_view_json(context, &out);
    assert_true(out.failed == 0 || out.failed == -ENOMEM);
    text_done(&out);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    json_t *reply = parse(three);
    assert_in_range(failing_alloc_each(print_three, reply), 20, 1000);
    json_decref(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footer_says_what_is_covered),
        cmocka_unit_test(footer_counts_a_probes_losses_once),
        cmocka_unit_test(footer_says_what_is_estimated),
        cmocka_unit_test(footer_says_how_far_ranks_and_counts_may_be_off),
        cmocka_unit_test(footer_says_the_worst_of_all_lines),
        cmocka_unit_test(footer_claims_to_cover_all_only_when_it_was_attached_all_the_time),
        cmocka_unit_test(footer_counts_a_probes_waiting_calls_once),
        cmocka_unit_test(footer_names_the_breakdown_only_when_nothing_else_is_estimated),
        cmocka_unit_test(shows_series_of_any_shape),
        cmocka_unit_test(names_processes_units_and_the_rest),
        cmocka_unit_test(passes_series_through_as_they_came),
        cmocka_unit_test(groups_digits),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
