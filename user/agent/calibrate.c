/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/log.h"
#include "base/clock.h"
#include "probe/cost_estimate.h"

#define SECOND_NS         1000000000ull
#define INTERVAL_MIN_NS   (1 * SECOND_NS)
#define INTERVAL_MAX_NS   (60 * SECOND_NS)
#define DUTY_DIVISOR      2000 /* of the time, at most so little goes into measuring again */
#define DRIFT_STEADY      0.03 /* less is noise */
#define DRIFT_WORTH_KNOBS 0.01 /* of hundreds of probes, perhaps */
#define DRIFT_WORTH_WORDS 0.2
#define CODE_BYTES        16

struct calibrator {
    struct calibration *calibration;
    struct probe_set *probes;
    uint8_t *places; /* by probe id: enum calibration_place */
    uint32_t first_bias_ns[ATTACH_KINDS][CALIBRATION_PLACES];
    bool drift_told;
    uint32_t attached; /* probes at the last upkeep */
    uint64_t due_ns;
    uint64_t interval_ns;
};

/* How the probed instruction reads now. What cannot be read counts as the cheapest. */
static enum calibration_place place_of(const struct probe *probe)
{
    uint8_t code[CODE_BYTES];
    if (probe->kind != TARGET_USER && probe->kind != TARGET_USDT)
        return CALIBRATION_PLACE_ANY;
    if (probe->placement.instruction[0] && !probe->placement.is_emulated)
        return CALIBRATION_STEPPED;
    if (strncmp(probe->placement.instruction, "push", 4) == 0)
        return CALIBRATION_PUSH;
    off_t offset = (off_t)(probe->offset + probe->placement.offset_bytes);
    _cleanup_close_ int fd = open(probe->object, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t bytes = fd < 0 ? 0 : pread(fd, code, sizeof(code), offset);
    enum calibration_place place = calibration_place_of(code, bytes > 0 ? (size_t)bytes : 0);
    if (probe->kind == TARGET_USDT)
        return place == CALIBRATION_NOP5 ? CALIBRATION_MARK_NOP5 : CALIBRATION_MARK;
    return place;
}

static void measure(struct calibrator *calibrator, enum attach_kind kind,
                    enum calibration_place place)
{
    struct diag diag = {0};
    if (calibration_measure(calibrator->calibration, kind, place, &diag))
        log_line(LOG_NOTICE, "the cost of %s probes is assumed, and their bias not known: %s",
                 attach_kind_name(kind), diag.what);
    calibrator->first_bias_ns[kind][place] =
        calibration_cost_of(calibrator->calibration, kind, place).bias_ns;
}

void calibrate_enable(struct calibrator *calibrator, const struct probe *probe,
                      struct loris_probe_knobs *knobs)
{
    enum calibration_place place = place_of(probe);
    calibrator->places[probe->id] = (uint8_t)place;
    if (probe->attach != ATTACH_TRACEPOINTS && /* nothing of ours lies inside a span */
        !calibration_is_known(calibrator->calibration, probe->attach, place))
        measure(calibrator, probe->attach, place);
    knobs->bias_ns = calibrate_cost(calibrator, probe).bias_ns;
}

int calibrate_new(struct kernel_side *side, struct probe_set *probes,
                  struct calibrator **ret_calibrator)
{
    _cleanup_(calibrate_free_cleanup) struct calibrator *calibrator =
        calloc(1, sizeof(*calibrator));
    if (!calibrator)
        return -ENOMEM;
    calibrator->probes = probes;
    calibrator->interval_ns = INTERVAL_MIN_NS;
    calibrator->places = calloc(kernel_side_config(side)->probes_max, sizeof(*calibrator->places));
    if (!calibrator->places)
        return -ENOMEM;
    int error = calibration_new(side, probe_set_trials(probes), &calibrator->calibration);
    if (error)
        return error;
    *ret_calibrator = take_ptr(calibrator);
    return 0;
}

void calibrate_free(struct calibrator *calibrator)
{
    if (!calibrator)
        return;
    calibration_free(calibrator->calibration);
    free(calibrator->places);
    free(calibrator);
}

struct calibration_cost calibrate_kind_cost(struct calibrator *calibrator, enum attach_kind kind)
{
    if (!calibration_is_known(calibrator->calibration, kind, CALIBRATION_PUSH))
        measure(calibrator, kind, CALIBRATION_PUSH);
    return calibration_cost_of(calibrator->calibration, kind, CALIBRATION_PUSH);
}

struct calibration_cost calibrate_cost(const struct calibrator *calibrator,
                                       const struct probe *probe)
{
    return calibration_cost_of(calibrator->calibration, probe->attach,
                               (enum calibration_place)calibrator->places[probe->id]);
}

struct refresh {
    struct calibrator *calibrator;
    bool done[ATTACH_KINDS][CALIBRATION_PLACES];
    double drift_ratio; /* the largest */
};

static void tell_drift(struct calibrator *calibrator, enum attach_kind kind, uint8_t place)
{
    uint32_t first_ns = calibrator->first_bias_ns[kind][place];
    uint32_t bias_ns =
        calibration_cost_of(calibrator->calibration, kind, (enum calibration_place)place).bias_ns;
    if (calibrator->drift_told || cost_estimate_drift_ratio(first_ns, bias_ns) <= DRIFT_WORTH_WORDS)
        return;
    calibrator->drift_told = true;
    log_line(LOG_INFO,
             "what %s probes add to measured times was %u ns and is %u ns by now; it is followed, "
             "and this is not told again",
             attach_kind_name(kind), first_ns, bias_ns);
}

static void refresh_probe(const struct probe *probe, void *context)
{
    struct refresh *refresh = context;
    struct calibrator *calibrator = refresh->calibrator;
    uint8_t place = calibrator->places[probe->id];
    double drift_ratio = 0;
    if (!probe->attached)
        return;
    if (!refresh->done[probe->attach][place]) {
        refresh->done[probe->attach][place] = true;
        if (calibration_refresh(calibrator->calibration, probe->attach,
                                (enum calibration_place)place, &drift_ratio) == 0)
            tell_drift(calibrator, probe->attach, place);
        if (drift_ratio > refresh->drift_ratio)
            refresh->drift_ratio = drift_ratio;
    }
    uint32_t bias_ns = calibrate_cost(calibrator, probe).bias_ns;
    const struct probe_tuning tuning = {.bias_ns = bias_ns,
                                        .sample_shift = probe->knobs.sample_shift,
                                        .thin_shift = probe->knobs.thin_shift};
    if (cost_estimate_drift_ratio(probe->knobs.bias_ns, bias_ns) > DRIFT_WORTH_KNOBS)
        (void)!probe_set_tune(calibrator->probes, probe->id, &tuning);
}

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

void calibrate_upkeep(struct calibrator *calibrator, uint64_t now_ns)
{
    struct refresh refresh = {.calibrator = calibrator};
    uint32_t attached = probe_set_attached(calibrator->probes);
    /* Probes change each other's cost: return probes and nop5 probes enter the kernel by system
     * calls, which take longer while system calls are watched. */
    bool changed = attached != calibrator->attached;
    if (now_ns < calibrator->due_ns && !changed)
        return;
    calibrator->attached = attached;
    probe_set_walk(calibrator->probes, refresh_probe, &refresh);
    uint64_t took_ns = clock_now_ns(CLOCK_MONOTONIC) - now_ns;
    if (changed || refresh.drift_ratio > DRIFT_STEADY)
        calibrator->interval_ns = INTERVAL_MIN_NS;
    else if (calibrator->interval_ns < INTERVAL_MAX_NS / 2)
        calibrator->interval_ns *= 2;
    else
        calibrator->interval_ns = INTERVAL_MAX_NS;
    calibrator->due_ns = now_ns + larger(calibrator->interval_ns, DUTY_DIVISOR * took_ns);
}
