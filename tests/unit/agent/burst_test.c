/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/burst.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../ingest/random_numbers.h"

#define MS_NS     1000000.0
#define CHEAP_NS  600.0
#define DEAR_NS   1000.0
#define PERIOD_NS (1000 * MS_NS)

/* A program that wants to make a call every pace_ns, and needs own_ns for one. */
struct program {
    double pace_ns, own_ns;
    double noise; /* of its rate, from burst to burst */
};

/* Calls a second while each costs so much more. */
static double rate_of(const struct program *program, double cost_ns)
{
    return 1e9 / fmax(program->pace_ns, program->own_ns + cost_ns);
}

struct outcome {
    double estimated, true_calls;
    double error; /* 95 %, of the estimated */
};

static double uniform(uint64_t *random)
{
    return (double)random_below(random, 1u << 30) / (double)(1u << 30);
}

static struct outcome watch_program(const struct program *program, double cheap_ns, double dear_ns,
                                    unsigned bursts, uint64_t seed)
{
    struct outcome outcome = {0};
    struct burst burst = {.arms = {{.cost_ns = cheap_ns}, {.cost_ns = dear_ns}}};
    double variance = 0, doubt = 0, unsure = 0, missed = 0;
    uint64_t random = seed;
    double now_ns = PERIOD_NS;
    for (unsigned i = 0; i < bursts; i++) {
        double gap_ns = i ? (double)burst_off_ns(5, 1, random_u64(&random)) : 0;
        double on_ns = (double)burst_on_ns(5, 1) * (0.9 + 0.2 * uniform(&random));
        unsigned arm = (unsigned)random_below(&random, 2);
        double swing = 1 + program->noise * (2 * uniform(&random) - 1);
        now_ns += gap_ns;
        uint32_t stretch = burst_begin(&burst, (uint64_t)now_ns, burst_on_ns(5, 1), arm);
        double calls = swing * rate_of(program, arm ? dear_ns : cheap_ns) * on_ns / 1e9;
        now_ns += on_ns;
        burst_end(&burst, (uint64_t)now_ns, (uint64_t)calls);
        outcome.estimated += calls * stretch;
        outcome.true_calls += calls + rate_of(program, 0) * gap_ns / 1e9;
        struct burst_error error = burst_error(&burst);
        variance += pow(error.chance * calls * (stretch - 1), 2);
        doubt += error.doubt * calls * (stretch - 1);
        unsure += error.compared ? 0 : calls * (stretch - 1);
        missed = error.missed;
    }
    outcome.error = (1.96 * sqrt(variance) + doubt + unsure * missed) / outcome.estimated;
    return outcome;
}

static void expect_covered(const struct program *program, double cheap_ns, double dear_ns,
                           double most_error)
{
    unsigned missed = 0;
    double errors = 0;
    for (unsigned trial = 0; trial < 200; trial++) {
        struct outcome outcome = watch_program(program, cheap_ns, dear_ns, 120, 7 + trial);
        missed += fabs(outcome.estimated - outcome.true_calls) > outcome.error * outcome.estimated;
        errors += outcome.error / 200;
    }
    if (missed > 14 || errors > most_error)
        fail_msg("pace %.0f, own %.0f: %u of 200 outside, error %.3f", program->pace_ns,
                 program->own_ns, missed, errors);
}

static void a_program_with_time_to_spare_is_counted_as_seen(void **state)
{
    (void)state;
    const struct program program = {.pace_ns = 5000, .own_ns = 100, .noise = 0.1};
    expect_covered(&program, CHEAP_NS, DEAR_NS, 0.2);
}

static void a_program_that_only_calls_is_counted_as_if_let_alone(void **state)
{
    (void)state;
    static const double own[] = {100, 300, 1000, 5000};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        const struct program program = {.pace_ns = 0, .own_ns = own[i], .noise = 0.02};
        expect_covered(&program, CHEAP_NS, DEAR_NS, 12);
    }
}

