/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/top_model.c"
#include "cli/top_once.c"
#include "cli/top_row.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

static json_t *series(const char *probe, const char *who, double p99_ns, double rate)
{
    json_t *one = json_pack("{s:s, s:i, s:f, s:i, s:i, s:i, s:i, s:b}", "probe", probe, "count",
                            (int)(rate * 10), "rate_per_s", rate, "p99_ns", (int)p99_ns, "mean_ns",
                            10, "lost", 3, "errors", (int)rate % 7, "estimated", 0);
    assert_non_null(one);
    if (who)
        json_object_set_new(one, "group", json_pack("{s:s, s:s}", "kind", "unit", "unit", who));
    return one;
}

/* Takes the series, up to the first NULL. */
static int answer(struct top_model *model, json_t *const *list)
{
    json_t *array = json_array();
    for (; *list; list++)
        json_array_append_new(array, *list);
    json_t *reply = json_pack("{s:o, s:i}", "series", array, "truncated", 0);
    int r = top_model_update(model, reply, "2026-11-20T07:00:00.123Z");
    json_decref(reply);
    return r;
}
#define ANSWER(model, ...)                                                                         \
    assert_int_equal(answer(model, (json_t *[]){__VA_ARGS__ __VA_OPT__(, ) NULL}), 0)

static struct top_model *start(enum top_by by)
{
    static struct top_model model;
    top_model_init(&model, NULL, by);
    return &model;
}

static void assert_order(struct top_model *model, const char *expected)
{
    struct top_level *level = top_model_level(model);
    char seen[16] = "";
    assert_true(level->shown_count < sizeof(seen));
    for (size_t i = 0; i < level->shown_count; i++)
        seen[i] = level->shown[i]->probe[0];
    assert_string_equal(seen, expected);
}

static const char *selected(struct top_model *model)
{
    struct top_level *level = top_model_level(model);
    return level->selected ? level->selected->probe : "";
}

static void set_filter(struct top_model *model, const char *filter)
{
    strcpy(top_model_level(model)->filter, filter);
    top_model_order(model);
}

