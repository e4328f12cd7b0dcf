/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/governor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SECOND_NS 1e9

/* Shares of the budget: what turning down aims at, and what turning up must stay below. The gap is
 * wider than a duty step, so that the two never chase each other at a steady load. */
#define AIM_RATIO 0.9
#define UP_RATIO  0.7

/* A lower rate is believed by and by, a higher one at once. */
#define FALL_WEIGHT 0.5

#define CAP_HALVINGS 40

/* Probes that take less than this share of a CPU hold nobody up much. */
#define HELD_UP_MIN 0.25
#define FASTER_MAX  256.0

struct unit {
    bool present;
    bool observed; /* since it was last turned */
    uint32_t level;
    struct governor_cost cost;
    double rate_per_s;
};

struct governor {
    struct unit *units;
    uint32_t units_max;
    double budget;
    uint64_t over_ns; /* when it was last over the budget */
    bool was_over;
};

int governor_new(uint32_t units_max, double budget, struct governor **ret_governor)
{
    _cleanup_(governor_free_cleanup) struct governor *governor = calloc(1, sizeof(*governor));
    if (!governor)
        return -ENOMEM;
    governor->units = calloc(units_max, sizeof(*governor->units));
    if (!governor->units)
        return -ENOMEM;
    governor->units_max = units_max;
    governor->budget = budget;
    *ret_governor = take_ptr(governor);
    return 0;
}

void governor_free(struct governor *governor)
{
    if (!governor)
        return;
    free(governor->units);
    free(governor);
}

void governor_set_budget(struct governor *governor, double budget)
{
    governor->budget = budget;
}

void governor_add(struct governor *governor, uint32_t unit, struct governor_cost cost)
{
    governor->units[unit] = (struct unit){.present = true, .cost = cost};
}

void governor_remove(struct governor *governor, uint32_t unit)
{
    governor->units[unit] = (struct unit){0};
}

void governor_set_cost(struct governor *governor, uint32_t unit, struct governor_cost cost)
{
    governor->units[unit].cost = cost;
}

void governor_observe(struct governor *governor, uint32_t unit, uint64_t calls,
                      uint64_t attached_ns)
{
    struct unit *seen = &governor->units[unit];
    if (attached_ns == 0)
        return;
    double rate_per_s = (double)calls * SECOND_NS / (double)attached_ns;
    if (rate_per_s < seen->rate_per_s)
        rate_per_s += FALL_WEIGHT * (seen->rate_per_s - rate_per_s);
    seen->rate_per_s = rate_per_s;
    seen->observed = true;
}

/* Steps that come before those of the time attached. */
static uint32_t detail_steps(const struct unit *unit)
{
    return unit->cost.skips ? GOVERNOR_THIN_STEPS : 1;
}

static uint32_t level_max(const struct unit *unit)
{
    return detail_steps(unit) + GOVERNOR_DUTY_STEPS;
}

static struct governor_setting setting_at(const struct unit *unit, uint32_t level)
{
    uint32_t steps = detail_steps(unit);
    struct governor_setting setting = {.duty_log2 = (uint8_t)(level > steps ? level - steps : 0)};
    if (!unit->cost.skips)
        setting.count_only = level > 0;
    else
        setting.thin_shift = (uint8_t)(level > steps ? GOVERNOR_DUTY_THIN : level);
    return setting;
}

static double thinned_ns(const struct governor_cost *cost, unsigned shift)
{
    return cost->reduced_ns + ldexp(cost->full_ns - cost->reduced_ns, -(int)shift);
}

double governor_arm_ns(const struct governor_cost *cost, unsigned arm)
{
    if (!cost->skips)
        return cost->reduced_ns;
    return arm ? cost->full_ns : thinned_ns(cost, GOVERNOR_DUTY_THIN);
}

/* Share of one CPU that the unit would take at the level. */
static double cost_at(const struct unit *unit, uint32_t level)
{
    const struct governor_cost *cost = &unit->cost;
    struct governor_setting setting = setting_at(unit, level);
    double call_ns = setting.count_only ? cost->reduced_ns : thinned_ns(cost, setting.thin_shift);
    if (setting.duty_log2)
        call_ns = (governor_arm_ns(cost, 0) + governor_arm_ns(cost, 1)) / 2;
    return ldexp(unit->rate_per_s * call_ns / SECOND_NS, -setting.duty_log2);
}

double governor_unit_cost(const struct governor *governor, uint32_t unit)
{
    const struct unit *known = &governor->units[unit];
    return known->present ? cost_at(known, known->level) : 0;
}

double governor_total_cost(const struct governor *governor)
{
    double total = 0;
    for (uint32_t i = 0; i < governor->units_max; i++)
        total += governor_unit_cost(governor, i);
    return total;
}

struct governor_setting governor_setting(const struct governor *governor, uint32_t unit)
{
    const struct unit *known = &governor->units[unit];
    return setting_at(known, known->level);
}

