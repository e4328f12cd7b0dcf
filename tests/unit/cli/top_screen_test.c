/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/top_grid.c"
#include "cli/top_keys.c"
#include "cli/top_model.c"
#include "cli/top_page.c"
#include "cli/top_row.c"
#include "cli/top_screen.c"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

#define HEIGHT_MAX 100

/* A screen as lines, which end where their last mark is. */
struct screen {
    struct top_grid *grid;
    struct text text;
    const char *lines[HEIGHT_MAX];
};

static void look(struct top_model *model, unsigned width, unsigned height, bool is_utf8,
                 struct screen *screen)
{
    *screen = (struct screen){0};
    assert_int_equal(top_grid_new(width, height, is_utf8, &screen->grid), 0);
    top_screen_draw(model, screen->grid);
    size_t starts[HEIGHT_MAX];
    for (unsigned line = 0; line < height; line++) {
        starts[line] = screen->text.length;
        for (unsigned column = 0; column < width; column++)
            text_append_string(&screen->text, top_grid_cell(screen->grid, line, column)->bytes);
        while (screen->text.length > starts[line] &&
               screen->text.bytes[screen->text.length - 1] == ' ')
            screen->text.length--;
        text_append(&screen->text, "\0", 1);
    }
    for (unsigned line = 0; line < height; line++)
        screen->lines[line] = screen->text.bytes + starts[line];
}

static void look_away(struct screen *screen)
{
    top_grid_free(screen->grid);
    text_done(&screen->text);
}

/* Every line is as wide as the screen, as a terminal counts, and holds nothing that it acts on. */
static void assert_sound(const struct screen *screen)
{
    for (unsigned line = 0; line < screen->grid->height; line++) {
        unsigned width = 0;
        for (unsigned column = 0; column < screen->grid->width; column++) {
            const char *bytes = top_grid_cell(screen->grid, line, column)->bytes;
            if (!bytes[0])
                continue;
            assert_int_equal(text_utf8_bytes(bytes, strlen(bytes)), strlen(bytes));
            assert_true((unsigned char)bytes[0] >= ' ' && bytes[0] != 0x7f);
            assert_true(screen->grid->is_utf8 || (unsigned char)bytes[0] < 0x80);
            int own = bytes[1] ? wcwidth(decode(bytes, strlen(bytes))) : 1;
            assert_in_range(own, 1, 2);
            assert_true(own == 1 || !top_grid_cell(screen->grid, line, column + 1)->bytes[0]);
            width += (unsigned)own;
        }
        assert_int_equal(width, screen->grid->width);
    }
}

static bool has(const struct screen *screen, const char *string)
{
    for (unsigned line = 0; line < screen->grid->height; line++)
        if (strstr(screen->lines[line], string))
            return true;
    return false;
}
#define ASSERT_HAS(screen, string)                                                                 \
    do {                                                                                           \
        if (!has(screen, string)) {                                                                \
            for (unsigned at_ = 0; at_ < (screen)->grid->height; at_++)                            \
                print_message("|%s\n", (screen)->lines[at_]);                                      \
            fail_msg("there is no \"%s\" on it", string);                                          \
        }                                                                                          \
    } while (0)

static json_t *series(const char *probe, const char *unit, int p99_ns)
{
    json_t *one = json_pack(
        "{s:s, s:i, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:f, s:f, s:f, s:i}", "probe",
        probe, "count", 34000, "rate_per_s", 3400.0, "p99_ns", p99_ns, "mean_ns", p99_ns / 3,
        "p50_ns", p99_ns / 4, "p90_ns", p99_ns / 2, "p999_ns", 2 * p99_ns, "max_ns", 3 * p99_ns,
        "errors", 340, "error_ratio", 0.01, "lost", 0, "time_share", 0.5, "relative_error", 0.0054,
        "window_s", 10.0, "in_flight", 2);
    assert_non_null(one);
    if (unit)
        json_object_set_new(one, "group", json_pack("{s:s, s:s}", "kind", "unit", "unit", unit));
    return one;
}

static void answer(struct top_model *model, json_t *array)
{
    json_t *reply = json_pack("{s:o, s:i}", "series", array, "truncated", 0);
    assert_int_equal(top_model_update(model, reply, "2026-11-20T07:00:05.123Z"), 0);
    json_decref(reply);
}

