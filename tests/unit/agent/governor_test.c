/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/governor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define TICK_NS   250000000ull
#define UNITS     64

static const struct governor_cost session = {.full_ns = 1000, .reduced_ns = 560, .skips = true};
static const struct governor_cost stepped = {.full_ns = 10500, .reduced_ns = 9700, .skips = true};
static const struct governor_cost tracepoints = {.full_ns = 280, .reduced_ns = 250};

/* Programs that call as often as they want to while nobody slows them down. */
struct world {
    struct governor *governor;
    double wanted_per_s[UNITS];
    double call_ns[UNITS]; /* of one call, unprobed */
    unsigned threads[UNITS];
    uint32_t units;
    uint64_t now_ns;
    unsigned steps_down, steps_up;
};

static void on_step(const struct governor_step *step, void *context)
{
    struct world *world = context;
    assert_int_not_equal(step->level_before, step->level_after);
    if (step->level_after > step->level_before) {
        world->steps_down++;
        assert_true(step->cost_after <= step->cost_before);
    } else {
        world->steps_up++;
        assert_int_equal(step->level_after, step->level_before - 1);
    }
}

static double probed_ns(const struct governor_cost *cost, struct governor_setting setting)
{
    if (setting.count_only)
        return cost->reduced_ns;
    return cost->reduced_ns +
           (cost->full_ns - cost->reduced_ns) / (double)(1u << setting.thin_shift);
}

/* What the world really loses, as a share of one CPU, with the unit set as it is. */
static double true_cost(const struct world *world, uint32_t unit, const struct governor_cost *cost)
{
    struct governor_setting setting = governor_setting(world->governor, unit);
    double ns = setting.duty_log2 ? (governor_arm_ns(cost, 0) + governor_arm_ns(cost, 1)) / 2
                                  : probed_ns(cost, setting);
    double most = world->threads[unit] * 1e9 / (world->call_ns[unit] + ns);
    double rate = fmin(world->wanted_per_s[unit], most);
    return rate * ns / 1e9 / (double)(1u << setting.duty_log2);
}

static void tick(struct world *world, const struct governor_cost *cost)
{
    for (uint32_t unit = 0; unit < world->units; unit++) {
        struct governor_setting setting = governor_setting(world->governor, unit);
        double most =
            world->threads[unit] * 1e9 / (world->call_ns[unit] + probed_ns(cost, setting));
        uint64_t attached_ns = TICK_NS >> setting.duty_log2;
        double calls = fmin(world->wanted_per_s[unit], most) * (double)attached_ns / 1e9;
        governor_observe(world->governor, unit, (uint64_t)calls, attached_ns);
    }
    world->now_ns += TICK_NS;
    governor_decide(world->governor, world->now_ns, on_step, world);
}

static void run(struct world *world, const struct governor_cost *cost, unsigned ticks)
{
    for (unsigned i = 0; i < ticks; i++)
        tick(world, cost);
}

static void open_world(struct world *world, uint32_t units, double budget,
                       const struct governor_cost *cost)
{
    *world = (struct world){.units = units};
    assert_int_equal(governor_new(UNITS, budget, &world->governor), 0);
    for (uint32_t unit = 0; unit < units; unit++) {
        world->threads[unit] = 1;
        world->call_ns[unit] = 2;
        governor_add(world->governor, unit, *cost);
    }
}

static double total_true_cost(const struct world *world, const struct governor_cost *cost)
{
    double total = 0;
    for (uint32_t unit = 0; unit < world->units; unit++)
        total += true_cost(world, unit, cost);
    return total;
}

static void a_quiet_probe_keeps_all_its_detail(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 3, 0.01, &session);
    for (uint32_t unit = 0; unit < 3; unit++)
        world.wanted_per_s[unit] = 3000; /* 0.9 % together */
    run(&world, &session, 100);
    assert_int_equal(world.steps_down + world.steps_up, 0);
    assert_true(governor_total_cost(world.governor) < 0.01);
    governor_free(world.governor);
}

static void load_that_doubles_to_the_limit_is_held_within_three_seconds(void **state)
{
    (void)state;
    static const struct governor_cost *const costs[] = {&session, &stepped, &tracepoints};
    for (unsigned k = 0; k < 3; k++) {
        struct world world;
        open_world(&world, 1, 0.01, costs[k]);
        world.threads[0] = 2;
        for (double wanted = 1000; wanted < 1e9; wanted *= 2) {
            world.wanted_per_s[0] = wanted;
            for (unsigned i = 0; i < 20; i++) {
                tick(&world, costs[k]);
                if (i >= 11 && true_cost(&world, 0, costs[k]) > 0.02)
                    fail_msg("%.4f of a CPU at %.0f calls/s, cost %u",
                             true_cost(&world, 0, costs[k]), wanted, k);
            }
        }
        assert_true(world.steps_down > 3);
        governor_free(world.governor);
    }
}

