/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/steer.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "agent/agent.h"
#include "agent/burst.h"
#include "agent/calibrate.h"
#include "agent/log.h"
#include "base/clock.h"
#include "base/quantity.h"

#define SECOND_NS 1000000000ull
#define TICK_NS   (SECOND_NS / 4)

/* What the agent takes to read and fold one sample: tests/bench measures it. */
#define READER_NS 25.0

#define STEPS_KEPT   32
#define STEPS_LOGGED 8 /* of one decision; the rest is told as a number */

/* One unit of the probe set. */
struct steered {
    bool present; /* at the last look */
    bool seen;    /* by the look that goes on */
    bool is_measured;
    uint64_t since_ns; /* attached */
    struct governor_cost cost;
    uint64_t calls; /* of all its probes, now and at the last look */
    uint64_t calls_before;
    uint64_t looked_ns;
    struct burst burst;
    uint32_t stretch;
    sd_event_source *timer; /* NULL: attached all the time */
    struct steer *steer;
};

struct kept_step {
    char time[32];
    char name[TARGET_TEXT_MAX];
    struct governor_step step;
};

struct steer {
    struct agent *agent;
    struct governor *governor;
    struct steered *units;
    uint32_t units_max;
    uint32_t bursting; /* units attached for part of the time */
    uint64_t ticked_ns;
    struct kept_step steps[STEPS_KEPT];
    uint64_t step_count;
    uint32_t logged; /* in the decision that goes on */
};

static uint32_t unit_of(const struct steer *steer, const struct probe *probe)
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

/* The thriftier of what the target asks for and what the budget leaves. */
static struct probe_tuning tuning_of(const struct steer *steer, const struct probe *probe,
                                     struct governor_setting setting)
{
    const struct config_target *wanted = targets_wanted(steer->agent, probe->target);
    uint8_t shift = wanted ? wanted->sample_shift : 0;
    struct probe_tuning tuning = {.bias_ns = probe->knobs.bias_ns};
    if (skips_returns(probe))
        tuning.thin_shift = shift > setting.thin_shift ? shift : setting.thin_shift;
    else
        tuning.sample_shift = setting.count_only ? LORIS_SAMPLE_NEVER : shift;
    return tuning;
}

void steer_enable(struct steer *steer, const struct probe *probe, struct loris_probe_knobs *knobs)
{
    uint32_t index = unit_of(steer, probe);
    struct governor_setting setting = {0};
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
    uint32_t stretch; /* not 0: only this, and the time that it was detached */
    uint64_t detached_ns;
};

static void turn_probe(const struct probe *probe, void *context)
{
    const struct turning *turning = context;
    struct steer *steer = turning->steer;
    if (!probe->attached || unit_of(steer, probe) != turning->index)
        return;
    if (turning->stretch) {
        steer->agent->probe_states[probe->id].stretch = turning->stretch;
        steer->agent->probe_states[probe->id].detached_ns += turning->detached_ns;
        return;
    }
    struct probe_tuning tuning = tuning_of(steer, probe, turning->setting);
    int error = probe_set_tune(steer->agent->probes, probe->id, &tuning);
    if (error)
        log_line(LOG_WARNING, "the knobs of %s cannot be turned: %s", probe->name,
                 strerror(-error));
}

static void turn(struct steer *steer, struct turning turning)
{
    turning.steer = steer;
    const struct probe *probe = probe_set_find(steer->agent->probes, turning.index);
    if (probe)
        turn_probe(probe, &turning);
    else
        probe_set_walk(steer->agent->probes, turn_probe, &turning);
}

/* What the calls that come in from now on stand for; those before were read with the old one. */
static void set_stretch(struct steer *steer, uint32_t index, uint32_t stretch)
{
    struct steered *unit = &steer->units[index];
    uint64_t off_ns = unit->burst.off_since_ns ? agent_now_ns() - unit->burst.off_since_ns : 0;
    unit->stretch = stretch;
    turn(steer, (struct turning){.index = index, .stretch = stretch, .detached_ns = off_ns});
}

/* --- looking --------------------------------------------------------------------------------- */

