/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/steer.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "agent/calibrate.h"
#include "agent/log.h"
#include "agent/steer_internal.h"

#define SECOND_NS 1000000000ull
#define TICK_NS   (SECOND_NS / 4)

/* What the agent takes to read and fold one sample: tests/bench measures it. */
#define READER_NS 25.0

uint32_t steer_unit_of(const struct steer *steer, const struct probe *probe)
{
    return probe_set_unit(steer->agent->probes, probe->id);
}

int steer_new(struct agent *agent, struct steer **ret_steer)
{
    _cleanup_(steer_free_cleanup) struct steer *steer = calloc(1, sizeof(*steer));
    if (!steer)
        return -ENOMEM;
    steer->agent = agent;
    steer->units_max = probe_set_units(agent->probes);
    steer->units = calloc(steer->units_max, sizeof(*steer->units));
    if (!steer->units)
        return -ENOMEM;
    int error =
        governor_new(steer->units_max, agent->config->overhead_budget_ratio, &steer->governor);
    if (error)
        return error;
    *ret_steer = take_ptr(steer);
    return 0;
}

void steer_free(struct steer *steer)
{
    if (!steer)
        return;
    for (uint32_t i = 0; steer->units && i < steer->units_max; i++)
        sd_event_source_disable_unref(steer->units[i].timer);
    governor_free(steer->governor);
    free(steer->units);
    free(steer);
}

void steer_set_budget(struct steer *steer, double budget)
{
    governor_set_budget(steer->governor, budget);
}

/* --- knobs ----------------------------------------------------------------------------------- */

static bool skips_returns(const struct probe *probe)
{
    return probe->attach == ATTACH_UPROBE_SESSION || probe->attach == ATTACH_KPROBE_SESSION;
}

static uint8_t wanted_shift(const struct steer *steer, const struct probe *probe)
{
    return steer->agent->probe_states[probe->id].wanted_shift;
}

/* The thriftier of what the target asks for and what the budget leaves. */
static struct probe_tuning tuning_of(const struct steer *steer, const struct probe *probe,
                                     struct governor_setting setting)
{
    uint8_t shift = wanted_shift(steer, probe);
    struct probe_tuning tuning = {.bias_ns = probe->knobs.bias_ns};
    if (skips_returns(probe))
        tuning.thin_shift = shift > setting.thin_shift ? shift : setting.thin_shift;
    else
        tuning.sample_shift = setting.count_only ? LORIS_SAMPLE_NEVER : shift;
    return tuning;
}

void steer_enable(struct steer *steer, const struct probe *probe, struct loris_probe_knobs *knobs)
{
    const struct config_target *wanted = targets_wanted(steer->agent, probe->target);
    uint32_t index = steer_unit_of(steer, probe);
    struct governor_setting setting = {0};
    steer->agent->probe_states[probe->id].wanted_shift = wanted ? wanted->sample_shift : 0;
    if (steer->units[index].present) /* of a group that is steered already */
        setting = governor_setting(steer->governor, index);
    struct probe_tuning tuning = tuning_of(steer, probe, setting);
    knobs->sample_shift = tuning.sample_shift;
    knobs->thin_shift = tuning.thin_shift;
}

struct turning {
    struct steer *steer;
    uint32_t index;
    struct governor_setting setting;
};

static void turn_probe(const struct probe *probe, void *context)
{
    const struct turning *turning = context;
    struct steer *steer = turning->steer;
    if (!probe->attached || steer_unit_of(steer, probe) != turning->index)
        return;
    struct probe_tuning tuning = tuning_of(steer, probe, turning->setting);
    int error = probe_set_tune(steer->agent->probes, probe->id, &tuning);
    if (error)
        log_line(LOG_WARNING, "the knobs of %s cannot be turned: %s", probe->name,
                 strerror(-error));
}

void steer_turn(struct steer *steer, uint32_t index, struct governor_setting setting)
{
    struct turning turning = {steer, index, setting};
    const struct probe *probe = probe_set_find(steer->agent->probes, index);
    if (probe)
        turn_probe(probe, &turning);
    else
        probe_set_walk(steer->agent->probes, turn_probe, &turning);
}

/* --- looking --------------------------------------------------------------------------------- */

static void note_probe(const struct probe *probe, void *context)
{
    struct steer *steer = context;
    if (!probe->attached)
        return;
    uint32_t index = steer_unit_of(steer, probe);
    struct steered *unit = &steer->units[index];
    struct calibration_cost cost = calibrate_cost(steer->agent->calibrator, probe);
    unit->cost = (struct governor_cost){.full_ns = cost.cost_ns + READER_NS,
                                        .reduced_ns = cost.cost_ns,
                                        .skips = skips_returns(probe)};
    if (unit->cost.skips)
        unit->cost.reduced_ns = cost.skipped_ns;
    /* Of what the target itself leaves out there is nothing to be saved. */
    double saved_ns = unit->cost.full_ns - unit->cost.reduced_ns;
    unit->cost.full_ns = unit->cost.reduced_ns + ldexp(saved_ns, -wanted_shift(steer, probe));
    unit->is_measured = cost.source == CALIBRATION_MEASURED;
    unit->seen_since_ns = steer->agent->probe_states[probe->id].attached_ns;
    if (!unit->seen)
        unit->calls = 0;
    unit->seen = true;
}

