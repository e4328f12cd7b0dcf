/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert_cases.h"

#include "../support/failing_alloc.h"

struct setting {
    struct told told;
    struct alert_book *book;
    uint64_t now_ns;
};

static void set_rules(struct setting *setting, const struct alert_rule *rules, size_t count)
{
    const struct alert_rule *pointers[ALERT_RULES_MAX];
    for (size_t i = 0; i < count; i++)
        pointers[i] = &rules[i];
    assert_int_equal(alert_book_set_rules(setting->book, pointers, count, setting->now_ns), 0);
}

/* Not a function: the book keeps a pointer to what is told. */
#define BEGIN(rules, count, interval)                                                              \
    struct setting setting = {.now_ns = 1000 * S};                                                 \
    setting.book = new_book(&setting.told, interval);                                              \
    set_rules(&setting, rules, count)

static void end(struct setting *setting)
{
    alert_book_free(setting->book);
    told_done(&setting->told);
}

/* One evaluation 10 s later: value in ms of the only rule's only row; negative: no row. */
static void look(struct setting *setting, double value_ms)
{
    const struct alert_subject subject = probe_subject("user:a:b");
    setting->now_ns += 10 * S;
    alert_book_begin(setting->book);
    if (value_ms >= 0)
        alert_book_observe(setting->book, 0, &subject, true, value_ms * 1e6, 100);
    alert_book_finish(setting->book, setting->now_ns);
}

static enum alert_phase phase(const struct setting *setting, size_t rule)
{
    struct alert_rule_view view;
    alert_book_view(setting->book, rule, &view);
    return view.phase;
}

static void tells_of_an_alert_that_fires_and_ends(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 60 * S);
    assert_int_equal(phase(&setting, 0), ALERT_UNKNOWN); /* nobody looked yet */
    look(&setting, 200);                                 /* at the threshold is not above it */
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    look(&setting, 201);
    assert_said(&setting.told.notices, "slow:firing");
    look(&setting, 900);
    assert_said(&setting.told.notices, "");
    assert_int_equal(phase(&setting, 0), ALERT_FIRING);
    look(&setting, 1);
    assert_said(&setting.told.notices, "slow:resolved");
    assert_said(&setting.told.changes, "slow:firing@1020 slow:inactive@1040");
    assert_false(alert_book_is_busy(setting.book));
    end(&setting);
}

static void a_pending_alert_is_nobodys_business(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    rule.for_ns = 20 * S;
    BEGIN(&rule, 1, 60 * S);
    look(&setting, 300);
    look(&setting, 300);
    assert_int_equal(phase(&setting, 0), ALERT_PENDING);
    assert_true(alert_book_is_busy(setting.book));
    look(&setting, 100);
    assert_said(&setting.told.notices, "");
    assert_said(&setting.told.changes, "");
    assert_false(alert_book_is_busy(setting.book));
    end(&setting);
}

static void clear_is_another_threshold_for_the_way_back(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    rule.for_ns = 10 * S;
    rule.has_clear = true;
    rule.clear = 100e6;
    BEGIN(&rule, 1, 0);
    look(&setting, 150);
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    look(&setting, 250);
    look(&setting, 150); /* only what fires has the other threshold */
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    look(&setting, 250);
    look(&setting, 250);
    look(&setting, 101);
    assert_int_equal(phase(&setting, 0), ALERT_FIRING);
    look(&setting, 100);
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    end(&setting);
}

static void below_is_the_other_way_round(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    rule.is_below = rule.has_clear = true;
    rule.clear = 300e6;
    BEGIN(&rule, 1, 0);
    look(&setting, 200);
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    look(&setting, 199);
    look(&setting, 299);
    assert_int_equal(phase(&setting, 0), ALERT_FIRING);
    look(&setting, 300);
    assert_int_equal(phase(&setting, 0), ALERT_INACTIVE);
    end(&setting);
}

