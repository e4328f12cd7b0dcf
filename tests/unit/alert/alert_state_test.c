/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S 1000000000ull

/* --- case by case: a line is a row of evaluations, 10 s apart ----------------------------------
 *
 * What is seen: T true, F false, - nothing. What it becomes: i inactive, p pending, f firing,
 * u unknown. */

static enum alert_sight sight_of(char letter)
{
    return letter == 'T' ? ALERT_SEES_TRUE : letter == 'F' ? ALERT_SEES_FALSE : ALERT_SEES_NOTHING;
}

static void assert_course(uint64_t for_s, uint64_t keep_s, const char *seen, const char *becomes)
{
    struct alert_state state = {0};
    const struct alert_timing timing = {for_s * S, keep_s * S};
    char got[128] = "";
    assert_int_equal(strlen(seen), strlen(becomes));
    for (size_t i = 0; seen[i]; i++) {
        alert_state_step(&state, &timing, sight_of(seen[i]), (1000 + 10 * i) * S);
        got[i] = "ipfu"[state.phase];
    }
    if (strcmp(got, becomes) != 0)
        fail_msg("for %llu s, keep_firing_for %llu s, seen\n%s\ngives\n%s, not\n%s",
                 (unsigned long long)for_s, (unsigned long long)keep_s, seen, got, becomes);
}

static void without_for_it_fires_at_once(void **state)
{
    (void)state;
    assert_course(0, 0, "FTTF", "iffi");
}

static void is_pending_until_for_has_passed(void **state)
{
    (void)state;
    assert_course(30, 0, "TTTTT", "pppff");
    assert_course(25, 0, "TTTTT", "pppff"); /* at the first evaluation after it */
    assert_course(1, 0, "TT", "pf");
}

static void one_false_evaluation_makes_pending_start_anew(void **state)
{
    (void)state;
    assert_course(30, 0, "TTTFTTTTT", "pppipppff");
}

static void resolves_with_the_first_false_evaluation(void **state)
{
    (void)state;
    assert_course(10, 0, "TTTFFT", "pffiip");
}

/* Prometheus: rules/alerting.go, keepFiringFor counts from the first evaluation not true. */
static void keep_firing_for_holds_a_firing_alert(void **state)
{
    (void)state;
    assert_course(0, 30, "TFFFFF", "ffffii");
    assert_course(0, 25, "TFFFFF", "ffffii");
}

static void keep_firing_for_counts_anew_after_each_true(void **state)
{
    (void)state;
    assert_course(0, 30, "TFFTFFTFFFF", "ffffffffffi");
}

static void keep_firing_for_does_not_hold_a_pending_alert(void **state)
{
    (void)state;
    assert_course(30, 60, "TTFTTTTF", "ppipppff");
}

static void for_counts_anew_after_it_resolved(void **state)
{
    (void)state;
    assert_course(20, 10, "TTTFFTTT", "ppffippf");
}

static void nothing_seen_ends_pending(void **state)
{
    (void)state;
    assert_course(30, 0, "TT-TTTT", "ppipppf");
}

static void nothing_seen_makes_firing_unknown_and_not_resolved(void **state)
{
    (void)state;
    assert_course(0, 0, "T--", "fuu");
    assert_course(0, 20, "T---", "fffu");
}

static void unknown_fires_again_whatever_for_says(void **state)
{
    (void)state;
    assert_course(20, 0, "TTT-T", "ppfuf");
}

static void unknown_resolves_with_the_first_false_evaluation(void **state)
{
    (void)state;
    assert_course(0, 60, "T--------F", "fffffffuui");
    assert_course(0, 0, "T-F", "fui");
}

static void false_and_nothing_share_the_time_of_keep_firing_for(void **state)
{
    (void)state;
    assert_course(0, 30, "TF-FF", "ffffi");
    assert_course(0, 30, "TFF--", "ffffu");
}