static void note_probe(const struct probe *probe, void *context)
{
    struct steer *steer = context;
    if (!probe->attached)
        return;
    uint32_t index = unit_of(steer, probe);
    struct steered *unit = &steer->units[index];
    struct calibration_cost cost = calibrate_cost(steer->agent->calibrator, probe);
    unit->cost = (struct governor_cost){.full_ns = cost.cost_ns + READER_NS,
                                        .reduced_ns = cost.cost_ns,
                                        .skips = skips_returns(probe)};
    if (unit->cost.skips)
        unit->cost.reduced_ns = cost.skipped_ns;
    unit->is_measured = cost.source == CALIBRATION_MEASURED;
    unit->since_ns = steer->agent->probe_states[probe->id].attached_ns;
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
    steer->units[unit_of(steer, probe)].calls +=
        ledger->entered + loris_ledger_waiting(ledger) + ledger->filtered;
}

/* False: the kernel's counters cannot be read. */
static bool read_calls(struct steer *steer)
{
    struct agent *agent = steer->agent;
    for (uint32_t i = 0; i < steer->units_max; i++)
        steer->units[i].seen = false;
    probe_set_walk(agent->probes, note_probe, steer);
    return kernel_counters_walk(agent->counters, probe_set_end(agent->probes), add_calls, steer) ==
           0;
}

static uint64_t calls_since(struct steered *unit)
{
    uint64_t calls = unit->calls > unit->calls_before ? unit->calls - unit->calls_before : 0;
    unit->calls_before = unit->calls;
    return calls;
}

static void stop_bursts(struct steer *steer, uint32_t index);

static void update_unit(struct steer *steer, uint32_t index, uint64_t now_ns)
{
    struct steered *unit = &steer->units[index];
    if (unit->present && !unit->seen) {
        stop_bursts(steer, index);
        governor_remove(steer->governor, index);
        *unit = (struct steered){0};
    } else if (!unit->present && unit->seen) {
        *unit = (struct steered){.present = true,
                                 .seen = true,
                                 .is_measured = unit->is_measured,
                                 .cost = unit->cost,
                                 .calls = unit->calls,
                                 .since_ns = unit->since_ns,
                                 .looked_ns = unit->since_ns,
                                 .steer = steer};
        governor_add(steer->governor, index, unit->cost);
    }
    if (!unit->present)
        return;
    governor_set_cost(steer->governor, index, unit->cost);
    if (unit->timer) /* observed when a burst ends */
        return;
    uint64_t calls = calls_since(unit);
    governor_observe(steer->governor, index, calls,
                     now_ns > unit->looked_ns ? now_ns - unit->looked_ns : 0);
    unit->looked_ns = now_ns;
}

/* --- bursts ---------------------------------------------------------------------------------- */

/* From now: what the loop takes for now was before a link was made or closed. */
static int arm_timer(struct steered *unit, uint64_t after_ns)
{
    int error = sd_event_source_set_time(unit->timer, (agent_now_ns() + after_ns) / 1000);
    return error < 0 ? error : sd_event_source_set_enabled(unit->timer, SD_EVENT_ONESHOT);
}

static uint64_t random_u64(void)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = clock_now_ns(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull;
    return random;
}

struct ended_burst {
    struct steer *steer;
    uint32_t index;
};

/* How far the estimate of this burst may be off goes into that of the probe's sum. */
static void add_variance(const struct probe *probe, void *context)
{
    const struct ended_burst *ended = context;
    struct steer *steer = ended->steer;
    struct agent_probe *state = &steer->agent->probe_states[probe->id];
    if (!probe->attached || unit_of(steer, probe) != ended->index)
        return;
    struct burst_error error = burst_error(&steer->units[ended->index].burst);
    double unobserved = (double)(state->unobserved - state->unobserved_before);
    state->unobserved_before = state->unobserved;
    state->unobserved_variance += pow(error.chance * unobserved, 2);
    state->unobserved_doubt += error.doubt * unobserved;
}

/* Detaches; what was seen is taken over while it still stands for the time before. */
static uint64_t end_burst(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    uint64_t ended_ns = agent_now_ns();
    int error = probe_set_pause(steer->agent->probes, index);
    if (error)
        log_line(LOG_WARNING, "a probe cannot be detached for a while: %s", strerror(-error));
    pump_catch_up(steer->agent);
    /* What came before the first burst has been observed. */
    if (read_calls(steer) && unit->burst.on_since_ns) {
        uint64_t calls = calls_since(unit);
        governor_observe(steer->governor, index, calls, burst_end(&unit->burst, ended_ns, calls));
        probe_set_walk(steer->agent->probes, add_variance, &(struct ended_burst){steer, index});
    }
    unit->calls_before = unit->calls;
    unit->burst.on_since_ns = 0;
    unit->burst.off_since_ns = ended_ns;
    return burst_off_ns(setting.duty_log2, steer->bursting, random_u64());
}