static void too_few_calls_say_nothing(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow");
    rule.min_count = 20;
    BEGIN(&rule, 1, 0);
    const struct alert_subject subject = probe_subject("user:a:b");
    for (uint64_t count = 19; count <= 20; count++) {
        setting.now_ns += S;
        alert_book_begin(setting.book);
        alert_book_observe(setting.book, 0, &subject, true, 900e6, count);
        alert_book_finish(setting.book, setting.now_ns);
        assert_int_equal(phase(&setting, 0), count < 20 ? ALERT_UNKNOWN : ALERT_FIRING);
    }
    setting.now_ns += S;
    alert_book_begin(setting.book);
    alert_book_observe(setting.book, 0, &subject, true, 1, 3);
    alert_book_finish(setting.book, setting.now_ns);
    assert_int_equal(phase(&setting, 0), ALERT_UNKNOWN);
    assert_said(&setting.told.notices, "slow:firing slow:unknown");
    end(&setting);
}

static void a_process_that_ended_takes_its_alert_along(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 0);
    for (uint32_t pid = 1; pid <= 2; pid++) {
        const struct alert_subject subject = process_subject(pid);
        alert_book_observe(setting.book, 0, &subject, true, 900e6, 1);
    }
    alert_book_finish(setting.book, setting.now_ns);
    setting.told.gone_pid = 2;
    look(&setting, -1);
    assert_said(&setting.told.notices, "slow:firing*2 slow:unknown slow:resolved");
    end(&setting);
}

static void what_cannot_be_looked_at_stays(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 0);
    look(&setting, 900);
    setting.now_ns += 10 * S;
    alert_book_begin(setting.book);
    alert_book_pass_over(setting.book, 0);
    alert_book_finish(setting.book, setting.now_ns);
    assert_int_equal(phase(&setting, 0), ALERT_FIRING);
    assert_said(&setting.told.notices, "slow:firing");
    end(&setting);
}

static void alerts_of_a_rule_that_fire_together_are_one_notice(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 60 * S);
    for (uint32_t pid = 1; pid <= 70; pid++) {
        const struct alert_subject subject = process_subject(pid);
        alert_book_observe(setting.book, 0, &subject, true, 900e6, 1);
    }
    alert_book_finish(setting.book, setting.now_ns);
    assert_said(&setting.told.notices, "slow:firing*70");
    look(&setting, -1);
    assert_said(&setting.told.notices, "slow:unknown*70");
    end(&setting);
}

static void alerts_without_room_are_counted(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 0);
    for (int round = 0; round < 2; round++) {
        alert_book_begin(setting.book);
        for (uint32_t pid = 1; pid <= ALERT_ALERTS_OF_RULE + 5; pid++) {
            const struct alert_subject subject = process_subject(pid);
            alert_book_observe(setting.book, 0, &subject, true, 900e6, 1);
        }
        alert_book_finish(setting.book, setting.now_ns);
    }
    struct alert_rule_view view;
    alert_book_view(setting.book, 0, &view);
    assert_int_equal(view.alerts_count, ALERT_ALERTS_OF_RULE);
    assert_int_equal(view.overflow, 10);
    end(&setting);
}

static void flapping_is_held_back_and_said_later(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 300 * S);
    for (int i = 0; i < 4; i++) /* four notices at once */
        look(&setting, i % 2 ? 100 : 300);
    assert_said(&setting.told.notices, "slow:firing slow:resolved slow:firing slow:resolved");
    for (int i = 0; i < 26; i++) /* 260 s */
        look(&setting, i % 2 ? 100 : 300);
    assert_said(&setting.told.notices, "");
    assert_int_equal(alert_book_held_back(setting.book), 26);
    /* The first was taken 300 s ago: what is so now is news, the rest a number. */
    look(&setting, 300);
    assert_said(&setting.told.notices, "slow:firing(26)");
    assert_int_equal(alert_book_held_back(setting.book), 26);
    end(&setting);
}

