/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert_cases.h"

#include "alert/alert_saved.h"

#define NOW (ALERT_SAVED_AGE_MAX_NS + 5000 * S)
#define DAY (86400 * S)

static struct alert_book *book_of(struct told *told, const struct alert_rule *rule)
{
    struct alert_book *book = new_book(told, 0);
    assert_int_equal(alert_book_set_rules(book, &rule, 1, NOW), 0);
    return book;
}

static void see(struct alert_book *book, double value_ms, uint64_t now_ns)
{
    const struct alert_subject subject = process_subject(71);
    alert_book_begin(book);
    if (value_ms >= 0)
        alert_book_observe(book, 0, &subject, true, value_ms * 1e6, 12);
    alert_book_finish(book, now_ns);
}

static const struct alert *only_alert(const struct alert_book *book)
{
    struct alert_rule_view view;
    alert_book_view(book, 0, &view);
    assert_int_equal(view.alerts_count, 1);
    return view.alerts[0];
}

static json_t *saved(const struct alert_book *book, uint64_t now_ns)
{
    struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_saved_write(&json, NULL, book, now_ns);
    assert_int_equal(text.failed, 0);
    json_t *array = json_loads(text.bytes, 0, NULL);
    assert_non_null(array);
    text_done(&text);
    return array;
}

/* As if the agent had ended now and started `away` later, with another monotonic clock. */
static struct alert_book *restart(struct alert_book *book, struct told *told,
                                  const struct alert_rule *rule, uint64_t now_ns, uint64_t fresh_ns,
                                  uint64_t away_ns)
{
    json_t *array = saved(book, now_ns);
    alert_book_free(book);
    struct alert_book *fresh = book_of(told, rule);
    struct alert_saved_figures figures = alert_saved_read(array, fresh, fresh_ns, away_ns, 60 * S);
    assert_int_equal(figures.restored, 1);
    assert_int_equal(figures.refused + figures.ruleless, 0);
    json_decref(array);
    return fresh;
}

static void pending_goes_on_without_the_time_away(void **state)
{
    (void)state;
    struct told told = {0};
    struct alert_rule rule = slow_rule("slow");
    rule.for_ns = 300 * S;
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    uint64_t fresh_ns = NOW - 4000 * S; /* the machine was started again: its clock is younger */
    book = restart(book, &told, &rule, NOW + 100 * S, fresh_ns, 600 * S);
    see(book, -1, fresh_ns + 10 * S); /* the windows are still empty */
    see(book, 900, fresh_ns + 199 * S);
    assert_int_equal(only_alert(book)->state.phase, ALERT_PENDING);
    see(book, 900, fresh_ns + 200 * S);
    assert_int_equal(only_alert(book)->state.phase, ALERT_FIRING);
    assert_said(&told.notices, "slow:firing");
    alert_book_free(book);
    told_done(&told);
}

static void a_firing_alert_is_not_told_again_and_is_older(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    assert_said(&told.notices, "slow:firing");
    book = restart(book, &told, &rule, NOW + 100 * S, NOW, 50 * S);
    const struct alert *alert = only_alert(book);
    assert_int_equal(alert->state.active_ns, NOW - 150 * S);
    assert_int_equal(alert->state.fired_ns, NOW - 150 * S);
    assert_true(alert->value == 900e6 && alert->count == 12);
    assert_int_equal(alert->subject.pid, 71);
    assert_int_equal(alert->subject.start_tick, 7);
    assert_string_equal(alert->subject.comm, "comm");
    assert_string_equal(alert->subject.unit, "x.service");
    see(book, 901, NOW + 10 * S);
    assert_said(&told.notices, "");
    see(book, 1, NOW + 20 * S);
    assert_said(&told.notices, "slow:resolved");
    alert_book_free(book);
    told_done(&told);
}

static void what_fires_for_years_is_still_known(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    uint64_t now_ns = NOW;
    see(book, 900, now_ns);
    for (int month = 0; month < 24; month++) {
        book = restart(book, &told, &rule, now_ns + 30 * DAY, NOW, S);
        now_ns = NOW;
        see(book, 900, now_ns);
    }
    assert_said(&told.notices, "slow:firing");
    assert_int_equal(only_alert(book)->state.fired_ns, NOW - ALERT_SAVED_AGE_MAX_NS);
    alert_book_free(book);
    told_done(&told);
}

