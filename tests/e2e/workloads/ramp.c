/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * measured() is called rate= times a second at first, twice as often after each step_ms=, for
 * steps= steps, on threads= threads; beside it, as often and in turn, control(), which is the same
 * and is never probed. What measured() takes longer than control() is what the probe costs.
 *
 * Prints a line every slice_ms=: the time, calls, and the cost as a share of one CPU.
 */
#include "truth.h"

#include <pthread.h>
#include <stdatomic.h>

#define TICK_NS     1000000ULL
#define THREADS_MAX 8
/* Short, so that what slows the machine down for a while falls on both alike. */
#define CHUNK_CALLS 64

struct slice {
    atomic_ulong calls, measured_ns, control_ns;
};

static uint64_t start_ns, slice_ns, slice_count;
static long rate_per_s, step_ms, steps;
static struct slice *slices;

#define BODY                                                                                       \
    for (int i = 0; i < 20; i++)                                                                   \
        touch(value);                                                                              \
    return value

PROBED long measured(long value)
{
    BODY;
}

PROBED long control(long value)
{
    BODY;
}

/* Of this thread: what others take from it is none of the probe's cost. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t run_chunk(long (*function)(long), long calls)
{
    uint64_t begin_ns = cpu_ns();
    for (long i = 0; i < calls; i++)
        function(i);
    return cpu_ns() - begin_ns;
}

/* One tick's calls, or as many of them as its time allows. */
static void run_tick(long calls, uint64_t end_ns)
{
    uint64_t now_ns = clock_ns();
    while (calls > 0 && now_ns < end_ns) {
        long chunk = calls < CHUNK_CALLS ? calls : CHUNK_CALLS;
        uint64_t measured_ns = run_chunk(measured, chunk);
        uint64_t control_ns = run_chunk(control, chunk);
        uint64_t index = (now_ns - start_ns) / slice_ns;
        struct slice *slice = &slices[index < slice_count ? index : slice_count - 1];
        atomic_fetch_add(&slice->calls, (unsigned long)chunk);
        atomic_fetch_add(&slice->measured_ns, measured_ns);
        atomic_fetch_add(&slice->control_ns, control_ns);
        calls -= chunk;
        now_ns = clock_ns();
    }
}

static void *run_thread(void *unused)
{
    (void)unused;
    double owed = 0;
    for (uint64_t tick = 0; tick < (uint64_t)steps * (uint64_t)step_ms; tick++) {
        uint64_t begin_ns = start_ns + tick * TICK_NS;
        uint64_t now_ns = clock_ns();
        if (now_ns < begin_ns) {
            struct timespec until = {(time_t)(begin_ns / NS_PER_S), (long)(begin_ns % NS_PER_S)};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        owed += (double)rate_per_s * (double)(1UL << (tick / (uint64_t)step_ms)) / 1000;
        run_tick((long)owed, begin_ns + TICK_NS);
        owed -= (double)(long)owed;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS_MAX];
    truth_begin(argc, argv);
    rate_per_s = option_number("rate", 1000);
    step_ms = option_number("step_ms", 5000);
    steps = option_number("steps", 10);
    slice_ns = (uint64_t)option_number("slice_ms", 1000) * 1000000;
    long threads = option_number("threads", 1);
    slice_count = (uint64_t)steps * (uint64_t)step_ms * 1000000 / slice_ns + 1;
    slices = calloc(slice_count, sizeof(*slices));
    if (threads < 1 || threads > THREADS_MAX || !slices)
        die("threads");
    truth_pause("ready");
    start_ns = clock_ns();
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run_thread, NULL);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    unsigned long total = 0;
    for (uint64_t i = 0; i < slice_count; i++) {
        double cost_ns = (double)slices[i].measured_ns - (double)slices[i].control_ns;
        total += slices[i].calls;
        printf("{\"at_ms\":%lu,\"calls\":%lu,\"cost\":%.6f}\n", (i + 1) * slice_ns / 1000000,
               slices[i].calls, cost_ns / (double)slice_ns);
    }
    fflush(stdout);
    truth_pause("done");
    truth_tell("{\"calls\":%lu,\"start_ns\":%lu}", total, start_ns);
    return 0;
}