double governor_rate(const struct governor *governor, uint32_t unit)
{
    return governor->units[unit].rate_per_s;
}

static void tell(const struct governor *governor, uint32_t index, uint32_t level_before,
                 double total_before, governor_step_fn on_step, void *context)
{
    const struct unit *unit = &governor->units[index];
    const struct governor_step step = {
        .unit = index,
        .level_before = level_before,
        .level_after = unit->level,
        .before = setting_at(unit, level_before),
        .after = setting_at(unit, unit->level),
        .rate_per_s = unit->rate_per_s,
        .cost_before = cost_at(unit, level_before),
        .cost_after = cost_at(unit, unit->level),
        .total_before = total_before,
    };
    on_step(&step, context);
}

static bool is_always_attached(const struct unit *unit)
{
    return unit->present && setting_at(unit, unit->level).duty_log2 == 0;
}

/* The least that the unit must be turned down to cost no more than the cap. */
static uint32_t level_under(const struct unit *unit, double cap)
{
    uint32_t level = unit->level;
    while (level < level_max(unit) && cost_at(unit, level) > cap)
        level++;
    return level;
}

static double total_under(const struct governor *governor, double cap)
{
    double total = 0;
    for (uint32_t i = 0; i < governor->units_max; i++)
        if (governor->units[i].present)
            total += cost_at(&governor->units[i], level_under(&governor->units[i], cap));
    return total;
}

static uint32_t units_present(const struct governor *governor)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < governor->units_max; i++)
        count += governor->units[i].present;
    return count;
}

/*
 * To turn the dearest unit down step by step until the sum fits is to find the greatest cap for
 * each unit under which it fits; halving finds that without walking the units once a step. The cap
 * is at least an equal share: who takes less need not make up for one that cannot go lower.
 */
static double highest_cap(const struct governor *governor, double total, double aim)
{
    double fits = aim / units_present(governor), exceeds = total;
    for (int i = 0; i < CAP_HALVINGS; i++) {
        double cap = (fits + exceeds) / 2;
        if (total_under(governor, cap) <= aim)
            fits = cap;
        else
            exceeds = cap;
    }
    return fits;
}

static void turn_down(struct governor *governor, double total, governor_step_fn on_step,
                      void *context)
{
    double cap = highest_cap(governor, total, AIM_RATIO * governor->budget);
    for (uint32_t i = 0; i < governor->units_max; i++) {
        struct unit *unit = &governor->units[i];
        uint32_t level_before = unit->level;
        if (!unit->present)
            continue;
        unit->level = level_under(unit, cap);
        if (unit->level == level_before)
            continue;
        unit->observed = false;
        tell(governor, i, level_before, total, on_step, context);
    }
}

/*
 * A program whose time is taken by probes calls less often than it would: what it does without them
 * is not seen. The nearer the probes come to a whole number of CPUs, the more it may be held up, so
 * its rates are taken as higher by what is left of them, and lower again when they are observed.
 */
static void free_rates(struct governor *governor)
{
    double taken = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < governor->units_max; i++) {
        if (!is_always_attached(&governor->units[i]))
            continue;
        taken += governor_unit_cost(governor, i);
        count++;
    }
    /* Costs are known to some percent only: a little more than one CPU is one. */
    double share = taken / fmax(1, floor(taken + 0.5));
    if (share < HELD_UP_MIN)
        return;
    double faster = share < 1 - 1 / FASTER_MAX ? 1 / (1 - share) : FASTER_MAX;
    /* Who takes little beside the others is not what holds the program up. */
    double least = taken / count / 2;
    for (uint32_t i = 0; i < governor->units_max; i++)
        if (is_always_attached(&governor->units[i]) && governor_unit_cost(governor, i) >= least)
            governor->units[i].rate_per_s *= faster;
}

static void turn_up(struct governor *governor, double total, governor_step_fn on_step,
                    void *context)
{
    for (uint32_t i = 0; i < governor->units_max; i++) {
        struct unit *unit = &governor->units[i];
        if (!unit->present || unit->level == 0 || !unit->observed)
            continue;
        double gain = cost_at(unit, unit->level - 1) - cost_at(unit, unit->level);
        if (total + gain > UP_RATIO * governor->budget)
            continue;
        double total_before = total;
        total += gain;
        unit->level--;
        unit->observed = false;
        tell(governor, i, unit->level + 1, total_before, on_step, context);
    }
}

void governor_decide(struct governor *governor, uint64_t now_ns, governor_step_fn on_step,
                     void *context)
{
    double total = governor_total_cost(governor);
    if (total > governor->budget) {
        governor->over_ns = now_ns;
        governor->was_over = true;
        free_rates(governor);
        turn_down(governor, governor_total_cost(governor), on_step, context);
    } else if (!governor->was_over || now_ns - governor->over_ns >= GOVERNOR_HOLD_NS) {
        turn_up(governor, total, on_step, context);
    }
}
