/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches units for part of the time, and tells what each of their calls stands for. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "agent/log.h"
#include "agent/steer_internal.h"
#include "base/clock.h"

struct stretching {
    struct steer *steer;
    uint32_t index;
    uint32_t stretch;
    uint64_t off_since_ns;
    uint64_t now_ns;
};

static void stretch_probe(const struct probe *probe, void *context)
{
    const struct stretching *stretching = context;
    struct agent_probe *state = &stretching->steer->agent->probe_states[probe->id];
    if (!probe->attached || steer_unit_of(stretching->steer, probe) != stretching->index)
        return;
    /* Who joined a group while it was detached has missed only what came since. */
    bool is_new = state->attached_ns > stretching->off_since_ns;
    uint64_t from_ns = is_new ? state->attached_ns : stretching->off_since_ns;
    state->stretch = is_new ? 1 : stretching->stretch;
    if (stretching->now_ns > from_ns)
        state->detached_ns += stretching->now_ns - from_ns;
}

/* What the calls that come in from now on stand for; those before were read with the old one. */
static void set_stretch(struct steer *steer, uint32_t index, uint32_t stretch, uint64_t now_ns)
{
    struct stretching stretching = {steer, index, stretch, steer->units[index].burst.off_since_ns,
                                    now_ns};
    probe_set_walk(steer->agent->probes, stretch_probe, &stretching);
}

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
    if (!probe->attached || steer_unit_of(steer, probe) != ended->index)
        return;
    struct burst_error error = burst_error(&steer->units[ended->index].burst);
    double unobserved = (double)(state->unobserved - state->unobserved_before);
    state->unobserved_before = state->unobserved;
    state->unobserved_variance += pow(error.chance * unobserved, 2);
    state->unobserved_doubt += error.doubt * unobserved;
    state->unobserved_unsure += error.compared ? 0 : unobserved;
    state->unobserved_missed = error.missed;
}

/* Detaches; what was seen is taken over while it still stands for the time before. */
static uint64_t end_burst(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    uint64_t ended_ns = agent_now_ns();
    int error = probe_set_pause(steer->agent->probes, &index, 1);
    if (error)
        log_line(LOG_WARNING, "a probe cannot be detached for a while: %s", strerror(-error));
    pump_catch_up(steer->agent);
    if (steer_read_calls(steer)) {
        uint64_t calls = steer_calls_since(unit);
        governor_observe(steer->governor, index, calls, burst_end(&unit->burst, ended_ns, calls));
        probe_set_walk(steer->agent->probes, add_variance, &(struct ended_burst){steer, index});
    }
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
    steer_turn(steer, index, setting);
}

/* At random, once there is one of each to compare. */
static unsigned next_arm(const struct burst *burst)
{
    bool is_new = burst->arms[0].weight < 2 || burst->arms[1].weight < 2;
    return is_new ? burst->arms[1].weight < burst->arms[0].weight : random_u64() & 1;
}

/* What cannot be attached is tried again after another gap, and both count as one. */
static uint64_t begin_burst(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    uint64_t on_ns = burst_on_ns(setting.duty_log2, steer->bursting);
    unsigned arm = next_arm(&unit->burst);
    set_arm(steer, index, setting, arm);
    int error = probe_set_resume(steer->agent->probes, index);
    if (error) {
        log_line(LOG_WARNING, "a probe cannot be attached again: %s", strerror(-error));
        return burst_off_ns(setting.duty_log2, steer->bursting, random_u64());
    }
    uint64_t now_ns = agent_now_ns();
    set_stretch(steer, index, burst_begin(&unit->burst, now_ns, on_ns, arm), now_ns);
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

static bool start_unit(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    if (sd_event_add_time(steer->agent->event, &unit->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000,
                          on_burst, unit) < 0) {
        unit->timer = NULL;
        return false;
    }
    unit->burst = (struct burst){0};
    for (unsigned arm = 0; arm < BURST_ARMS; arm++)
        unit->burst.arms[arm].cost_ns = governor_arm_ns(&unit->cost, arm);
    steer->bursting++;
    return true;
}

/* Of all units that were just detached: what came before their first burst has been observed. */
static void begin_gaps(struct steer *steer, const uint32_t *indexes, size_t count)
{
    uint64_t now_ns = agent_now_ns();
    pump_catch_up(steer->agent);
    bool is_read = steer_read_calls(steer);
    for (size_t i = 0; i < count; i++) {
        struct steered *unit = &steer->units[indexes[i]];
        struct governor_setting setting = governor_setting(steer->governor, indexes[i]);
        unit->burst.off_since_ns = now_ns;
        if (is_read)
            (void)steer_calls_since(unit);
        if (arm_timer(unit, burst_off_ns(setting.duty_log2, steer->bursting, random_u64())) < 0)
            log_line(LOG_WARNING, "a probe stays detached: its timer cannot be set");
    }
}

void steer_bursts_start(struct steer *steer)
{
    _cleanup_free_ uint32_t *indexes = calloc(steer->units_max, sizeof(*indexes));
    size_t count = 0;
    for (uint32_t i = 0; i < steer->units_max; i++) {
        bool starts = steer->units[i].starts && !steer->units[i].timer;
        steer->units[i].starts = false;
        if (starts && indexes && start_unit(steer, i))
            indexes[count++] = i;
        else if (starts)
            log_line(LOG_WARNING, "no memory to attach a probe for part of the time");
    }
    if (count == 0)
        return;
    int error = probe_set_pause(steer->agent->probes, indexes, count);
    if (error)
        log_line(LOG_WARNING, "some probes cannot be detached for a while: %s", strerror(-error));
    begin_gaps(steer, indexes, count);
}

void steer_bursts_stop(struct steer *steer, uint32_t index)
{
    struct steered *unit = &steer->units[index];
    uint64_t now_ns = agent_now_ns();
    if (!unit->timer)
        return;
    unit->timer = sd_event_source_disable_unref(unit->timer);
    steer->bursting--;
    if (unit->seen && !unit->burst.on_since_ns && probe_set_resume(steer->agent->probes, index))
        log_line(LOG_WARNING, "a probe cannot be attached again");
    pump_catch_up(steer->agent);
    if (unit->burst.on_since_ns)
        unit->burst.off_since_ns = now_ns;
    set_stretch(steer, index, 1, now_ns);
    unit->burst = (struct burst){0};
    unit->looked_ns = now_ns;
}
