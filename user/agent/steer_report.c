/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the steering costs and does, in numbers and in words. */
#include <math.h>

#include "agent/log.h"
#include "agent/steer_internal.h"
#include "base/clock.h"
#include "base/quantity.h"

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

void steer_keep_step(struct steer *steer, const struct governor_step *step)
{
    struct steer_kept_step *kept = &steer->steps[steer->step_count++ % STEER_STEPS_KEPT];
    kept->step = *step;
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), kept->time);
    snprintf(kept->name, sizeof(kept->name), "%s", name_of(steer, step->unit));
    if (steer->logged++ < STEER_STEPS_LOGGED)
        log_step(steer, step);
}

struct steer_figures steer_figures(const struct steer *steer, const struct probe *probe)
{
    uint32_t index = steer_unit_of(steer, probe);
    const struct steered *unit = &steer->units[index];
    struct governor_setting setting = governor_setting(steer->governor, index);
    setting.thin_shift = probe->knobs.thin_shift; /* what the target asks for included */
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
        .gap_ns = gap_ns,
        .error = unit->timer ? burst_error(&unit->burst) : (struct burst_error){0},
    };
}

double steer_total_cost(const struct steer *steer)
{
    return governor_total_cost(steer->governor);
}

void steer_write_steps(const struct steer *steer, struct json_writer *json, const char *key)
{
    uint64_t kept = steer->step_count < STEER_STEPS_KEPT ? steer->step_count : STEER_STEPS_KEPT;
    json_begin_array(json, key);
    for (uint64_t i = 0; i < kept; i++) {
        const struct steer_kept_step *one =
            &steer->steps[(steer->step_count - 1 - i) % STEER_STEPS_KEPT];
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