static void detail_comes_back_when_the_load_falls(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1, 0.01, &session);
    world.wanted_per_s[0] = 1e7;
    run(&world, &session, 40);
    assert_true(governor_setting(world.governor, 0).duty_log2 > 3);
    world.wanted_per_s[0] = 100;
    run(&world, &session, 4 * 40);
    struct governor_setting setting = governor_setting(world.governor, 0);
    assert_int_equal(setting.duty_log2, 0);
    assert_int_equal(setting.thin_shift, 0);
    governor_free(world.governor);
}

static void a_steady_load_is_not_turned_up_and_down(void **state)
{
    (void)state;
    for (double wanted = 5000; wanted < 2e8; wanted *= 1.37) {
        struct world world;
        open_world(&world, 1, 0.01, &session);
        world.wanted_per_s[0] = wanted;
        run(&world, &session, 100);
        unsigned settled = world.steps_down + world.steps_up;
        run(&world, &session, 1000);
        if (world.steps_down + world.steps_up > settled)
            fail_msg("%u steps at a steady %.0f calls/s",
                     world.steps_down + world.steps_up - settled, wanted);
        governor_free(world.governor);
    }
}

static void the_dearest_probe_is_turned_down_first(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 3, 0.01, &session);
    world.wanted_per_s[0] = 1000;
    world.wanted_per_s[1] = 1e7;
    world.wanted_per_s[2] = 2000;
    run(&world, &session, 40);
    assert_int_equal(governor_setting(world.governor, 0).thin_shift, 0);
    assert_int_equal(governor_setting(world.governor, 2).thin_shift, 0);
    assert_true(governor_setting(world.governor, 1).duty_log2 > 0);
    assert_true(total_true_cost(&world, &session) < 0.02);
    governor_free(world.governor);
}

static void many_equal_probes_share_the_budget(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, UNITS, 0.01, &session);
    for (uint32_t unit = 0; unit < UNITS; unit++)
        world.wanted_per_s[unit] = 1e5;
    run(&world, &session, 40);
    double total = total_true_cost(&world, &session);
    assert_true(total < 0.02 && total > 0.003);
    for (uint32_t unit = 1; unit < UNITS; unit++)
        assert_in_range(governor_setting(world.governor, unit).duty_log2,
                        governor_setting(world.governor, 0).duty_log2 - 1,
                        governor_setting(world.governor, 0).duty_log2 + 1);
    governor_free(world.governor);
}

static void detail_goes_before_the_time_attached(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1, 0.01, &session);
    /* 560 ns at the entry are affordable, 1,000 are not. */
    world.wanted_per_s[0] = 15000;
    run(&world, &session, 40);
    struct governor_setting setting = governor_setting(world.governor, 0);
    assert_int_equal(setting.duty_log2, 0);
    assert_true(setting.thin_shift > 0);
    governor_free(world.governor);
}

static void a_removed_probe_costs_nothing_and_comes_back_new(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1, 0.01, &session);
    world.wanted_per_s[0] = 1e7;
    run(&world, &session, 40);
    governor_remove(world.governor, 0);
    assert_true(governor_total_cost(world.governor) == 0);
    governor_decide(world.governor, world.now_ns, on_step, &world);
    governor_add(world.governor, 0, session);
    assert_int_equal(governor_setting(world.governor, 0).thin_shift, 0);
    assert_true(governor_rate(world.governor, 0) == 0);
    governor_free(world.governor);
}

static void even_the_lowest_level_is_reached_only_as_far_as_it_goes(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2, 0.0001, &stepped);
    for (uint32_t unit = 0; unit < 2; unit++) {
        world.threads[unit] = 64;
        world.wanted_per_s[unit] = 1e12;
    }
    run(&world, &stepped, 400);
    assert_int_equal(governor_setting(world.governor, 0).duty_log2, GOVERNOR_DUTY_STEPS);
    governor_free(world.governor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_probe_keeps_all_its_detail),
        cmocka_unit_test(load_that_doubles_to_the_limit_is_held_within_three_seconds),
        cmocka_unit_test(detail_comes_back_when_the_load_falls),
        cmocka_unit_test(a_steady_load_is_not_turned_up_and_down),
        cmocka_unit_test(the_dearest_probe_is_turned_down_first),
        cmocka_unit_test(many_equal_probes_share_the_budget),
        cmocka_unit_test(detail_goes_before_the_time_attached),
        cmocka_unit_test(a_removed_probe_costs_nothing_and_comes_back_new),
        cmocka_unit_test(even_the_lowest_level_is_reached_only_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