/* In the cheap arm a session times few calls, in the dear one all of them. */
static void set_arm(struct steer *steer, uint32_t index, struct governor_setting setting,
                    unsigned arm)
{
    if (!steer->units[index].cost.skips)
        return;
    setting.thin_shift = arm ? 0 : GOVERNOR_DUTY_THIN;
    turn(steer, (struct turning){.index = index, .setting = setting});
}

static uint64_t begin_burst(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    uint64_t on_ns = burst_on_ns(setting.duty_log2, steer->bursting);
    unsigned arm = random_u64() & 1;
    set_arm(steer, index, setting, arm);
    set_stretch(steer, index, burst_begin(&unit->burst, agent_now_ns(), on_ns, arm));
    int error = probe_set_resume(steer->agent->probes, index);
    if (error)
        log_line(LOG_WARNING, "a probe cannot be attached again: %s", strerror(-error));
    unit->burst.on_since_ns = agent_now_ns();
    return on_ns;
}

static int on_burst(sd_event_source *source, uint64_t usec, void *context)
{
    struct steered *unit = context;
    struct steer *steer = unit->steer;
    uint32_t index = (uint32_t)(unit - steer->units);
    (void)source;
    (void)usec;
    bool is_on = unit->burst.on_since_ns != 0;
    return arm_timer(unit, is_on ? end_burst(steer, index) : begin_burst(steer, index));
}

static void start_bursts(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    if (unit->timer)
        return;
    if (sd_event_add_time_relative(steer->agent->event, &unit->timer, CLOCK_MONOTONIC, SECOND_NS,
                                   1000, on_burst, unit) < 0) {
        unit->timer = NULL;
        log_line(LOG_WARNING, "no timer to attach a probe for part of the time");
        return;
    }
    steer->bursting++;
    unit->burst = (struct burst){0};
    for (unsigned arm = 0; arm < BURST_ARMS; arm++)
        unit->burst.arms[arm].cost_ns = governor_arm_ns(&unit->cost, arm);
    unit->stretch = 1;
    if (arm_timer(unit, end_burst(steer, index)) < 0)
        log_line(LOG_WARNING, "a probe stays detached: its timer cannot be set");
}

static void stop_bursts(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    if (!unit->timer)
        return;
    unit->timer = sd_event_source_disable_unref(unit->timer);
    steer->bursting--;
    if (unit->seen && !unit->burst.on_since_ns && probe_set_resume(steer->agent->probes, index))
        log_line(LOG_WARNING, "a probe cannot be attached again");
    pump_catch_up(steer->agent);
    if (unit->burst.on_since_ns)
        unit->burst.off_since_ns = 0;
    set_stretch(steer, index, 1);
    unit->burst = (struct burst){0};
    unit->looked_ns = agent_now_ns();
}

/* --- steps ----------------------------------------------------------------------------------- */

void steer_describe(struct governor_setting setting, char out[96])
{
    int length;
    if (setting.count_only)
        length = snprintf(out, 96, "every call counted, none sent");
    else if (setting.thin_shift)
        length = snprintf(out, 96, "1 call of %u timed", 1u << setting.thin_shift);
    else
        length = snprintf(out, 96, "every call timed");
    if (setting.duty_log2)
        snprintf(out + length, 96 - (size_t)length, ", attached 1/%u of the time",
                 1u << setting.duty_log2);
}

static const char *name_of(const struct steer *steer, uint32_t index)
{
    const char *name = probe_set_unit_name(steer->agent->probes, index);
    return name ? name : "?";
}

static void log_step(const struct steer *steer, const struct governor_step *step)
{
    char before[96], after[96], rate[16];
    steer_describe(step->before, before);
    steer_describe(step->after, after);
    format_count(step->rate_per_s, rate);
    log_line(LOG_NOTICE,
             "%s: %s calls/s, %.2f %% of a CPU, all probes %.2f %%: from \"%s\" to \"%s\", %.2f %%",
             name_of(steer, step->unit), rate, 100 * step->cost_before, 100 * step->total_before,
             before, after, 100 * step->cost_after);
}