static void what_came_and_went_is_said_without_an_alert(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 300 * S);
    for (int i = 0; i < 6; i++)
        look(&setting, i % 2 ? 100 : 300);
    for (int i = 0; i < 24; i++)
        look(&setting, 100);
    assert_said(&setting.told.notices, "slow:firing slow:resolved slow:firing slow:resolved");
    look(&setting, 100);
    assert_said(&setting.told.notices, "slow:held_back(2)");
    assert_false(alert_book_is_busy(setting.book));
    look(&setting, 100);
    assert_said(&setting.told.notices, "");
    end(&setting);
}

static void an_end_that_was_held_back_is_told_in_the_end(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 300 * S);
    for (int i = 0; i < 5; i++)
        look(&setting, i % 2 ? 100 : 300);
    look(&setting, 300);
    for (int i = 0; i < 20; i++)
        look(&setting, 100);
    assert_said(&setting.told.notices, "slow:firing slow:resolved slow:firing slow:resolved");
    for (int i = 0; i < 6; i++)
        look(&setting, 300);
    assert_said(&setting.told.notices, "slow:firing(2)");
    for (int i = 0; i < 31; i++)
        look(&setting, 100);
    assert_said(&setting.told.notices, "slow:resolved");
    end(&setting);
}

static void hundreds_of_rules_take_turns(void **state)
{
    (void)state;
    static struct alert_rule rules[50];
    char name[16];
    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "r%02u", i);
        rules[i] = slow_rule(name);
    }
    BEGIN(rules, 50, 60 * S);
    unsigned told[3] = {0};
    for (unsigned round = 0; round < 3; round++) {
        const struct alert_subject subject = probe_subject("user:a:b");
        alert_book_begin(setting.book);
        for (size_t i = 0; i < 50; i++)
            alert_book_observe(setting.book, i, &subject, true, 900e6, 1);
        setting.now_ns += 10 * S;
        alert_book_finish(setting.book, setting.now_ns);
        for (const char *at = setting.told.notices.bytes; (at = strstr(at, ":firing")); at++)
            told[round]++;
        text_clear(&setting.told.notices);
    }
    assert_int_equal(told[0], ALERT_NOTICES_A_ROUND);
    assert_int_equal(told[1], ALERT_NOTICES_A_ROUND);
    assert_int_equal(told[2], 50 - 2 * ALERT_NOTICES_A_ROUND);
    assert_int_equal(alert_book_held_back(setting.book), 0);
    end(&setting);
}

static void new_rules_keep_the_alerts_of_those_that_are_the_same(void **state)
{
    (void)state;
    struct alert_rule old[3] = {slow_rule("same"), slow_rule("changed"), slow_rule("gone")};
    BEGIN(old, 3, 0);
    const struct alert_subject subject = probe_subject("user:a:b");
    for (size_t i = 0; i < 3; i++)
        alert_book_observe(setting.book, i, &subject, true, 900e6, 1);
    alert_book_finish(setting.book, setting.now_ns);
    assert_said(&setting.told.notices, "same:firing changed:firing gone:firing");
    text_clear(&setting.told.changes);
    struct alert_rule fresh[3] = {slow_rule("new"), slow_rule("changed"), slow_rule("same")};
    fresh[1].threshold = 100e6;
    assert_int_equal(alert_rule_add_annotation(&fresh[2], "summary", "{value}"), 0);
    setting.now_ns += S;
    set_rules(&setting, fresh, 3);
    assert_said(&setting.told.notices, "changed:resolved gone:resolved");
    assert_said(&setting.told.changes, "changed:inactive@1001 gone:inactive@1001");
    assert_int_equal(phase(&setting, 2), ALERT_FIRING);
    assert_int_equal(phase(&setting, 1), ALERT_UNKNOWN);
    struct alert_rule_view view;
    alert_book_view(setting.book, 2, &view);
    assert_int_equal(view.alerts[0]->state.active_ns, 1000 * S);
    end(&setting);
    alert_rule_done(&fresh[2]);
}

