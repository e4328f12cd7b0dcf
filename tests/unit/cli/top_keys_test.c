/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/top_keys.c"
#include "cli/top_model.c"
#include "cli/top_row.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LINES 10

static struct top_model *start(void)
{
    static struct top_model model;
    top_model_init(&model, NULL, TOP_BY_NONE);
    model.sort = TOP_BY_NAME;
    json_t *reply = json_object(), *array = json_array();
    for (char name[] = "a"; name[0] <= 'z'; name[0]++)
        json_array_append_new(array, json_pack("{s:s, s:i}", "probe", name, "count", 1));
    json_object_set_new(reply, "series", array);
    assert_int_equal(top_model_update(&model, reply, ""), 0);
    json_decref(reply);
    return &model;
}

static unsigned press(struct top_model *model, unsigned key)
{
    return top_keys_press(model, key, LINES);
}

static void type_in(struct top_model *model, const char *string)
{
    for (; *string; string++)
        assert_int_equal(press(model, (unsigned char)*string), TOP_DRAW);
}

static void every_key_does_something_sound_everywhere(void **state)
{
    (void)state;
    for (unsigned page = TOP_PAGE_TABLE; page <= TOP_PAGE_HELP; page++)
        for (unsigned key = 1; key <= TOP_KEY_END; key = key == 0x500 ? TOP_KEY_UP : key + 1) {
            struct top_model *model = start();
            model->page = (enum top_page)page;
            unsigned effect = press(model, key);
            assert_int_equal(effect == TOP_QUIT, key == 'q' || key == 'Q');
            assert_false(effect & TOP_NO_MEMORY);
            assert_true(model->sort < TOP_SORTS && model->levels[0].by < TOP_GROUPS);
            (void)press(model, key);
            (void)press(model, TOP_KEY_ESCAPE);
            top_model_done(model);
        }
}

static void moves_by_lines_and_pages(void **state)
{
    (void)state;
    struct top_model *model = start();
    static const struct {
        unsigned key;
        char row;
    } cases[] = {{TOP_KEY_DOWN, 'b'}, {'j', 'c'},
                 {'k', 'b'},          {TOP_KEY_PAGE_DOWN, 'l'},
                 {TOP_KEY_UP, 'k'},   {TOP_KEY_PAGE_UP, 'a'},
                 {TOP_KEY_END, 'z'},  {TOP_KEY_HOME, 'a'},
                 {'G', 'z'},          {'g', 'a'},
                 {TOP_KEY_UP, 'a'}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(press(model, cases[i].key), TOP_DRAW);
        assert_int_equal(model->levels[0].selected->probe[0], cases[i].row);
    }
    top_model_done(model);
}

static void filters_while_one_types(void **state)
{
    (void)state;
    struct top_model *model = start();
    type_in(model, "/q");
    assert_string_equal(model->levels[0].filter, "q"); /* and has not quit */
    assert_int_equal(model->levels[0].shown_count, 1);
    press(model, TOP_KEY_BACKSPACE);
    press(model, TOP_KEY_BACKSPACE);
    assert_int_equal(model->levels[0].shown_count, 26);
    press(model, 0xe4);
    press(model, 0x20ac);
    press(model, 0x1f600);
    assert_string_equal(model->levels[0].filter, "ä€😀");
    press(model, TOP_KEY_BACKSPACE);
    assert_string_equal(model->levels[0].filter, "ä€");
    press(model, CTRL('u'));
    type_in(model, "b");
    press(model, TOP_KEY_DOWN); /* no character */
    press(model, TOP_KEY_ENTER);
    assert_false(model->is_typing);
    assert_string_equal(model->levels[0].filter, "b");
    press(model, TOP_KEY_ESCAPE);
    assert_string_equal(model->levels[0].filter, "");
    type_in(model, "/c");
    press(model, TOP_KEY_ESCAPE);
    assert_false(model->is_typing);
    assert_int_equal(model->levels[0].shown_count, 26);
    top_model_done(model);
}

static void takes_no_more_characters_than_there_is_room_for(void **state)
{
    (void)state;
    struct top_model *model = start();
    press(model, '/');
    for (size_t i = 0; i < 1000; i++)
        press(model, 0x20ac);
    size_t length = strlen(model->levels[0].filter);
    assert_in_range(length, TOP_FILTER_BYTES - 3, TOP_FILTER_BYTES - 1);
    assert_int_equal(length % 3, 0);
    top_model_done(model);
}