static void sorts_by_every_key_and_back(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    ANSWER(model, series("a", NULL, 5, 3), series("b", NULL, 9, 1), series("c", NULL, 7, 13));
    static const struct {
        const char *sort, *order, *reversed;
    } cases[] = {{"p99", "bca", "acb"},    {"rate", "cab", "bac"}, {"count", "cab", "bac"},
                 {"errors", "cab", "bac"}, {"time", "cab", "bac"}, {"name", "abc", "cba"},
                 {"p50", "abc", "cba"},    {"max", "abc", "cba"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        model->sort = top_sort_find(cases[i].sort);
        assert_string_equal(top_sort_name(model->sort), cases[i].sort);
        model->is_reversed = false;
        top_model_order(model);
        assert_order(model, cases[i].order);
        model->is_reversed = true;
        top_model_order(model);
        assert_order(model, cases[i].reversed);
    }
    assert_int_equal(top_sort_find("p98"), TOP_SORTS);
    top_model_done(model);
}

static void ties_stand_in_the_same_order_whatever_order_they_come_in(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_P99;
    ANSWER(model, series("c", NULL, 5, 1), series("a", NULL, 5, 1), series("b", NULL, 5, 1));
    assert_order(model, "abc");
    ANSWER(model, series("b", NULL, 5, 1), series("c", NULL, 5, 1), series("a", NULL, 5, 1));
    assert_order(model, "abc");
    top_model_done(model);
}

static void cursor_stays_on_top_until_a_row_is_chosen(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_P99;
    ANSWER(model, series("a", NULL, 9, 1), series("b", NULL, 5, 1), series("c", NULL, 1, 1));
    assert_string_equal(selected(model), "a");
    ANSWER(model, series("a", NULL, 1, 1), series("b", NULL, 5, 1), series("c", NULL, 9, 1));
    assert_string_equal(selected(model), "c");
    top_model_move(model, 1);
    assert_string_equal(selected(model), "b");
    ANSWER(model, series("a", NULL, 8, 1), series("b", NULL, 1, 1), series("c", NULL, 9, 1));
    assert_string_equal(selected(model), "b");
    assert_int_equal(top_model_level(model)->cursor, 2);
    top_model_move_top(model);
    assert_string_equal(selected(model), "c");
    ANSWER(model, series("a", NULL, 9, 1), series("b", NULL, 1, 1), series("c", NULL, 8, 1));
    assert_string_equal(selected(model), "a");
    top_model_done(model);
}

static void cursor_keeps_its_place_when_its_row_vanishes(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_NAME;
    ANSWER(model, series("a", NULL, 1, 1), series("b", NULL, 1, 1), series("c", NULL, 1, 1));
    top_model_move(model, 1);
    ANSWER(model, series("a", NULL, 1, 1), series("c", NULL, 1, 1));
    assert_string_equal(selected(model), "c");
    ANSWER(model, series("a", NULL, 1, 1));
    assert_string_equal(selected(model), "a");
    ANSWER(model);
    assert_string_equal(selected(model), "");
    assert_int_equal(top_model_level(model)->cursor, 0);
    top_model_move(model, 1);
    ANSWER(model, series("b", NULL, 1, 1));
    assert_string_equal(selected(model), "b");
    top_model_done(model);
}

static void moves_no_further_than_there_are_rows(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_NAME;
    ANSWER(model, series("a", NULL, 1, 1), series("b", NULL, 1, 1), series("c", NULL, 1, 1));
    top_model_move(model, 1000);
    assert_string_equal(selected(model), "c");
    top_model_move(model, -1000);
    assert_string_equal(selected(model), "a");
    top_model_done(model);
}

static void scrolls_only_as_far_as_the_cursor_needs(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_NAME;
    json_t *list[31] = {NULL};
    char names[30][8];
    for (size_t i = 0; i < 30; i++) {
        snprintf(names[i], sizeof(names[i]), "p%02zu", i);
        list[i] = series(names[i], NULL, 1, 1);
    }
    assert_int_equal(answer(model, list), 0);
    struct top_level *level = top_model_level(model);
    top_model_move(model, 9);
    top_model_scroll(model, 10);
    assert_int_equal(level->first, 0);
    top_model_move(model, 1);
    top_model_scroll(model, 10);
    assert_int_equal(level->first, 1);
    top_model_move(model, 1000);
    top_model_scroll(model, 10);
    assert_int_equal(level->first, 20);
    top_model_scroll(model, 25); /* a larger window shows more, not less */
    assert_int_equal(level->first, 5);
    top_model_move(model, -24);
    top_model_scroll(model, 10);
    assert_int_equal(level->first, 5);
    top_model_scroll(model, 1);
    assert_int_equal(level->first, 5);
    set_filter(model, "p0");
    top_model_scroll(model, 10);
    assert_int_equal(level->first, 0);
    top_model_done(model);
}

static void filters_by_a_part_of_a_name_or_a_glob(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_UNIT);
    model->sort = TOP_BY_NAME;
    ANSWER(model, series("a:malloc", "Web.service", 1, 1), series("b:free", "db.service", 1, 1),
           series("c:operator[]", "db.service", 1, 1));
    static const struct {
        const char *filter, *order;
    } cases[] = {{"", "abc"},    {"MALL", "a"}, {"web", "a"},        {"db.", "bc"},
                 {"*free", "b"}, {"db*", "bc"}, {"mall*", ""},       {"?:fr*", "b"},
                 {"nope", ""},   {"[", "c"},    {"operator[]", "c"}, {"[ab]:*", "ab"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_filter(model, cases[i].filter);
        assert_order(model, cases[i].order);
    }
    top_model_done(model);
}

static void remembers_p99_of_a_row_and_gaps(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    ANSWER(model, series("a", NULL, 5, 1));
    const struct top_row *row = top_model_level(model)->rows[0];
    ANSWER(model, series("a", NULL, 6, 1), series("b", NULL, 1, 1));
    ANSWER(model, series("b", NULL, 1, 1));
    ANSWER(model, series("a", NULL, 8, 1));
    assert_ptr_equal(top_model_level(model)->shown[0], row);
    const float expected[] = {0, 5, 6, 0, 8};
    assert_memory_equal(row->p99_ns + TOP_HISTORY - 5, expected, sizeof(expected));
    top_model_done(model);
}

static void forgets_a_row_when_nothing_of_it_is_left_to_show(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    ANSWER(model, series("a", NULL, 5, 1));
    for (size_t i = 1; i < TOP_HISTORY; i++)
        ANSWER(model);
    assert_int_equal(top_model_level(model)->row_count, 1);
    assert_int_equal(top_model_level(model)->shown_count, 0);
    ANSWER(model);
    assert_int_equal(top_model_level(model)->row_count, 0);
    top_model_done(model);
}

static void holds_no_more_rows_than_its_bound(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    for (size_t round = 0; round < 3; round++) {
        json_t *array = json_array();
        char name[32];
        for (size_t i = 0; i < TOP_ROWS_MAX + 10; i++) {
            snprintf(name, sizeof(name), "%zu.%zu", round, i);
            json_array_append_new(array, series(name, NULL, 1, 1));
        }
        json_t *reply = json_pack("{s:o}", "series", array);
        assert_int_equal(top_model_update(model, reply, ""), 0);
        json_decref(reply);
        assert_int_equal(top_model_level(model)->row_count, TOP_ROWS_MAX);
        assert_int_equal(top_model_level(model)->shown_count, TOP_ROWS_MAX);
    }
    top_model_done(model);
}

static void counts_a_probes_losses_once(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_UNIT);
    ANSWER(model, series("a", "x", 1, 1.5), series("b", "x", 1, 1), series("a", "y", 1, 1));
    assert_int_equal(model->lost, 6);
    assert_true(model->rate_per_s == 3.5);
    top_model_done(model);
}