static void keep_firing_for_goes_on(void **state)
{
    (void)state;
    struct told told = {0};
    struct alert_rule rule = slow_rule("slow");
    rule.keep_firing_ns = 100 * S;
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    see(book, 1, NOW + 10 * S);
    book = restart(book, &told, &rule, NOW + 70 * S, NOW, 1000 * S);
    see(book, 1, NOW + 39 * S);
    assert_int_equal(only_alert(book)->state.phase, ALERT_FIRING);
    see(book, 1, NOW + 40 * S);
    assert_said(&told.notices, "slow:firing slow:resolved");
    alert_book_free(book);
    told_done(&told);
}

static void unknown_stays_unknown(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    see(book, -1, NOW + 10 * S);
    book = restart(book, &told, &rule, NOW + 20 * S, NOW, 0);
    see(book, -1, NOW + 61 * S);
    assert_said(&told.notices, "slow:firing slow:unknown");
    see(book, 900, NOW + 70 * S);
    assert_said(&told.notices, "slow:firing");
    alert_book_free(book);
    told_done(&told);
}

static void a_clock_far_ahead_does_not_reach_before_the_beginning(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    uint64_t fresh_ns = ALERT_SAVED_AGE_MAX_NS;
    book = restart(book, &told, &rule, NOW + S, fresh_ns, UINT64_MAX);
    assert_int_equal(only_alert(book)->state.active_ns, 0);
    see(book, 900, fresh_ns + S);
    assert_int_equal(only_alert(book)->state.phase, ALERT_FIRING);
    alert_book_free(book);
    told_done(&told);
}

static void pending_is_forgotten_after_a_long_absence(void **state)
{
    (void)state;
    struct told told = {0};
    struct alert_rule rule = slow_rule("slow");
    rule.for_ns = 300 * S;
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    json_t *array = saved(book, NOW);
    struct alert_book *fresh = book_of(&told, &rule);
    alert_saved_read(array, fresh, NOW, ALERT_SAVED_PENDING_MAX_NS + 1, 0);
    assert_false(alert_book_is_busy(fresh));
    alert_saved_read(array, fresh, NOW, ALERT_SAVED_PENDING_MAX_NS, 0);
    assert_true(alert_book_is_busy(fresh));
    json_decref(array);
    alert_book_free(book);
    alert_book_free(fresh);
    told_done(&told);
}

static void a_rule_that_asks_for_something_else_gets_nothing(void **state)
{
    (void)state;
    struct told told = {0};
    struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    json_t *array = saved(book, NOW);
    alert_book_free(book);
    rule.threshold = 300e6;
    book = book_of(&told, &rule);
    struct alert_saved_figures figures = alert_saved_read(array, book, NOW, 0, 0);
    assert_int_equal(figures.ruleless, 1);
    assert_int_equal(figures.restored, 0);
    json_decref(array);
    alert_book_free(book);
    told_done(&told);
}

/* --- what others left there ------------------------------------------------------------------- */

/* One alert as it is saved, with one key changed; NULL: taken out. */
static void assert_refused(const json_t *array, const struct alert_rule *rule, const char *key,
                           const char *value)
{
    struct told told = {0};
    struct alert_book *book = book_of(&told, rule);
    json_t *copy = json_deep_copy(array);
    json_t *object = json_array_get(copy, 0);
    if (value)
        json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(object, key);
    struct alert_saved_figures figures = alert_saved_read(copy, book, NOW, 0, 0);
    if (figures.refused != 1 || alert_book_is_busy(book))
        fail_msg("%s: %s was taken", key, value ? value : "(absent)");
    json_decref(copy);
    alert_book_free(book);
    told_done(&told);
}

static void refuses_what_it_would_not_have_written(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    json_t *array = saved(book, NOW);
    static const char *const needed[] = {"rule",  "whom", "probe", "pid",  "start_tick",
                                         "state", "told", "value", "count"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        assert_refused(array, &rule, needed[i], NULL);
        assert_refused(array, &rule, needed[i], "[]");
        assert_refused(array, &rule, needed[i], "-1");
    }
    assert_refused(array, &rule, "rule", "\"0123456789abcdeg\"");
    assert_refused(array, &rule, "rule", "\"0123\"");
    assert_refused(array, &rule, "whom", "6");
    assert_refused(array, &rule, "pid", "4294967296");
    assert_refused(array, &rule, "state", "\"resolved\"");
    assert_refused(array, &rule, "told", "\"pending\"");
    assert_refused(array, &rule, "value", "\"900\"");
    assert_refused(array, &rule, "active_ns", "-5");
    assert_refused(array, &rule, "active_ns", "9223372036854775807");
    assert_refused(array, &rule, "fired_ns", "\"x\"");
    assert_refused(array, &rule, "comm", "7");
    char long_name[2 * ALERT_PROBE_BYTES];
    memset(long_name, 'x', sizeof(long_name));
    long_name[0] = long_name[sizeof(long_name) - 2] = '"';
    long_name[sizeof(long_name) - 1] = '\0';
    assert_refused(array, &rule, "probe", long_name);
    json_decref(array);
    alert_book_free(book);
    told_done(&told);
}

