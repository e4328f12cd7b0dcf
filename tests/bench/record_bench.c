/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sample costs from the log to its series: take, decode, probe look-up, series look-up,
 * record. The log lies in memory and is filled in between, so no kernel is needed.
 *
 *     record_bench [ROUNDS [MOST_SERIES]]
 *
 * Prints a JSON object a line. In each round every row is measured once, in turn; a line holds the
 * medians, its ratio to the floor of the same round (the records copied out of the log and their
 * latencies added up) first. `thinned` is `loris` with samples that stand for several calls each.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../unit/ingest/fake_kernel_side.h"
#include "naive_table.h"

#define DIE_IF(condition)                                                                          \
    do {                                                                                           \
        if (condition) {                                                                           \
            fprintf(stderr, "record_bench: line %d: %s\n", __LINE__, #condition);                  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The module once more, over a kernel side of one CPU. */
#define drain_new          bench_drain_new
#define drain_free         bench_drain_free
#define drain_pass         bench_drain_pass
#define drain_took         bench_drain_took
#define drain_complete_ns  bench_drain_complete_ns
#define drain_interval_ns  bench_drain_interval_ns
#define drain_figures      bench_drain_figures
#define drain_mapped_bytes bench_drain_mapped_bytes
#include "ingest/drain.c"

#define LOG_LOG2    15
#define LOG_RECORDS (1u << LOG_LOG2)
#define RARE_BYTES  4096u      /* of a ring that stays empty */
#define FILLS       8          /* measured in a row of a round */
#define SEQUENCE    (1u << 21) /* records until they repeat */
#define SECOND_NS   1000000000ull
#define SLICE_NS    (10 * SECOND_NS)
#define SLICES      6
#define ROUNDS_MAX  101
#define GENERATION  7
#define WEIGHT      8         /* of a thinned sample */
#define WARM_UP_MAX 20000000u /* calls */
#define CALLS_EACH  60        /* of each series in each slice of the warm-up, or less */

/* --- the agent's part --------------------------------------------------------------------------
 */

/* As large as what the agent keeps of a probe, and found in the same two steps. */
struct bench_probe {
    uint64_t other_fields[17];
    uint16_t first_generation, generation;
};

struct bench_probe_state {
    uint64_t attached_ns, decoded, malformed;
    uint32_t stretch;
    uint64_t unobserved, unobserved_before;
    double unobserved_variance;
    uint64_t rate_count;
    double rate_per_s;
};

struct world {
    uint32_t series_count, probe_count, process_count;
    struct bench_probe **probes;
    struct bench_probe_state *states;
    struct series_table *series;
    struct naive_table naive;
    struct loris_latency_event *uniform, *zipf; /* SEQUENCE of each */
    uint64_t now_ns;
    uint64_t unknown, sum_ns;
    bool naive_failed;
};

/* What the agent does with an event before its series is looked up. NULL: of a probe that has gone.
 */
static struct bench_probe_state *take_event(struct world *world,
                                            const struct loris_latency_event *event)
{
    const struct bench_probe *probe =
        event->probe < world->probe_count ? world->probes[event->probe] : NULL;
    if (!probe || (uint16_t)(event->generation - probe->first_generation) >
                      (uint16_t)(probe->generation - probe->first_generation)) {
        world->unknown++;
        return NULL;
    }
    struct bench_probe_state *state = &world->states[event->probe];
    state->decoded += event->weight;
    return state;
}

static struct series_key key_of(const struct loris_latency_event *event)
{
    return (struct series_key){event->probe, SERIES_PROCESS,
                               (uint64_t)event->pid << 32 | event->start_tick};
}

static void to_series(const struct loris_latency_event *latencies, uint32_t count, void *context)
{
    struct world *world = context;
    struct series_sample samples[EVENT_BATCH_MAX];
    uint32_t current = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct loris_latency_event *event = &latencies[i];
        struct bench_probe_state *state = take_event(world, event);
        if (!state)
            continue;
        uint32_t weight = event->weight * state->stretch;
        state->unobserved += weight - event->weight;
        samples[current++] = (struct series_sample){
            .key = key_of(event),
            .latency_ns = event->latency_ns,
            .weight = weight,
            .error = event->flags & LORIS_LATENCY_ERROR,
        };
    }
    series_table_record(world->series, samples, current, world->now_ns);
}

static void to_naive(const struct loris_latency_event *latencies, uint32_t count, void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; i < count; i++) {
        const struct loris_latency_event *event = &latencies[i];
        if (!take_event(world, event))
            continue;
        world->naive_failed |= naive_table_record(&world->naive, key_of(event), event->latency_ns,
                                                  event->flags & LORIS_LATENCY_ERROR) < 0;
    }
}

/* --- the calls -------------------------------------------------------------------------------- */

static uint64_t random_state = 20261120;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_u64(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static double random_unit(void)
{
    return ((double)(random_u64() >> 12) + 0.5) * 0x1p-52;
}

/* Median 3 us; 95 % lie within six powers of two. */
static uint64_t random_latency(void)
{
    double normal = sqrt(-2 * log(random_unit())) * cos(2 * M_PI * random_unit());
    return (uint64_t)(3000 * exp(normal));
}

static struct loris_latency_event call_of(const struct world *world, uint32_t series)
{
    uint32_t process = series / world->probe_count;
    return (struct loris_latency_event){
        .tag = LORIS_EVENT_LATENCY,
        .flags = random_u64() % 100 == 0 ? LORIS_LATENCY_ERROR : 0,
        .generation = GENERATION,
        .probe = (uint16_t)(series % world->probe_count),
        .weight = 1,
        .pid = 1000 + process,
        .start_tick = process * 2654435761u,
        .latency_ns = random_latency(),
    };
}

static void *must_calloc(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    DIE_IF(!memory);
    return memory;
}

/* Rank r comes in proportion to 1/r; which series has which rank is drawn by lot. */
static void draw_zipf(struct world *world)
{
    uint32_t n = world->series_count;
    double *until = must_calloc(n, sizeof(*until));
    uint32_t *lot = must_calloc(n, sizeof(*lot));
    double sum = 0;
    for (uint32_t rank = 0; rank < n; rank++) {
        until[rank] = sum += 1.0 / (rank + 1);
        lot[rank] = rank;
    }
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(random_u64() % (i + 1)), swapped = lot[i];
        lot[i] = lot[j];
        lot[j] = swapped;
    }
    for (uint32_t i = 0; i < SEQUENCE; i++) {
        double wanted = random_unit() * sum;
        uint32_t low = 0, high = n - 1;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (until[middle] < wanted)
                low = middle + 1;
            else
                high = middle;
        }
        world->zipf[i] = call_of(world, lot[low]);
    }
    free(until);
    free(lot);
}

