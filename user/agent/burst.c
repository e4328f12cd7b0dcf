/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/burst.h"

#include <math.h>

#define SECOND_NS 1000000000ull

/* Attaching and detaching takes the agent up to 50 ms a unit, so they take turns. */
#define PERIOD_MIN_NS  SECOND_NS
#define UNIT_PERIOD_NS (SECOND_NS / 5)
/* Shorter ones are mostly the way in and out. */
#define ON_MIN_NS 5000000ull

#define FORGET        (1.0 - 1.0 / BURST_MEMORY)
#define LENGTH_WEIGHT 0.25
#define NORMAL_95     1.96

/* Bursts of each arm before the two are compared. */
#define COMPARED_MIN 2
/* An empty function is called a few hundred times as often when it is let alone. */
#define FASTER_MAX 1024.0
/* Costs are known to some percent only. */
#define COST_MARGIN 1.05

static uint64_t period_ns(uint8_t duty_log2, uint32_t units)
{
    uint64_t period = PERIOD_MIN_NS;
    if (units * UNIT_PERIOD_NS > period)
        period = units * UNIT_PERIOD_NS;
    if (period >> duty_log2 < ON_MIN_NS)
        period = ON_MIN_NS << duty_log2;
    return period;
}

uint64_t burst_on_ns(uint8_t duty_log2, uint32_t units)
{
    return period_ns(duty_log2, units) >> duty_log2;
}

uint64_t burst_off_ns(uint8_t duty_log2, uint32_t units, uint64_t random)
{
    uint64_t off_ns = period_ns(duty_log2, units) - burst_on_ns(duty_log2, units);
    return off_ns / 2 + random % (off_ns + 1);
}

/* --- the program let alone ------------------------------------------------------------------- */

/* Relative standard error of an arm's mean rate. */
static double mean_error(const struct burst_arm *arm)
{
    if (arm->weight < 2 || arm->mean <= 0)
        return 1;
    return sqrt(arm->square / (arm->weight - 1) / arm->weight) / arm->mean;
}

static bool is_comparable(const struct burst *burst)
{
    const struct burst_arm *cheap = &burst->arms[0], *dear = &burst->arms[1];
    return dear->cost_ns > 1.1 * cheap->cost_ns && cheap->weight >= COMPARED_MIN &&
           dear->weight >= COMPARED_MIN && cheap->mean > 0 && dear->mean > 0;
}

/*
 * The time between calls in the dear arm by that in the cheap one: from 1 of a program that waits
 * (k = 0) to that of one that only calls (k = 1). What lies outside is the program's own change
 * from burst to burst, which says nothing about the gaps.
 */
static double slower_ratio(const struct burst *burst)
{
    const struct burst_arm *cheap = &burst->arms[0], *dear = &burst->arms[1];
    double most = 1 + COST_MARGIN * (dear->cost_ns - cheap->cost_ns) * cheap->mean / 1e9;
    return fmin(fmax(cheap->mean / dear->mean, 1), most);
}

/*
 * How many times as often it calls when it is let alone as in bursts of the cheap arm, and the
 * standard error of that.
 */
static double faster(const struct burst *burst, double *ret_error)
{
    const struct burst_arm *cheap = &burst->arms[0], *dear = &burst->arms[1];
    double reach = cheap->cost_ns / (dear->cost_ns - cheap->cost_ns);
    double slower = slower_ratio(burst);     /* y1 / y0 */
    double apart = 1 - reach * (slower - 1); /* a / y0 */
    double error =
        sqrt(pow((1 + reach) * mean_error(cheap), 2) + pow(reach * slower * mean_error(dear), 2));
    if (apart < 1 / FASTER_MAX)
        apart = 1 / FASTER_MAX;
    *ret_error = error / (apart * apart);
    return 1 / apart;
}

/* As often as in a burst of the arm that comes or came. */
static double faster_than_arm(const struct burst *burst, double *ret_error)
{
    *ret_error = 0;
    if (!is_comparable(burst))
        return 1;
    double times = faster(burst, ret_error);
    double arms_ratio = burst->arm ? slower_ratio(burst) : 1;
    *ret_error *= arms_ratio;
    return times * arms_ratio;
}

/* All that a program may have left undone in this time: it had no time to spare. */
static double all_missed(const struct burst_arm *arm)
{
    double taken = COST_MARGIN * arm->mean * arm->cost_ns / 1e9;
    return taken < 1 - 1 / FASTER_MAX ? taken / (1 - taken) : FASTER_MAX;
}

/* --- bursts ---------------------------------------------------------------------------------- */

uint32_t burst_begin(struct burst *burst, uint64_t now_ns, uint64_t planned_ns, unsigned arm)
{
    double error;
    burst->arm = arm;
    burst->on_since_ns = now_ns;
    double length_ns = burst->length_ns > 0 ? burst->length_ns : (double)planned_ns;
    double gap_ns = burst->off_since_ns ? (double)(now_ns - burst->off_since_ns) : 0;
    double stretch = 1 + gap_ns / length_ns * faster_than_arm(burst, &error);
    return stretch < BURST_STRETCH_MAX ? (uint32_t)(stretch + 0.5) : BURST_STRETCH_MAX;
}

/* More than an arm's bursts differ by while the load is the same. */
#define JUMP_RATIO 1.6

static void forget_other_load(struct burst *burst, double rate_per_s)
{
    const struct burst_arm *arm = &burst->arms[burst->arm];
    if (arm->weight == 0 ||
        (rate_per_s < JUMP_RATIO * arm->mean && rate_per_s > arm->mean / JUMP_RATIO))
        return;
    for (unsigned i = 0; i < BURST_ARMS; i++)
        burst->arms[i] = (struct burst_arm){.cost_ns = burst->arms[i].cost_ns};
}

uint64_t burst_end(struct burst *burst, uint64_t now_ns, uint64_t calls)
{
    struct burst_arm *arm = &burst->arms[burst->arm];
    uint64_t length_ns = now_ns > burst->on_since_ns ? now_ns - burst->on_since_ns : 1;
    double rate_per_s = (double)calls * 1e9 / (double)length_ns;
    if (burst->length_ns > 0)
        burst->length_ns += LENGTH_WEIGHT * ((double)length_ns - burst->length_ns);
    else
        burst->length_ns = (double)length_ns;
    forget_other_load(burst, rate_per_s);
    arm->weight = arm->weight * FORGET + 1;
    double off = rate_per_s - arm->mean;
    arm->mean += off / arm->weight;
    arm->square = arm->square * FORGET + off * (rate_per_s - arm->mean);
    burst->on_since_ns = 0;
    burst->off_since_ns = now_ns;
    return length_ns;
}

struct burst_error burst_error(const struct burst *burst)
{
    const struct burst_arm *arm = &burst->arms[burst->arm];
    struct burst_error error = {.chance = 1, .compared = is_comparable(burst)};
    if (arm->weight >= 2 && arm->mean > 0)
        error.chance = sqrt(arm->square / (arm->weight - 1)) / arm->mean;
    if (!error.compared) {
        error.missed = all_missed(arm);
        return error;
    }
    double times_error;
    double times = faster_than_arm(burst, &times_error);
    /* What was added for the held-up program is a model's word, and as much again in doubt. */
    error.doubt = NORMAL_95 * times_error / times + times - 1;
    error.missed = 2 * (times - 1) + NORMAL_95 * times_error;
    return error;
}