static void an_estimate_from_two_arms_is_close(void **state)
{
    (void)state;
    const struct program program = {.pace_ns = 0, .own_ns = 500, .noise = 0.02};
    struct outcome outcome = watch_program(&program, CHEAP_NS, DEAR_NS, 400, 3);
    double off = fabs(outcome.estimated / outcome.true_calls - 1);
    if (off > 0.1)
        fail_msg("%.0f instead of %.0f", outcome.estimated, outcome.true_calls);
}

static void without_a_second_arm_the_doubt_covers_what_may_be_missed(void **state)
{
    (void)state;
    static const double own[] = {100, 300, 1000};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        const struct program program = {.pace_ns = 0, .own_ns = own[i], .noise = 0.02};
        expect_covered(&program, CHEAP_NS, CHEAP_NS, 12);
    }
}

static void one_burst_tells_nothing_sure(void **state)
{
    (void)state;
    struct burst burst = {.arms = {{.cost_ns = CHEAP_NS}, {.cost_ns = DEAR_NS}}};
    assert_int_equal(burst_begin(&burst, 1000000, 10000000, 0), 1);
    assert_int_equal(burst_end(&burst, 11000000, 1000), 10000000);
    assert_true(burst_error(&burst).chance >= 1);
}

/* A program that is busy in some bursts and idle in others: its arms differ by chance alone. */
static void a_load_that_comes_and_goes_is_not_taken_for_a_brake(void **state)
{
    (void)state;
    struct burst burst = {.arms = {{.cost_ns = CHEAP_NS}, {.cost_ns = DEAR_NS}}};
    uint64_t now_ns = 1000000;
    for (unsigned i = 0; i < 8; i++) {
        burst_begin(&burst, now_ns, 10000000, i % 2);
        now_ns += 10000000;
        burst_end(&burst, now_ns, i % 2 ? 1 : 4000); /* 100 calls a second, and 400,000 */
        now_ns += 90000000;
    }
    /* 400,000 calls of 600 ns take a quarter of the time: let alone, at most 1.6 times as many. */
    assert_in_range(burst_begin(&burst, now_ns, 10000000, 0), 10, 1 + 9 * 16 / 10);
    assert_in_range(burst_begin(&burst, now_ns, 10000000, 1), 10, 1 + 9 * 16 / 10);
}

static void gaps_average_what_the_duty_asks_for(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (uint8_t duty_log2 = 1; duty_log2 <= 10; duty_log2++) {
        for (uint32_t units = 1; units <= 20; units += 19) {
            double on = 0, off = 0;
            for (unsigned i = 0; i < 2000; i++) {
                on += (double)burst_on_ns(duty_log2, units);
                off += (double)burst_off_ns(duty_log2, units, random_u64(&random));
            }
            double duty = on / (on + off) * (1u << duty_log2);
            if (duty < 0.95 || duty > 1.05 || burst_on_ns(duty_log2, units) < 5 * (uint64_t)MS_NS)
                fail_msg("1/%u with %u: %.3f of it", 1u << duty_log2, units, duty);
        }
    }
}

static void no_stretch_overflows_a_weight(void **state)
{
    (void)state;
    struct burst burst = {
        .arms = {{.cost_ns = CHEAP_NS}, {.cost_ns = DEAR_NS}}, .off_since_ns = 1, .length_ns = 1};
    assert_int_equal(burst_begin(&burst, UINT64_MAX, 1, 0), BURST_STRETCH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_with_time_to_spare_is_counted_as_seen),
        cmocka_unit_test(a_program_that_only_calls_is_counted_as_if_let_alone),
        cmocka_unit_test(an_estimate_from_two_arms_is_close),
        cmocka_unit_test(without_a_second_arm_the_doubt_covers_what_may_be_missed),
        cmocka_unit_test(one_burst_tells_nothing_sure),
        cmocka_unit_test(a_load_that_comes_and_goes_is_not_taken_for_a_brake),
        cmocka_unit_test(gaps_average_what_the_duty_asks_for),
        cmocka_unit_test(no_stretch_overflows_a_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