static void what_a_rule_held_back_is_said_when_it_goes(void **state)
{
    (void)state;
    const struct alert_rule rule = slow_rule("slow");
    BEGIN(&rule, 1, 300 * S);
    for (int i = 0; i < 7; i++) /* four are told, it fires again at the end */
        look(&setting, i % 2 ? 100 : 300);
    assert_said(&setting.told.notices, "slow:firing slow:resolved slow:firing slow:resolved");
    set_rules(&setting, NULL, 0);
    assert_said(&setting.told.notices, "slow:held_back(4)");
    assert_int_equal(alert_book_held_back(setting.book), 4);
    assert_false(alert_book_is_busy(setting.book));
    end(&setting);
}

static void the_worst_row_is_that_of_the_rule(void **state)
{
    (void)state;
    struct alert_rule rules[2] = {slow_rule("above"), slow_rule("below")};
    rules[1].is_below = true;
    BEGIN(rules, 2, 0);
    static const double values[] = {3e6, 900e6, 500e6};
    for (size_t rule = 0; rule < 2; rule++) {
        for (uint32_t i = 0; i < 3; i++) {
            const struct alert_subject subject = process_subject(i + 1);
            alert_book_observe(setting.book, rule, &subject, true, values[i], i);
        }
    }
    alert_book_finish(setting.book, setting.now_ns);
    struct alert_rule_view view;
    alert_book_view(setting.book, 0, &view);
    assert_true(view.value == 900e6 && view.firing == 2);
    alert_book_view(setting.book, 1, &view);
    assert_true(view.value == 3e6 && view.firing == 1);
    end(&setting);
}

static void everything_once(void *context)
{
    const struct alert_rule *rules = context;
    const struct alert_rule *pointers[2] = {&rules[0], &rules[1]};
    struct told told = {0};
    struct alert_book *book = NULL;
    const struct alert_listener listener = {told_is_gone, told_change, told_notice, &told};
    if (alert_book_new(&listener, 0, &book) == 0 &&
        alert_book_set_rules(book, pointers, 2, S) == 0) {
        alert_book_begin(book);
        for (uint32_t pid = 1; pid <= 3; pid++) {
            const struct alert_subject subject = process_subject(pid);
            alert_book_observe(book, pid % 2, &subject, true, 900e6, 1);
        }
        alert_book_finish(book, 2 * S);
        (void)!alert_book_set_rules(book, pointers + 1, 1, 3 * S);
    }
    alert_book_free(book);
    told_done(&told);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct alert_rule rules[2] = {slow_rule("a"), slow_rule("b")};
    assert_in_range(failing_alloc_each(everything_once, rules), 8, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_an_alert_that_fires_and_ends),
        cmocka_unit_test(a_pending_alert_is_nobodys_business),
        cmocka_unit_test(clear_is_another_threshold_for_the_way_back),
        cmocka_unit_test(below_is_the_other_way_round),
        cmocka_unit_test(too_few_calls_say_nothing),
        cmocka_unit_test(a_process_that_ended_takes_its_alert_along),
        cmocka_unit_test(what_cannot_be_looked_at_stays),
        cmocka_unit_test(alerts_of_a_rule_that_fire_together_are_one_notice),
        cmocka_unit_test(alerts_without_room_are_counted),
        cmocka_unit_test(flapping_is_held_back_and_said_later),
        cmocka_unit_test(what_came_and_went_is_said_without_an_alert),
        cmocka_unit_test(an_end_that_was_held_back_is_told_in_the_end),
        cmocka_unit_test(hundreds_of_rules_take_turns),
        cmocka_unit_test(new_rules_keep_the_alerts_of_those_that_are_the_same),
        cmocka_unit_test(what_a_rule_held_back_is_said_when_it_goes),
        cmocka_unit_test(the_worst_row_is_that_of_the_rule),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