/* --- the world -------------------------------------------------------------------------------- */

static void open_world(struct world *world, uint32_t probes, uint32_t processes)
{
    const struct series_table_config config = {
        .max_bytes = 16ull << 30, .slice_ns = SLICE_NS, .slices = SLICES, .hash_seed = hash_seed()};
    *world = (struct world){
        .series_count = probes * processes,
        .probe_count = probes,
        .process_count = processes,
        .now_ns = SLICE_NS,
    };
    DIE_IF(series_table_new(&config, &world->series) < 0);
    naive_table_init(&world->naive, world->series_count);
    DIE_IF(!world->naive.buckets);
    world->probes = must_calloc(probes, sizeof(struct bench_probe *));
    world->states = must_calloc(probes, sizeof(*world->states));
    for (uint32_t i = 0; i < probes; i++) {
        world->probes[i] = must_calloc(1, sizeof(struct bench_probe));
        world->probes[i]->first_generation = world->probes[i]->generation = GENERATION;
        world->states[i].stretch = 1;
        DIE_IF(series_table_add_probe(world->series, i) < 0);
    }
    world->uniform = must_calloc(SEQUENCE, sizeof(*world->uniform));
    world->zipf = must_calloc(SEQUENCE, sizeof(*world->zipf));
    for (uint32_t i = 0; i < SEQUENCE; i++)
        world->uniform[i] = call_of(world, (uint32_t)(random_u64() % world->series_count));
    draw_zipf(world);
}

static void close_world(struct world *world)
{
    for (uint32_t i = 0; i < world->probe_count; i++)
        free(world->probes[i]);
    free(world->probes);
    free(world->states);
    free(world->uniform);
    free(world->zipf);
    naive_table_done(&world->naive);
    series_table_free(world->series);
}

