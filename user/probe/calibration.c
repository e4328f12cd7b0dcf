/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/calibration.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "loris/ledger.h"
#include "loris/sketch.h"
#include "probe/calibration_load.h"
#include "probe/cost_estimate.h"

#define CHUNK_CALLS    16 /* short enough that most chunks are not interrupted */
#define ROUNDS         CALIBRATION_FUNCTIONS_MAX
#define MEASURE_CHUNKS 22      /* of a round: 1,056 calls in all */
#define REFRESH_NS     1000000 /* of probed calls */
#define SKIPPED_CHUNKS 8

struct known_cost {
    bool tried;
    double last_bias_ns; /* as measured, while the cost holds what is believed */
    struct calibration_cost cost;
};

struct calibration {
    struct kernel_side *side;
    struct calibration_load load;
    uint32_t probe;
    uint64_t *page; /* scratch: one sketch page per CPU */
    struct known_cost known[ATTACH_KINDS][CALIBRATION_PLACES];
};

int calibration_new(struct kernel_side *side, struct attach_trials *trials,
                    struct calibration **ret_calibration)
{
    _cleanup_(calibration_free_cleanup) struct calibration *calibration =
        calloc(1, sizeof(*calibration));
    if (!calibration)
        return -ENOMEM;
    calibration_load_init(&calibration->load, side, trials);
    calibration->side = side;
    calibration->probe = calibration_load_probe(side);
    calibration->page =
        calloc((size_t)kernel_side_cpus(side) * LORIS_PAGE_BUCKETS, sizeof(*calibration->page));
    if (!calibration->page)
        return -ENOMEM;
    *ret_calibration = take_ptr(calibration);
    return 0;
}

void calibration_free(struct calibration *calibration)
{
    if (!calibration)
        return;
    calibration_load_done(&calibration->load);
    free(calibration->page);
    free(calibration);
}

/* --- reading our sketch ---------------------------------------------------------------------- */

static int add_page(struct calibration *calibration, uint32_t number, uint32_t id,
                    struct cost_estimate_median *median)
{
    int fd = kernel_side_map(calibration->side, KERNEL_MAP_SKETCH_PAGES);
    if (bpf_map_lookup_elem(fd, &id, calibration->page))
        return -errno;
    for (uint32_t bucket = 0; bucket < LORIS_PAGE_BUCKETS; bucket++) {
        uint64_t count = 0;
        for (uint32_t cpu = 0; cpu < kernel_side_cpus(calibration->side); cpu++)
            count += calibration->page[cpu * LORIS_PAGE_BUCKETS + bucket];
        cost_estimate_median_add(median, number * LORIS_PAGE_BUCKETS + bucket, count);
    }
    return 0;
}

/* The median of the calls that were counted. -ENODATA: most of them found no free page. */
static int read_median(struct calibration *calibration, uint64_t calls, double *ret_median_ns)
{
    uint32_t directory[LORIS_SKETCH_PAGES + 1] = {0};
    struct cost_estimate_median median = {.total = calls};
    int fd = kernel_side_map(calibration->side, KERNEL_MAP_SKETCH_DIRS);
    if (bpf_map_lookup_elem(fd, &calibration->probe, directory))
        return -errno;
    int error = 0;
    for (uint32_t page = 0; !error && !median.found && page < LORIS_SKETCH_PAGES; page++)
        if (directory[page])
            error = add_page(calibration, page, directory[page], &median);
    if (error)
        return error;
    if (!median.found)
        return -ENODATA;
    *ret_median_ns = median.value_ns;
    return 0;
}

/* --- measuring ------------------------------------------------------------------------------- */

struct round {
    double cost_ns;
    double bias_ns;
};

static double run_chunks(const struct calibration_loop *loop, size_t chunks_count)
{
    struct cost_estimate_chunk chunks[MEASURE_CHUNKS];
    for (size_t i = 0; i < chunks_count; i++) {
        uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);
        calibration_loop_run(loop, CALIBRATION_LOOP_BARE, CHUNK_CALLS);
        uint64_t between_ns = clock_now_ns(CLOCK_MONOTONIC);
        calibration_loop_run(loop, CALIBRATION_LOOP_PROBED, CHUNK_CALLS);
        chunks[i].bare_ns = between_ns - began_ns;
        chunks[i].probed_ns = clock_now_ns(CLOCK_MONOTONIC) - between_ns;
    }
    return cost_estimate_slowdown_ns(chunks, chunks_count, CHUNK_CALLS);
}

/* Leaves the probe switched off and its pages free: nothing adds up from round to round. */
static int run_round(struct calibration *calibration, const struct calibration_loop *loop,
                     size_t chunks, struct round *ret_round)
{
    const struct loris_probe_knobs on = {.enabled = 1, .sample_shift = LORIS_SAMPLE_NEVER};
    int error = kernel_side_set_knobs(calibration->side, calibration->probe, &on);
    if (error)
        return error;
    struct round round = {.cost_ns = run_chunks(loop, chunks)};
    error = read_median(calibration, chunks * CHUNK_CALLS, &round.bias_ns);
    int reset_error = kernel_side_reset_probe(calibration->side, calibration->probe, 0);
    if (!error)
        *ret_round = round;
    return error ? error : reset_error;
}

/*
 * The rounds take turns with the functions of a place, so the one that this kernel gets over most
 * cheaply decides: no real call may lose more than its own probe took.
 */