static void assert_question(const struct top_model *model, const char *probe, const char *by)
{
    json_t *question = top_model_question(model);
    assert_non_null(question);
    if (probe)
        assert_string_equal(json_string_value(json_object_get(question, "probe")), probe);
    else
        assert_null(json_object_get(question, "probe"));
    assert_string_equal(json_string_value(json_object_get(question, "by")), by);
    json_decref(question);
}

static json_t *process(const char *probe, const char *unit, int pid)
{
    json_t *one = series(probe, NULL, 1, 1);
    json_object_set_new(one, "group",
                        json_pack("{s:s, s:s, s:s, s:i}", "kind", "process", "unit", unit, "comm",
                                  "sh", "pid", pid));
    return one;
}

static void goes_from_probe_to_unit_to_process_and_back_to_its_place(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    model->sort = TOP_BY_NAME;
    assert_question(model, NULL, "none");
    ANSWER(model, series("a", NULL, 1, 1), series("b[0]*", NULL, 1, 1));
    set_filter(model, "b");
    assert_int_equal(top_model_enter(model), 1);
    assert_question(model, "b[[]0][*]", "unit");
    assert_true(glob_matches("b[[]0][*]", "b[0]*"));
    ANSWER(model, series("b[0]*", "x.service", 1, 1), series("b[0]*", "y.service", 1, 1),
           series("b[0]x", "z.service", 1, 1));
    assert_int_equal(top_model_level(model)->shown_count, 2); /* another probe is not ours */
    top_model_move(model, 1);
    assert_int_equal(top_model_enter(model), 1);
    assert_question(model, "b[[]0][*]", "process");
    ANSWER(model, process("b[0]*", "y.service", 7), process("b[0]*", "x.service", 8));
    assert_int_equal(top_model_level(model)->shown_count, 1);
    assert_string_equal(top_model_level(model)->shown[0]->who, "sh[7]");
    assert_string_equal(top_model_level(model)->name, "y.service");
    assert_int_equal(top_model_enter(model), 0); /* nothing below */
    assert_true(top_model_leave(model));
    assert_string_equal(top_model_level(model)->selected->who, "y.service");
    assert_true(top_model_leave(model));
    assert_string_equal(selected(model), "b[0]*");
    assert_string_equal(top_model_level(model)->filter, "b");
    assert_false(top_model_leave(model));
    top_model_done(model);
}

static void calls_of_nobody_have_nothing_below(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_UNIT);
    json_t *nobody = series("a", NULL, 1, 1);
    json_object_set_new(nobody, "group", json_pack("{s:s}", "kind", "unattributed"));
    ANSWER(model, nobody);
    assert_int_equal(top_model_enter(model), 0);
    ANSWER(model);
    assert_int_equal(top_model_enter(model), 0);
    top_model_done(model);
}