static void warm_up_series(struct world *world, uint32_t series, bool naive)
{
    const struct loris_latency_event call = call_of(world, series);
    to_series(&call, 1, world);
    if (naive)
        to_naive(&call, 1, world);
}

/* Every series gets a full window of calls, and then some, so that not all have to be emptied into
 * their sketches at once. */
static void warm_up(struct world *world)
{
    uint32_t each = WARM_UP_MAX / (SLICES + 1) / world->series_count;
    each = each < CALLS_EACH ? each : CALLS_EACH;
    for (uint32_t slice = 0; slice <= SLICES; slice++, world->now_ns += SLICE_NS) {
        for (uint32_t i = 0; i < each * world->series_count; i++)
            warm_up_series(world, i % world->series_count, slice == 0);
    }
    world->now_ns -= SLICE_NS;
    for (uint32_t i = 0; i < world->series_count; i++)
        for (uint64_t more = random_u64() % CALLS_EACH; more > 0; more--)
            warm_up_series(world, i, false);
}

/* --- measuring -------------------------------------------------------------------------------- */

enum row { ROW_FLOOR, ROW_NAIVE, ROW_LORIS, ROW_THINNED, ROW_COUNT };

static const char *const row_names[] = {"floor", "naive", "loris", "thinned"};

/* Time that others had the processor is not ours. */
static uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * SECOND_NS + (uint64_t)time.tv_nsec;
}

static void ignore_process(const struct loris_process_event *event, void *context)
{
    (void)event;
    (void)context;
}

static void ignore_cgroup(const struct loris_cgroup_event *event, void *context)
{
    (void)event;
    (void)context;
}

/* Fills the empty log with the calls from `next` on, each standing for `weight`. Returns what comes
 * next. */
static uint32_t fill_log(struct kernel_side *side, const struct loris_latency_event *sequence,
                         uint32_t next, uint16_t weight)
{
    for (uint32_t i = 0; i < LOG_RECORDS; i++, next = (next + 1) % SEQUENCE) {
        struct loris_latency_event event = sequence[next];
        event.weight = weight;
        DIE_IF(!fake_sample_log_submit(&side->samples, 0, &event));
    }
    return next;
}

static void copy_out(const struct kernel_side *side, struct world *world)
{
    struct loris_latency_event copies[EVENT_BATCH_MAX];
    struct loris_sample_log *log = side->samples.logs;
    uint64_t at = log->consumed, until = __atomic_load_n(&log->reserved, __ATOMIC_ACQUIRE);
    for (uint32_t n = 0; at < until; at++, n = (n + 1) % EVENT_BATCH_MAX) {
        memcpy(&copies[n], fake_sample_log_at(&side->samples, 0, at), sizeof(copies[n]));
        world->sum_ns += copies[n].latency_ns;
    }
    __atomic_store_n(&log->consumed, at, __ATOMIC_RELEASE);
}

struct bench {
    struct kernel_side side;
    struct drain *drain;
    unsigned rounds;
};