static void unknown_is_given_up_after_a_while(void **state)
{
    (void)state;
    struct alert_state course = {0};
    const struct alert_timing timing = {0};
    alert_state_step(&course, &timing, ALERT_SEES_TRUE, 5 * S);
    alert_state_step(&course, &timing, ALERT_SEES_NOTHING, 10 * S);
    assert_int_equal(course.unknown_ns, 10 * S);
    alert_state_step(&course, &timing, ALERT_SEES_NOTHING, 10 * S + ALERT_UNKNOWN_KEEP_NS - 1);
    assert_int_equal(course.phase, ALERT_UNKNOWN);
    alert_state_step(&course, &timing, ALERT_SEES_NOTHING, 10 * S + ALERT_UNKNOWN_KEEP_NS);
    assert_int_equal(course.phase, ALERT_INACTIVE);
}

static void remembers_since_when(void **state)
{
    (void)state;
    struct alert_state course = {0};
    const struct alert_timing timing = {20 * S, 0};
    for (uint64_t t = 100; t <= 150; t += 10)
        alert_state_step(&course, &timing, ALERT_SEES_TRUE, t * S);
    assert_int_equal(course.active_ns, 100 * S);
    assert_int_equal(course.fired_ns, 120 * S);
}

static void waits_for_data_after_a_restart(void **state)
{
    (void)state;
    const struct alert_timing timing = {60 * S, 0};
    struct alert_state course = {.phase = ALERT_PENDING, .active_ns = 100 * S};
    course.patience_ns = 150 * S;
    alert_state_step(&course, &timing, ALERT_SEES_NOTHING, 149 * S);
    assert_int_equal(course.phase, ALERT_PENDING);
    struct alert_state other = course;
    alert_state_step(&course, &timing, ALERT_SEES_TRUE, 160 * S); /* `for` went on */
    assert_int_equal(course.phase, ALERT_FIRING);
    alert_state_step(&other, &timing, ALERT_SEES_NOTHING, 150 * S);
    assert_int_equal(other.phase, ALERT_INACTIVE);
}

/* --- the model ----------------------------------------------------------------------------------
 *
 * Remembers every evaluation since it was inactive, and tells the phase from their whole list, as
 * the rules say it and not as a machine would. Slow. */

#define EPISODE_MAX 100000

struct model {
    uint64_t time_ns[EPISODE_MAX];
    enum alert_sight sight[EPISODE_MAX];
    size_t count;
};

/* When it fired: the first evaluation to which everything was true for long enough. */
static bool model_fired(const struct model *model, uint64_t for_ns, size_t *ret_at)
{
    for (size_t i = 0; i < model->count && model->sight[i] == ALERT_SEES_TRUE; i++) {
        if (model->time_ns[i] - model->time_ns[0] >= for_ns) {
            *ret_at = i;
            return true;
        }
    }
    return false;
}

/* The first evaluation after the last true one before `at`, and itself not true. */
static size_t model_gap(const struct model *model, size_t at)
{
    while (at > 0 && model->sight[at - 1] != ALERT_SEES_TRUE)
        at--;
    return at;
}

static enum alert_phase model_phase(const struct model *model, const struct alert_timing *timing)
{
    size_t fired;
    if (model->count == 0)
        return ALERT_INACTIVE;
    if (!model_fired(model, timing->for_ns, &fired))
        return model->sight[model->count - 1] == ALERT_SEES_TRUE ? ALERT_PENDING : ALERT_INACTIVE;
    size_t last = model->count - 1;
    if (model->sight[last] == ALERT_SEES_TRUE)
        return ALERT_FIRING;
    size_t gap = model_gap(model, last);
    /* From here on only the gap counts: what is the first in it that is not kept? */
    for (size_t i = gap; i <= last; i++) {
        bool kept = timing->keep_firing_ns > 0 &&
                    model->time_ns[i] - model->time_ns[gap] < timing->keep_firing_ns;
        if (kept)
            continue;
        if (model->sight[last] == ALERT_SEES_FALSE)
            return ALERT_INACTIVE;
        return model->time_ns[last] - model->time_ns[i] >= ALERT_UNKNOWN_KEEP_NS ? ALERT_INACTIVE
                                                                                 : ALERT_UNKNOWN;
    }
    return ALERT_FIRING;
}