static struct top_model *start(enum top_by by)
{
    static struct top_model model;
    top_model_init(&model, NULL, by);
    json_t *status = json_pack("{s:s, s:i, s:{s:f, s:f, s:f}}", "health", "ok", "probes_attached",
                               12, "overhead", "probes", 0.0051, "budget", 0.01, "agent", 0.0012);
    top_model_set_agent(&model, status);
    json_decref(status);
    return &model;
}

static struct top_model *start_with_two(void)
{
    struct top_model *model = start(TOP_BY_NONE);
    answer(model, json_pack("[o, o]", series("user:libc.so.6:malloc", NULL, 1230000),
                            series("syscall:read", NULL, 870)));
    return model;
}

static void shows_at_80x24_what_matters(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    struct screen screen;
    look(model, 80, 24, true, &screen);
    assert_sound(&screen);
    static const char *const expected[] = {
        "loris top  ok  last 10.0 s, every 1 s                                  07:00:05Z",
        "6.80 k calls/s   0 lost   12 probes cost 0.51 % of 1.00 % CPU   agent 0.12 %",
        "all probes                                                                2 rows",
        "  PROBE                  P99 TREND          P50      P99      RATE   ERR% ▼TIME%",
        "> user:libc.so.6:malloc              █   308 us  1.23 ms  3.40 k/s   1.00   50.0",
        "  syscall:read                       █   217 ns   870 ns  3.40 k/s   1.00   50.0",
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_string_equal(screen.lines[i], expected[i]);
    ASSERT_HAS(&screen, "? help   q quit   Enter into   / filter");
    look_away(&screen);
    top_model_done(model);
}

static void drops_columns_but_never_the_one_it_sorts_by(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    struct screen screen;
    for (unsigned sort = 0; sort < TOP_BY_NAME; sort++) {
        static const char *const titles[] = {"▼P50",   "▼P99",  "▼MAX",  "▼RATE",
                                             "▼COUNT", "▼ERR%", "▼TIME%"};
        model->sort = (enum top_sort)sort;
        for (unsigned width = TOP_WIDTH_MIN; width <= 200; width++) {
            look(model, width, 10, true, &screen);
            assert_sound(&screen);
            ASSERT_HAS(&screen, titles[sort]);
            ASSERT_HAS(&screen, sort == TOP_BY_P99 ? "▼P99" : " P99");
            look_away(&screen);
        }
    }
    model->sort = TOP_BY_NAME;
    model->is_reversed = true;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "PROBE▲");
    look_away(&screen);
    look(model, 200, 60, true, &screen);
    for (unsigned i = 0; i < FIGURES; i++)
        ASSERT_HAS(&screen, figure_columns[i].title);
    look_away(&screen);
    top_model_done(model);
}

static void fits_every_size(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_PROCESS);
    json_t *array = json_array();
    char name[64];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "user:/usr/lib/x86_64-linux-gnu/libvery.so.%d:f", i);
        json_array_append_new(array, series(name, i % 2 ? "a.service" : "b.service", 1 + i * i));
    }
    answer(model, array);
    struct screen screen;
    for (unsigned page = TOP_PAGE_TABLE; page <= TOP_PAGE_HELP; page++)
        for (unsigned width = 1; width <= 210; width += 1 + width / 20)
            for (unsigned height = 1; height <= 62; height += 1 + height / 12) {
                model->page = (enum top_page)page;
                model->page_first = 1000;
                model->is_typing = width % 2;
                look(model, width, height, width % 3, &screen);
                assert_sound(&screen);
                look_away(&screen);
            }
    top_model_done(model);
}

static void says_when_it_is_too_small(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    struct screen screen;
    look(model, 20, 5, true, &screen);
    assert_string_equal(screen.lines[0], "too small: 30x6");
    assert_string_equal(screen.lines[1], "are needed");
    look_away(&screen);
    look(model, 30, 6, true, &screen);
    ASSERT_HAS(&screen, "1.23 ms");
    look_away(&screen);
    top_model_done(model);
}