static void add_calls(uint32_t id, const struct loris_ledger *ledger, void *context)
{
    struct steer *steer = context;
    const struct probe *probe = probe_set_find(steer->agent->probes, id);
    if (!probe || !probe->attached)
        return;
    /* A call that is turned away by a filter costs as much as one that is skipped. */
    steer->units[steer_unit_of(steer, probe)].calls +=
        ledger->entered + loris_ledger_waiting(ledger) + ledger->filtered;
}

bool steer_read_calls(struct steer *steer)
{
    struct agent *agent = steer->agent;
    for (uint32_t i = 0; i < steer->units_max; i++)
        steer->units[i].seen = false;
    probe_set_walk(agent->probes, note_probe, steer);
    return kernel_counters_walk(agent->counters, probe_set_end(agent->probes), add_calls, steer) ==
           0;
}

uint64_t steer_calls_since(struct steered *unit)
{
    uint64_t calls = unit->calls > unit->calls_before ? unit->calls - unit->calls_before : 0;
    unit->calls_before = unit->calls;
    return calls;
}

static void update_unit(struct steer *steer, uint32_t index, uint64_t now_ns)
{
    struct steered *unit = &steer->units[index];
    bool is_another =
        probe_set_find(steer->agent->probes, index) && unit->since_ns != unit->seen_since_ns;
    if (unit->present && (!unit->seen || is_another)) {
        steer_bursts_stop(steer, index);
        governor_remove(steer->governor, index);
        unit->present = false;
        unit->calls_before = 0;
    }
    if (!unit->present && unit->seen) {
        *unit = (struct steered){.present = true,
                                 .seen = true,
                                 .is_measured = unit->is_measured,
                                 .cost = unit->cost,
                                 .calls = unit->calls,
                                 .calls_before = unit->calls_before,
                                 .since_ns = unit->seen_since_ns,
                                 .seen_since_ns = unit->seen_since_ns,
                                 .looked_ns = unit->seen_since_ns,
                                 .steer = steer};
        governor_add(steer->governor, index, unit->cost);
    }
    if (!unit->present)
        return;
    governor_set_cost(steer->governor, index, unit->cost);
    if (unit->timer) /* observed when a burst ends */
        return;
    uint64_t calls = steer_calls_since(unit);
    governor_observe(steer->governor, index, calls,
                     now_ns > unit->looked_ns ? now_ns - unit->looked_ns : 0);
    unit->looked_ns = now_ns;
}

/* --- deciding -------------------------------------------------------------------------------- */

static void on_step(const struct governor_step *step, void *context)
{
    struct steer *steer = context;
    steer_keep_step(steer, step);
    steer_turn(steer, step->unit, step->after);
    if (step->after.duty_log2)
        steer->units[step->unit].starts = true;
    else
        steer_bursts_stop(steer, step->unit);
}

static void look_and_decide(struct steer *steer, uint64_t now_ns)
{
    if (!steer_read_calls(steer))
        return;
    for (uint32_t i = 0; i < steer->units_max; i++)
        update_unit(steer, i, now_ns);
    steer->ticked_ns = now_ns;
    steer->logged = 0;
    governor_decide(steer->governor, now_ns, on_step, steer);
    steer_bursts_start(steer);
    if (steer->logged > STEER_STEPS_LOGGED)
        log_line(LOG_NOTICE, "and %u more probes were turned in the same way",
                 steer->logged - STEER_STEPS_LOGGED);
}

void steer_tick(struct steer *steer, uint64_t now_ns)
{
    if (now_ns - steer->ticked_ns >= TICK_NS)
        look_and_decide(steer, now_ns);
}

static void set_attached(const struct probe *probe, void *context)
{
    struct steer *steer = context;
    if (probe->attached && probe->knobs.enabled == LORIS_PROBE_LOOK)
        steer->agent->probe_states[probe->id].attached_ns = agent_now_ns();
}

/* What a look has counted is forgotten by the kernel side, too. */
static void forget_looked(const struct probe *probe, void *context)
{
    struct steer *steer = context;
    if (!probe->attached || probe->knobs.enabled != LORIS_PROBE_LOOK)
        return;
    struct steered *unit = &steer->units[steer_unit_of(steer, probe)];
    set_attached(probe, steer);
    unit->calls_before = 0;
    unit->since_ns = steer->agent->probe_states[probe->id].attached_ns;
    unit->looked_ns = unit->since_ns;
    if (unit->timer)
        unit->burst.off_since_ns = unit->since_ns;
}

void steer_begin_look(struct steer *steer)
{
    /* What was called while the others were being attached does not belong to the look. */
    if (steer_read_calls(steer))
        for (uint32_t i = 0; i < steer->units_max; i++)
            if (!steer->units[i].present && steer->units[i].seen)
                steer->units[i].calls_before = steer->units[i].calls;
    probe_set_walk(steer->agent->probes, set_attached, steer);
}

int steer_end_look(struct steer *steer)
{
    look_and_decide(steer, agent_now_ns());
    probe_set_walk(steer->agent->probes, forget_looked, steer);
    return probe_set_end_look(steer->agent->probes);
}