static enum alert_phase model_step(struct model *model, const struct alert_timing *timing,
                                   enum alert_sight sight, uint64_t now_ns)
{
    assert_true(model->count < EPISODE_MAX);
    if (model->count > 0 || sight == ALERT_SEES_TRUE) {
        model->time_ns[model->count] = now_ns;
        model->sight[model->count++] = sight;
    }
    enum alert_phase phase = model_phase(model, timing);
    if (phase == ALERT_INACTIVE)
        model->count = 0;
    return phase;
}

static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % limit;
}

static void is_equal_to_the_model_over_a_million_random_steps(void **unused)
{
    (void)unused;
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    struct alert_state state = {0};
    struct alert_timing timing = {0};
    uint64_t seed = 20261120, now_ns = 1000 * S, patience_ns = 0;
    unsigned entered[4] = {0}, mood = 0;
    for (unsigned step = 0; step < 1000000; step++) {
        if (state.phase == ALERT_INACTIVE && random_below(&seed, 4) == 0)
            timing = (struct alert_timing){random_below(&seed, 7) * 10 * S,
                                           random_below(&seed, 5) * 15 * S};
        if (random_below(&seed, 12) == 0)
            mood = (unsigned)random_below(&seed, 3);
        if (random_below(&seed, 200) == 0) /* a restart */
            patience_ns = state.patience_ns = now_ns + random_below(&seed, 60) * S;
        /* Seconds as a rule, minutes now and then: a machine that slept. */
        now_ns += random_below(&seed, 50) ? 10 * S + random_below(&seed, 3) * S
                                          : random_below(&seed, 1000) * S;
        enum alert_sight sight = random_below(&seed, 8) ? (enum alert_sight)mood
                                                        : (enum alert_sight)random_below(&seed, 3);
        enum alert_phase before = state.phase;
        alert_state_step(&state, &timing, sight, now_ns);
        enum alert_phase expected = sight == ALERT_SEES_NOTHING && now_ns < patience_ns
                                        ? before
                                        : model_step(model, &timing, sight, now_ns);
        if (state.phase != expected)
            fail_msg("step %u: %s, the model says %s", step, alert_phase_name(state.phase),
                     alert_phase_name(expected));
        entered[state.phase] += state.phase != before;
    }
    free(model);
    for (unsigned phase = 0; phase < 4; phase++) /* it went everywhere */
        assert_true(entered[phase] > 1000);
    print_message("           1000000 steps: %u times pending, %u firing, %u unknown\n",
                  entered[ALERT_PENDING], entered[ALERT_FIRING], entered[ALERT_UNKNOWN]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_for_it_fires_at_once),
        cmocka_unit_test(is_pending_until_for_has_passed),
        cmocka_unit_test(one_false_evaluation_makes_pending_start_anew),
        cmocka_unit_test(resolves_with_the_first_false_evaluation),
        cmocka_unit_test(keep_firing_for_holds_a_firing_alert),
        cmocka_unit_test(keep_firing_for_counts_anew_after_each_true),
        cmocka_unit_test(keep_firing_for_does_not_hold_a_pending_alert),
        cmocka_unit_test(for_counts_anew_after_it_resolved),
        cmocka_unit_test(nothing_seen_ends_pending),
        cmocka_unit_test(nothing_seen_makes_firing_unknown_and_not_resolved),
        cmocka_unit_test(unknown_fires_again_whatever_for_says),
        cmocka_unit_test(unknown_resolves_with_the_first_false_evaluation),
        cmocka_unit_test(false_and_nothing_share_the_time_of_keep_firing_for),
        cmocka_unit_test(unknown_is_given_up_after_a_while),
        cmocka_unit_test(remembers_since_when),
        cmocka_unit_test(waits_for_data_after_a_restart),
        cmocka_unit_test(is_equal_to_the_model_over_a_million_random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