static void on_step(const struct governor_step *step, void *context)
{
    struct steer *steer = context;
    struct kept_step *kept = &steer->steps[steer->step_count++ % STEPS_KEPT];
    kept->step = *step;
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), kept->time);
    snprintf(kept->name, sizeof(kept->name), "%s", name_of(steer, step->unit));
    if (steer->logged++ < STEPS_LOGGED)
        log_step(steer, step);
    turn(steer, (struct turning){.index = step->unit, .setting = step->after});
    if (step->after.duty_log2)
        start_bursts(steer, step->unit);
    else
        stop_bursts(steer, step->unit);
}

static void look_and_decide(struct steer *steer, uint64_t now_ns)
{
    if (!read_calls(steer))
        return;
    for (uint32_t i = 0; i < steer->units_max; i++)
        update_unit(steer, i, now_ns);
    steer->ticked_ns = now_ns;
    steer->logged = 0;
    governor_decide(steer->governor, now_ns, on_step, steer);
    if (steer->logged > STEPS_LOGGED)
        log_line(LOG_NOTICE, "and %u more probes were turned in the same way",
                 steer->logged - STEPS_LOGGED);
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
    struct steered *unit = &steer->units[unit_of(steer, probe)];
    unit->calls_before = 0;
    unit->looked_ns = agent_now_ns();
    set_attached(probe, steer);
}

void steer_begin_look(struct steer *steer)
{
    probe_set_walk(steer->agent->probes, set_attached, steer);
}

int steer_end_look(struct steer *steer)
{
    look_and_decide(steer, agent_now_ns());
    probe_set_walk(steer->agent->probes, forget_looked, steer);
    return probe_set_end_look(steer->agent->probes);
}

/* --- telling --------------------------------------------------------------------------------- */

struct steer_figures steer_figures(const struct steer *steer, const struct probe *probe)
{
    uint32_t index = unit_of(steer, probe);
    const struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    struct probe_tuning tuning = {.thin_shift = probe->knobs.thin_shift};
    setting.thin_shift = tuning.thin_shift; /* what the target asks for included */
    uint64_t now_ns = agent_now_ns();
    bool is_off = unit->timer && !unit->burst.on_since_ns && now_ns > unit->burst.off_since_ns;
    uint64_t gap_ns = is_off ? now_ns - unit->burst.off_since_ns : 0;
    return (struct steer_figures){
        .rate_per_s = governor_rate(steer->governor, index),
        .cost_ratio = governor_unit_cost(steer->governor, index),
        .full_cost_ratio = governor_rate(steer->governor, index) * unit->cost.full_ns / 1e9,
        .cost = unit->cost,
        .cost_is_measured = unit->is_measured,
        .setting = setting,
        .attached_ratio = ldexp(1, -setting.duty_log2),
        .detached_ns = steer->agent->probe_states[probe->id].detached_ns + gap_ns,
        .error = unit->timer ? burst_error(&unit->burst) : (struct burst_error){0},
    };
}

double steer_total_cost(const struct steer *steer)
{
    return governor_total_cost(steer->governor);
}

void steer_write_steps(const struct steer *steer, struct json_writer *json, const char *key)
{
    uint64_t kept = steer->step_count < STEPS_KEPT ? steer->step_count : STEPS_KEPT;
    json_begin_array(json, key);
    for (uint64_t i = 0; i < kept; i++) {
        const struct kept_step *one = &steer->steps[(steer->step_count - 1 - i) % STEPS_KEPT];
        char before[96], after[96];
        steer_describe(one->step.before, before);
        steer_describe(one->step.after, after);
        json_begin_object(json, NULL);
        json_string_z(json, "time", one->time);
        json_string_z(json, "probe", one->name);
        json_double(json, "rate_per_s", one->step.rate_per_s, 6);
        json_string_z(json, "before", before);
        json_string_z(json, "after", after);
        json_double(json, "cost_before", one->step.cost_before, 6);
        json_double(json, "cost_after", one->step.cost_after, 6);
        json_double(json, "total_before", one->step.total_before, 6);
        json_end_object(json);
    }
    json_end_array(json);
}