static double ns_per_sample(struct bench *bench, struct world *world, enum row row,
                            const struct loris_latency_event *sequence, uint32_t *next)
{
    const struct event_sink sink = {row == ROW_NAIVE ? to_naive : to_series, ignore_process,
                                    ignore_cgroup, world};
    const uint16_t weight = row == ROW_THINNED ? WEIGHT : 1;
    uint64_t took_ns = 0;
    for (unsigned i = 0; i < FILLS; i++) {
        *next = fill_log(&bench->side, sequence, *next, weight);
        uint64_t began_ns = clock_ns();
        if (row == ROW_FLOOR)
            copy_out(&bench->side, world);
        else
            while (drain_pass(bench->drain, &sink, began_ns))
                ;
        took_ns += clock_ns() - began_ns;
        DIE_IF(bench->side.samples.logs->consumed != bench->side.samples.logs->reserved);
    }
    return (double)took_ns / (FILLS * LOG_RECORDS);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort_values(double *values, unsigned n)
{
    qsort(values, n, sizeof(*values), compare_doubles);
}

/* Rows first .. last, and the floor with them. */
static void measure(struct bench *bench, struct world *world, enum row first, enum row last,
                    const char *order, const struct loris_latency_event *sequence)
{
    double ns[ROW_COUNT][ROUNDS_MAX], ratios[ROW_COUNT][ROUNDS_MAX];
    uint32_t next[ROW_COUNT] = {0};
    for (unsigned round = 0; round < bench->rounds; round++) {
        double floor_ns = ns_per_sample(bench, world, ROW_FLOOR, sequence, &next[ROW_FLOOR]);
        for (enum row row = first; row <= last; row++) {
            ns[row][round] = row == ROW_FLOOR
                                 ? floor_ns
                                 : ns_per_sample(bench, world, row, sequence, &next[row]);
            ratios[row][round] = ns[row][round] / floor_ns;
        }
    }
    for (enum row row = first; row <= last; row++) {
        sort_values(ns[row], bench->rounds);
        sort_values(ratios[row], bench->rounds);
        printf("{\"ratio\":%.2f,\"row\":\"%s\",\"series\":%" PRIu32
               ",\"order\":\"%s\",\"ns_per_sample\":%.1f,\"least_ns\":%.1f,\"rounds\":%u}\n",
               ratios[row][bench->rounds / 2], row_names[row], world->series_count, order,
               ns[row][bench->rounds / 2], ns[row][0], bench->rounds);
    }
    fflush(stdout);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void count_bucket(double lower_ns, double upper_ns, uint64_t count, void *context)
{
    (void)lower_ns;
    (void)upper_ns;
    (void)count;
    ++*(uint64_t *)context;
}

struct touched {
    const struct series_table *table;
    uint64_t series, totals, sketch_bytes;
};

static void add_touched(const struct series *series, void *context)
{
    struct touched *touched = context;
    struct latency_stat stat;
    uint64_t window_ns;
    if (touched->series >= 1000 || series_table_count(series) == 0)
        return; /* enough */
    latency_stat_init(&stat);
    DIE_IF(series_table_window(touched->table, series, 0, 0, &stat, &window_ns) < 0);
    touched->series++;
    sketch_walk(&stat.sketch, count_bucket, &touched->totals);
    touched->sketch_bytes += sketch_heap_bytes(&stat.sketch);
    latency_stat_done(&stat);
}

static void print_memory(const struct world *world)
{
    struct series_table_figures figures = series_table_figures(world->series);
    struct touched touched = {.table = world->series};
    series_table_walk(world->series, UINT32_MAX, add_touched, &touched);
    double each = (double)figures.bytes / (double)figures.series_count;
    double buckets = (double)touched.totals / (double)touched.series;
    printf("{\"row\":\"memory\",\"series\":%" PRIu64
           ",\"bytes_per_series\":%.0f,\"touched_buckets_per_series\":%.0f,"
           "\"bytes_per_touched_bucket\":%.1f,\"sketch_bytes_per_touched_bucket\":%.1f}\n",
           figures.series_count, each, buckets, each / buckets,
           (double)touched.sketch_bytes / (double)touched.totals);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[][2] = {{10, 100}, {100, 100}, {100, 1000}, {1000, 1000}};
    static const struct drain_config config = {1, SECOND_NS, UINT32_MAX};
    struct bench bench = {.rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 11};
    unsigned most = argc > 2 ? (unsigned)atoi(argv[2]) : 1000000;
    DIE_IF(bench.rounds < 1 || bench.rounds > ROUNDS_MAX);
    fake_kernel_side_init(&bench.side, 1, LOG_LOG2, RARE_BYTES);
    DIE_IF(drain_new(&bench.side, &config, &bench.drain) < 0);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct world world;
        if (sizes[i][0] * sizes[i][1] > most)
            break;
        open_world(&world, sizes[i][0], sizes[i][1]);
        warm_up(&world);
        print_memory(&world);
        measure(&bench, &world, ROW_FLOOR, ROW_LORIS, "uniform", world.uniform);
        measure(&bench, &world, ROW_FLOOR, ROW_LORIS, "zipf", world.zipf);
        /* Last: counters that have become wider would slow the other rows down. */
        measure(&bench, &world, ROW_THINNED, ROW_THINNED, "uniform", world.uniform);
        measure(&bench, &world, ROW_THINNED, ROW_THINNED, "zipf", world.zipf);
        DIE_IF(world.unknown > 0 || world.naive_failed);
        close_world(&world);
    }
    drain_free(bench.drain);
    fake_kernel_side_done(&bench.side);
    return 0;
}