static void shows_rows_around_the_cursor(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    json_t *array = json_array();
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "probe-%03d", i);
        json_array_append_new(array, series(name, NULL, 1));
    }
    answer(model, array);
    model->sort = TOP_BY_NAME;
    top_model_order(model);
    struct screen screen;
    look(model, 80, 24, true, &screen);
    assert_int_equal(strncmp(screen.lines[4], "> probe-000 ", 12), 0);
    ASSERT_HAS(&screen, "probe-018");
    assert_false(has(&screen, "probe-019"));
    look_away(&screen);
    for (size_t i = 0; i < 2; i++)
        top_keys_press(model, TOP_KEY_PAGE_DOWN, top_screen_rows(24));
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "> probe-038 ");
    ASSERT_HAS(&screen, "  probe-020 ");
    look_away(&screen);
    top_keys_press(model, TOP_KEY_END, top_screen_rows(24));
    look(model, 40, 10, true, &screen); /* smaller: the cursor stays on it */
    ASSERT_HAS(&screen, "> probe-099 ");
    ASSERT_HAS(&screen, "  probe-094 ");
    assert_false(has(&screen, "probe-093"));
    look_away(&screen);
    top_model_done(model);
}

/* Names come from strangers; the selected one may be any of them. */
static void shows_hostile_names_without_harm(void **state)
{
    (void)state;
    static const char *const names[] = {
        "\033[2J\033]0;owned\007",
        "a\xc2\x9b"
        "31mb", /* CSI as one character */
        "tab\tnew\nline\r\b",
        "\u202egnp.exe",             /* right-to-left override */
        "e\u0301\u0301\u0301\u0301", /* marks that pile up */
        "\u200b\u200d\ufeff",
        "関数名の長い長い長い長い長い長い長い名前::実行する",
        "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀",
        "\U0010ffff\ue000",
        "%s%n%s%n",
        "",
    };
    for (unsigned by = 0; by < TOP_GROUPS; by++) {
        struct top_model *model = start((enum top_by)by);
        json_t *array = json_array();
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            json_array_append_new(array, series(names[i], by ? names[i] : NULL, 100));
        answer(model, array);
        for (size_t row = 0; row < sizeof(names) / sizeof(names[0]); row++) {
            struct screen screen;
            for (unsigned width = TOP_WIDTH_MIN; width < 130; width += 7) {
                look(model, width, 24, width % 2, &screen);
                assert_sound(&screen);
                look_away(&screen);
            }
            model->page = TOP_PAGE_DETAILS;
            look(model, 80, 24, true, &screen);
            assert_sound(&screen);
            look_away(&screen);
            model->page = TOP_PAGE_TABLE;
            if (top_model_enter(model) > 0) {
                look(model, 80, 24, true, &screen); /* the way here names it, too */
                assert_sound(&screen);
                look_away(&screen);
                top_model_leave(model);
            }
            top_model_move(model, 1);
        }
        top_model_done(model);
    }
}

static void cuts_long_names_in_the_middle(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    answer(model, json_pack("[o]", series("user:/usr/lib/x86_64-linux-gnu/libssl.so.3:SSL_read",
                                          NULL, 100)));
    struct screen screen;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "> user:/usr/li…o.3:SSL_read ");
    look_away(&screen);
    look(model, 80, 24, false, &screen);
    ASSERT_HAS(&screen, "> user:/usr/li...3:SSL_read ");
    look_away(&screen);
    top_model_done(model);
}

static void draws_the_trend_in_letters_where_there_are_no_blocks(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    static const int p99_ns[] = {100, 800, 400, 1};
    for (size_t i = 0; i < sizeof(p99_ns) / sizeof(p99_ns[0]); i++)
        answer(model, json_pack("[o]", series("a", NULL, p99_ns[i])));
    struct screen screen;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, " ▂█▅▁  ");
    look_away(&screen);
    look(model, 80, 24, false, &screen);
    ASSERT_HAS(&screen, " :@+.  ");
    look_away(&screen);
    top_model_done(model);
}

static void marks_estimates_and_says_what_they_are_worth(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    json_t *one = series("a", NULL, 1230000);
    json_object_set_new(one, "estimated", json_true());
    json_object_set_new(one, "rank_error", json_real(0.028));
    json_object_set_new(one, "observed", json_real(0.25));
    json_object_set_new(one, "waiting", json_integer(67));
    json_object_set_new(one, "oldest_ns", json_integer(3200000000));
    answer(model, json_pack("[o]", one));
    struct screen screen;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "~1.23 ms");
    look_away(&screen);
    top_keys_press(model, 'd', 10);
    look(model, 80, 30, true, &screen);
    static const char *const expected[] = {
        "probe       a",
        "P99         1.23 ms",
        "P99.9       2.46 ms",
        "calls       34,000",
        "rate        3.40 k/s",
        "errors      340 (1 %)",
        "in flight   2 (oldest 3.20 s)",
        "observed    25 % of the time",
        "ranks       within 2.8 %",
        "breakdown   estimated",
        "waiting     67 calls for a timed one to stand for them"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ASSERT_HAS(&screen, expected[i]);
    look_away(&screen);
    answer(model, json_array());
    look(model, 80, 30, true, &screen);
    ASSERT_HAS(&screen, "no calls any more");
    look_away(&screen);
    top_model_done(model);
}