static int run_rounds(struct calibration *calibration, enum attach_kind kind,
                      enum calibration_place place, size_t chunks, struct round *ret_outcome)
{
    double cost_ns[ROUNDS], bias_ns[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct round round;
        struct calibration_loop loop = calibration_load_loop(&calibration->load, kind, place, i);
        int error = run_round(calibration, &loop, chunks, &round);
        if (error)
            return error;
        cost_ns[i] = round.cost_ns;
        bias_ns[i] = round.bias_ns;
    }
    ret_outcome->cost_ns = cost_estimate_of_rounds_ns(cost_ns, ROUNDS);
    ret_outcome->bias_ns = cost_estimate_of_rounds_ns(bias_ns, ROUNDS);
    return 0;
}

/* An entry that returns at once, and in a session asks for no return probe. */
static double run_skipped(struct calibration *calibration, enum attach_kind kind,
                          enum calibration_place place)
{
    struct calibration_loop loop = calibration_load_loop(&calibration->load, kind, place, 0);
    return run_chunks(&loop, SKIPPED_CHUNKS);
}

static int measure(struct calibration *calibration, enum attach_kind kind,
                   enum calibration_place place, struct calibration_cost *ret_cost)
{
    struct round outcome, warm_up;
    struct calibration_loop loop = calibration_load_loop(&calibration->load, kind, place, 0);
    int error = run_round(calibration, &loop, 1, &warm_up);
    if (!error)
        error = run_rounds(calibration, kind, place, MEASURE_CHUNKS, &outcome);
    if (error)
        return error;
    double skipped_ns = run_skipped(calibration, kind, place);
    double shared_ns = calibration_load_shared_ns(&calibration->load, kind);
    *ret_cost = (struct calibration_cost){
        .cost_ns = (uint32_t)(outcome.cost_ns + shared_ns),
        .skipped_ns = (uint32_t)(skipped_ns + shared_ns),
        .bias_ns = cost_estimate_follow_ns(0, 0, outcome.bias_ns),
        .source = CALIBRATION_MEASURED,
    };
    return 0;
}

int calibration_measure(struct calibration *calibration, enum attach_kind kind,
                        enum calibration_place place, struct diag *reterr_diag)
{
    struct known_cost *known = &calibration->known[kind][place];
    known->tried = true;
    int error = calibration_load_attach(&calibration->load, kind, place, reterr_diag);
    if (error)
        return error;
    error = measure(calibration, kind, place, &known->cost);
    calibration_load_settle(&calibration->load, kind);
    return error ? diag_set(reterr_diag, -error, "cannot read what was measured: %s",
                            strerror(-error))
                 : 0;
}

int calibration_refresh(struct calibration *calibration, enum attach_kind kind,
                        enum calibration_place place, double *ret_drift_ratio)
{
    struct round outcome;
    struct known_cost *known = &calibration->known[kind][place];
    struct calibration_cost *cost = &known->cost;
    if (cost->source != CALIBRATION_MEASURED || !calibration_load_stays(kind))
        return -ENODATA;
    size_t chunks = REFRESH_NS / ROUNDS / CHUNK_CALLS / (cost->cost_ns + 1);
    chunks = chunks < 2 ? 2 : chunks > MEASURE_CHUNKS ? MEASURE_CHUNKS : chunks;
    int error = calibration_load_attach(&calibration->load, kind, place, NULL);
    if (!error)
        error = run_rounds(calibration, kind, place, chunks, &outcome);
    calibration_load_settle(&calibration->load, kind);
    if (error)
        return error;
    *ret_drift_ratio = cost_estimate_drift_ratio(cost->bias_ns, outcome.bias_ns);
    cost->bias_ns = cost_estimate_follow_ns(cost->bias_ns, known->last_bias_ns, outcome.bias_ns);
    known->last_bias_ns = outcome.bias_ns;
    cost->cost_ns =
        (uint32_t)(outcome.cost_ns + calibration_load_shared_ns(&calibration->load, kind));
    return 0;
}

/* --- what is known --------------------------------------------------------------------------- */

bool calibration_is_known(const struct calibration *calibration, enum attach_kind kind,
                          enum calibration_place place)
{
    return calibration->known[kind][place].tried;
}

/* Of a small server of these years. The governor rather thins too early than too late. */
static struct calibration_cost assumed_cost(enum attach_kind kind, enum calibration_place place)
{
    switch (kind) {
    case ATTACH_UPROBE:
    case ATTACH_UPROBE_MULTI:
    case ATTACH_UPROBE_SESSION:
    case ATTACH_UPROBE_EXITS:
        return place == CALIBRATION_STEPPED
                   ? (struct calibration_cost){.cost_ns = 4000, .skipped_ns = 3500}
                   : (struct calibration_cost){.cost_ns = 1500, .skipped_ns = 800};
    case ATTACH_KPROBE:
        return (struct calibration_cost){.cost_ns = 500, .skipped_ns = 400};
    default:
        return (struct calibration_cost){.cost_ns = 300, .skipped_ns = 100};
    }
}

struct calibration_cost calibration_cost_of(const struct calibration *calibration,
                                            enum attach_kind kind, enum calibration_place place)
{
    const struct calibration_cost *cost = &calibration->known[kind][place].cost;
    return cost->source == CALIBRATION_MEASURED ? *cost : assumed_cost(kind, place);
}