static void reads_any_json_at_all(void **state)
{
    (void)state;
    static const char *const texts[] = {"null", "7", "{}", "[[]]", "[null, 1, \"x\", {}]"};
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *value = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        struct alert_saved_figures figures = alert_saved_read(value, book, NOW, 0, 0);
        assert_int_equal(figures.restored, 0);
        json_decref(value);
    }
    alert_saved_read(NULL, book, NOW, 0, 0);
    assert_false(alert_book_is_busy(book));
    alert_book_free(book);
    told_done(&told);
}

/* What is damaged is read as far as it is JSON, and then steps like everything else. */
static void survives_any_damage(void **state)
{
    (void)state;
    struct told told = {0};
    struct alert_rule rule = slow_rule("slow");
    rule.keep_firing_ns = rule.for_ns = 20 * S;
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    json_t *array = saved(book, NOW);
    alert_book_free(book);
    char *text = json_dumps(array, JSON_COMPACT);
    size_t length = strlen(text);
    uint64_t seed = 7;
    unsigned restored = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char *damaged = strdup(text);
        for (unsigned i = 0; i <= round % 4; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            damaged[(seed >> 33) % length] =
                "0123456789-+.eE\"{}[],:\\untrfalse\x01\xff"[(seed >> 20) % 34];
        }
        json_t *json = json_loadb(damaged, length, 0, NULL);
        book = book_of(&told, &rule);
        restored +=
            (unsigned)alert_saved_read(json, book, NOW, (seed >> 58) * 100 * S, 10 * S).restored;
        see(book, round % 2 ? 900 : -1, NOW + 30 * S);
        see(book, 1, NOW + 60 * S);
        alert_book_free(book);
        json_decref(json);
        free(damaged);
    }
    assert_true(restored > 100);
    free(text);
    json_decref(array);
    told_done(&told);
}

static void takes_no_more_alerts_than_there_is_room_for_and_each_once(void **state)
{
    (void)state;
    struct told told = {0};
    const struct alert_rule rule = slow_rule("slow");
    struct alert_book *book = book_of(&told, &rule);
    see(book, 900, NOW);
    json_t *array = saved(book, NOW), *many = json_array();
    for (int pid = 1; pid <= ALERT_ALERTS_OF_RULE + 10; pid++) {
        json_t *object = json_deep_copy(json_array_get(array, 0));
        json_object_set_new(object, "pid", json_integer(pid));
        json_array_append_new(many, object);
    }
    json_array_append(many, json_array_get(many, 0));
    alert_book_free(book);
    book = book_of(&told, &rule);
    struct alert_saved_figures figures = alert_saved_read(many, book, NOW, 0, 0);
    assert_int_equal(figures.restored, ALERT_ALERTS_OF_RULE);
    assert_int_equal(figures.refused, 11);
    json_decref(array);
    json_decref(many);
    alert_book_free(book);
    told_done(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pending_goes_on_without_the_time_away),
        cmocka_unit_test(a_firing_alert_is_not_told_again_and_is_older),
        cmocka_unit_test(what_fires_for_years_is_still_known),
        cmocka_unit_test(keep_firing_for_goes_on),
        cmocka_unit_test(unknown_stays_unknown),
        cmocka_unit_test(a_clock_far_ahead_does_not_reach_before_the_beginning),
        cmocka_unit_test(pending_is_forgotten_after_a_long_absence),
        cmocka_unit_test(a_rule_that_asks_for_something_else_gets_nothing),
        cmocka_unit_test(refuses_what_it_would_not_have_written),
        cmocka_unit_test(reads_any_json_at_all),
        cmocka_unit_test(survives_any_damage),
        cmocka_unit_test(takes_no_more_alerts_than_there_is_room_for_and_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