static void changes_sort_key_and_direction(void **state)
{
    (void)state;
    struct top_model *model = start();
    for (unsigned sort = 0; sort < TOP_SORTS; sort++) {
        press(model, '1' + sort);
        assert_int_equal(model->sort, sort);
    }
    press(model, 's');
    assert_int_equal(model->sort, TOP_BY_P50);
    press(model, 'S');
    assert_int_equal(model->sort, TOP_BY_NAME);
    press(model, 'r');
    assert_true(model->is_reversed);
    assert_int_equal(model->levels[0].shown[0]->probe[0], 'z');
    press(model, '2');
    assert_false(model->is_reversed); /* another key begins with the largest */
    top_model_done(model);
}

static void changes_interval_and_window(void **state)
{
    (void)state;
    struct top_model *model = start();
    model->interval_ns = 1500 * NS_PER_MS; /* as --interval may say */
    press(model, '-');
    assert_int_equal(model->interval_ns, 2 * NS_PER_S);
    for (size_t i = 0; i < 20; i++)
        press(model, '-');
    assert_int_equal(model->interval_ns, 60 * NS_PER_S);
    for (size_t i = 0; i < 20; i++)
        press(model, '+');
    assert_int_equal(model->interval_ns, 200 * NS_PER_MS);
    model->interval_ns = 100 * NS_PER_MS;
    press(model, '+');
    assert_int_equal(model->interval_ns, 100 * NS_PER_MS);
    static const uint64_t windows_s[] = {60, 0, 10};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(press(model, 'w'), TOP_ASK);
        assert_int_equal(model->window_ns, windows_s[i] * NS_PER_S);
    }
    top_model_done(model);
}

static void pauses_and_asks_when_it_goes_on(void **state)
{
    (void)state;
    struct top_model *model = start();
    assert_int_equal(press(model, 'p'), TOP_DRAW);
    assert_true(model->is_paused);
    assert_int_equal(press(model, ' '), TOP_ASK);
    assert_false(model->is_paused);
    top_model_done(model);
}

static void goes_in_and_out(void **state)
{
    (void)state;
    struct top_model *model = start();
    press(model, TOP_KEY_DOWN);
    assert_int_equal(press(model, TOP_KEY_ENTER), TOP_ASK);
    assert_int_equal(model->depth, 1);
    assert_int_equal(press(model, TOP_KEY_ENTER), TOP_DRAW); /* nothing there yet */
    assert_int_equal(press(model, TOP_KEY_BACKSPACE), TOP_ASK);
    assert_int_equal(model->depth, 0);
    assert_int_equal(model->levels[0].selected->probe[0], 'b');
    type_in(model, "/b\n");
    assert_int_equal(press(model, 'b'), TOP_ASK);
    assert_int_equal(model->levels[0].by, TOP_BY_UNIT);
    assert_string_equal(model->levels[0].filter, "b");
    top_model_done(model);
}

static void opens_and_closes_pages(void **state)
{
    (void)state;
    static const unsigned closing[] = {
        TOP_KEY_ESCAPE, TOP_KEY_BACKSPACE, TOP_KEY_LEFT, TOP_KEY_ENTER, 'd', '?', 'h'};
    struct top_model *model = start();
    for (size_t i = 0; i < sizeof(closing) / sizeof(closing[0]); i++) {
        press(model, 'd');
        assert_int_equal(model->page, TOP_PAGE_DETAILS);
        press(model, closing[i]);
        assert_int_equal(model->page, TOP_PAGE_TABLE);
        press(model, i % 2 ? '?' : 'h');
        assert_int_equal(model->page, TOP_PAGE_HELP);
        press(model, closing[i]);
        assert_int_equal(model->page, TOP_PAGE_TABLE);
    }
    top_model_done(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_does_something_sound_everywhere),
        cmocka_unit_test(moves_by_lines_and_pages),
        cmocka_unit_test(filters_while_one_types),
        cmocka_unit_test(takes_no_more_characters_than_there_is_room_for),
        cmocka_unit_test(changes_sort_key_and_direction),
        cmocka_unit_test(changes_interval_and_window),
        cmocka_unit_test(pauses_and_asks_when_it_goes_on),
        cmocka_unit_test(goes_in_and_out),
        cmocka_unit_test(opens_and_closes_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