static void details_stay_with_a_row_that_has_no_calls_for_a_while(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    ANSWER(model, series("a", NULL, 1, 1), series("b", NULL, 1, 1));
    model->sort = TOP_BY_NAME;
    top_model_order(model);
    model->page = TOP_PAGE_DETAILS;
    ANSWER(model, series("b", NULL, 1, 1));
    assert_string_equal(selected(model), "a");
    for (size_t i = 0; i < TOP_HISTORY; i++)
        ANSWER(model, series("b", NULL, 1, 1));
    assert_int_equal(model->page, TOP_PAGE_TABLE);
    assert_string_equal(selected(model), "b");
    top_model_done(model);
}

static void takes_answers_of_any_shape(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "{}", "{\"series\":7}", "{\"series\":[7,null,[],{}]}",
        "{\"series\":[{\"probe\":1,\"group\":\"x\",\"count\":-5,\"rate_per_s\":\"a\","
        "\"p99_ns\":1e300,\"errors\":3,\"error_ratio\":null}],\"truncated\":-1}"};
    struct top_model *model = start(TOP_BY_NONE);
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        json_t *reply = json_loads(replies[i], 0, NULL);
        assert_int_equal(top_model_update(model, reply, ""), 0);
        top_model_set_agent(model, reply);
        json_decref(reply);
    }
    assert_int_equal(top_model_level(model)->present_count, 1);
    top_model_done(model);
}

static void arranges_one_answer_as_the_live_view_would(void **state)
{
    (void)state;
    json_t *reply = json_pack("{s:[o, o, o]}", "series", series("ab", NULL, 5, 1),
                              series("b", NULL, 9, 1), series("ac", NULL, 7, 1));
    assert_int_equal(top_once_arrange(reply, "a", TOP_BY_P99), 0);
    const json_t *left = json_object_get(reply, "series");
    assert_int_equal(json_array_size(left), 2);
    assert_string_equal(json_field_string(json_array_get(left, 0), "probe"), "ac");
    assert_string_equal(json_field_string(json_array_get(left, 1), "probe"), "ab");
    json_decref(reply);
}

static void go_about(void *context)
{
    struct top_model model;
    top_model_init(&model, "*", TOP_BY_UNIT);
    int r = top_model_update(&model, context, "");
    if (r == 0 && top_model_enter(&model) == 1) {
        json_decref(top_model_question(&model));
        (void)!top_model_update(&model, context, "");
    }
    assert_true(r == 0 || r == -ENOMEM);
    top_model_done(&model);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    json_t *reply =
        json_pack("{s:[o, o]}", "series", series("a", "x", 5, 1), series("b", "y", 9, 1));
    assert_in_range(failing_alloc_each(go_about, reply), 10, 1000);
    json_decref(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_by_every_key_and_back),
        cmocka_unit_test(ties_stand_in_the_same_order_whatever_order_they_come_in),
        cmocka_unit_test(cursor_stays_on_top_until_a_row_is_chosen),
        cmocka_unit_test(cursor_keeps_its_place_when_its_row_vanishes),
        cmocka_unit_test(moves_no_further_than_there_are_rows),
        cmocka_unit_test(scrolls_only_as_far_as_the_cursor_needs),
        cmocka_unit_test(filters_by_a_part_of_a_name_or_a_glob),
        cmocka_unit_test(remembers_p99_of_a_row_and_gaps),
        cmocka_unit_test(forgets_a_row_when_nothing_of_it_is_left_to_show),
        cmocka_unit_test(holds_no_more_rows_than_its_bound),
        cmocka_unit_test(counts_a_probes_losses_once),
        cmocka_unit_test(goes_from_probe_to_unit_to_process_and_back_to_its_place),
        cmocka_unit_test(calls_of_nobody_have_nothing_below),
        cmocka_unit_test(details_stay_with_a_row_that_has_no_calls_for_a_while),
        cmocka_unit_test(takes_answers_of_any_shape),
        cmocka_unit_test(arranges_one_answer_as_the_live_view_would),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