static void details_scroll_where_they_do_not_fit(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    top_keys_press(model, 'd', 4);
    struct screen screen;
    look(model, 40, 10, true, &screen);
    ASSERT_HAS(&screen, "user:libc.so.6:malloc");
    assert_false(has(&screen, "p99 trend"));
    look_away(&screen);
    for (size_t i = 0; i < 20; i++)
        top_keys_press(model, TOP_KEY_PAGE_DOWN, 4);
    look(model, 40, 10, true, &screen);
    ASSERT_HAS(&screen, "p99 trend");
    look_away(&screen);
    top_keys_press(model, TOP_KEY_ESCAPE, 4);
    assert_int_equal(model->page, TOP_PAGE_TABLE);
    top_model_done(model);
}

static void says_what_is_wrong_with_the_agent(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    struct screen screen;
    model->link = TOP_GONE;
    strcpy(model->said, "agent gone, trying again: cannot reach it");
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "loris top  agent gone, trying again: cannot reach it");
    ASSERT_HAS(&screen, "1.23 ms"); /* the last that was known */
    look_away(&screen);
    model->link = TOP_CONNECTED;
    strcpy(model->said, "out of memory for the answer");
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "loris top  ok  out of memory for the answer");
    look_away(&screen);
    model->is_paused = true;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "loris top  ok  PAUSED");
    look_away(&screen);
    top_model_done(model);
}

static void says_why_there_is_no_row(void **state)
{
    (void)state;
    struct top_model *model = start(TOP_BY_NONE);
    struct screen screen;
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "asking the agent");
    look_away(&screen);
    answer(model, json_array());
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "no calls in this time");
    look_away(&screen);
    answer(model, json_pack("[o]", series("a", NULL, 1)));
    top_keys_press(model, '/', 10);
    top_keys_press(model, 'x', 10);
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "nothing matches the filter");
    ASSERT_HAS(&screen, "filter: x_");
    ASSERT_HAS(&screen, "0 of 1 row, filter x");
    look_away(&screen);
    model->agent.probes_attached = 0;
    answer(model, json_array());
    top_keys_press(model, TOP_KEY_ESCAPE, 10);
    look(model, 80, 24, true, &screen);
    ASSERT_HAS(&screen, "no probe is attached");
    look_away(&screen);
    top_model_done(model);
}

static void help_names_every_key_on_one_screen(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    top_keys_press(model, '?', 19);
    struct screen screen;
    look(model, 80, 24, true, &screen);
    static const char *const expected[] = {"Enter", "Esc", " d ",   " / ", " s S ", "1 .. 8",
                                           " b ",   " w ", " + - ", " p ", " q ",   "lost"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ASSERT_HAS(&screen, expected[i]);
    for (unsigned line = 0; line < 24; line++) /* nothing is cut off */
        assert_string_equal(top_grid_cell(screen.grid, line, 79)->bytes, line ? " " : "Z");
    look_away(&screen);
    top_model_done(model);
}

static void draw_once(void *context)
{
    struct top_grid *grid = NULL;
    if (top_grid_new(80, 24, true, &grid) == 0)
        top_screen_draw(context, grid);
    top_grid_free(grid);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct top_model *model = start_with_two();
    assert_in_range(failing_alloc_each(draw_once, model), 2, 10);
    top_model_done(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_at_80x24_what_matters),
        cmocka_unit_test(drops_columns_but_never_the_one_it_sorts_by),
        cmocka_unit_test(fits_every_size),
        cmocka_unit_test(says_when_it_is_too_small),
        cmocka_unit_test(shows_rows_around_the_cursor),
        cmocka_unit_test(shows_hostile_names_without_harm),
        cmocka_unit_test(cuts_long_names_in_the_middle),
        cmocka_unit_test(draws_the_trend_in_letters_where_there_are_no_blocks),
        cmocka_unit_test(marks_estimates_and_says_what_they_are_worth),
        cmocka_unit_test(details_scroll_where_they_do_not_fit),
        cmocka_unit_test(says_what_is_wrong_with_the_agent),
        cmocka_unit_test(says_why_there_is_no_row),
        cmocka_unit_test(help_names_every_key_on_one_screen),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
