/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that contenders watch. It reads one command a line and answers in one line:
 *
 *   call NAME CALLS BATCHES      ns a call of a function of bench_functions.S
 *   threads N NAME CALLS BATCHES the same while N threads call it at once
 *   getppid CALLS BATCHES        ns a call
 *   heap CALLS BATCHES           ns a malloc + free
 *   pace RATE MS                 getppid so often a second, for so long; the number of calls
 *   steady NAME MS USUAL_NS      calls it for so long; the number of calls, ns of CPU time, and ns
 *                                of it that were lost when calls were far slower than usual
 *   busy NAME                    a thread calls it until the next command; ok
 *   offset NAME                  where the function is in this file
 *   bytes NAME                   its first 16 bytes as they are in memory, in hex
 *
 * ns are the median over the batches, so that what preempts this program now and then is left out.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCHES_MAX 1024
#define THREADS_MAX 64
#define WORDS_MAX   5
#define HEAP_BYTES  64
#define NS_PER_S    1000000000ull
#define PACE_NS     1000000ull /* calls come in bursts, one a millisecond */
#define STEADY_LOOP 5000       /* calls between two looks at the clock */
#define STEADY_SLOW 4          /* times the usual */

typedef long (*bench_function)(long);

struct named_function {
    const char *name;
    bench_function call;
};

/* Bounds of the section, by the linker. */
extern const struct named_function __start_bench_functions[], __stop_bench_functions[];

static uint64_t clock_of_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t clock_ns(void)
{
    return clock_of_ns(CLOCK_MONOTONIC);
}

static bench_function function_find(const char *name)
{
    for (const struct named_function *at = __start_bench_functions; at < __stop_bench_functions;
         at++)
        if (strcmp(at->name, name) == 0)
            return at->call;
    return NULL;
}

/* --- the loops ------------------------------------------------------------------------------- */

typedef void (*loop_function)(bench_function call, long calls);

static void loop_call(bench_function call, long calls)
{
    for (long i = 0; i < calls; i++)
        call(i);
}

static void loop_getppid(bench_function call, long calls)
{
    (void)call;
    for (long i = 0; i < calls; i++)
        syscall(SYS_getppid);
}

static void loop_heap(bench_function call, long calls)
{
    (void)call;
    for (long i = 0; i < calls; i++) {
        void *bytes = malloc(HEAP_BYTES);
        __asm__ volatile("" : "+r"(bytes) : : "memory"); /* else the pair is left out */
        free(bytes);
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_ns(loop_function loop, bench_function call, long calls, long batches)
{
    double ns[BATCHES_MAX];
    for (long i = 0; i < batches; i++) {
        uint64_t begin_ns = clock_ns();
        loop(call, calls);
        ns[i] = (double)(clock_ns() - begin_ns) / (double)calls;
    }
    qsort(ns, (size_t)batches, sizeof(ns[0]), compare_doubles);
    return ns[batches / 2];
}

/* --- threads --------------------------------------------------------------------------------- */

struct crew {
    pthread_barrier_t *begin;
    bench_function call;
    long calls;
    long batches;
    double ns;
};

static void *crew_run(void *argument)
{
    struct crew *crew = argument;
    pthread_barrier_wait(crew->begin);
    crew->ns = median_ns(loop_call, crew->call, crew->calls, crew->batches);
    return NULL;
}

static double threads_ns(long threads, bench_function call, long calls, long batches)
{
    pthread_t ids[THREADS_MAX];
    struct crew crew[THREADS_MAX];
    pthread_barrier_t begin;
    pthread_barrier_init(&begin, NULL, (unsigned)threads);
    for (long i = 0; i < threads; i++) {
        crew[i] = (struct crew){&begin, call, calls, batches, 0};
        if (pthread_create(&ids[i], NULL, crew_run, &crew[i])) {
            perror("bench_target: pthread_create");
            exit(1);
        }
    }
    double sum_ns = 0;
    for (long i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum_ns += crew[i].ns;
    }
    pthread_barrier_destroy(&begin);
    return sum_ns / (double)threads;
}

/* A thread in the background, for those who want to see calls while the driver does other things.
 */
static atomic_bool is_busy;
static pthread_t busy_thread;

static void *busy_run(void *argument)
{
    const struct named_function *function = argument;
    while (atomic_load_explicit(&is_busy, memory_order_relaxed)) {
        loop_call(function->call, 100);
        usleep(100);
    }
    return NULL;
}

static void busy_stop(void)
{
    if (atomic_exchange(&is_busy, false))
        pthread_join(busy_thread, NULL);
}

static bool busy_start(bench_function call)
{
    static struct named_function function; /* outlives this call; one thread at a time */
    function.call = call;
    atomic_store(&is_busy, true);
    if (pthread_create(&busy_thread, NULL, busy_run, &function)) {
        atomic_store(&is_busy, false);
        return false;
    }
    return true;
}

/* --- commands -------------------------------------------------------------------------------- */

static long pace(long rate_per_s, long ms)
{
    uint64_t begin_ns = clock_ns();
    uint64_t length_ns = (uint64_t)ms * 1000000u;
    long calls = 0;
    for (uint64_t at_ns = 0; at_ns < length_ns; at_ns = clock_ns() - begin_ns) {
        long due = (long)((double)rate_per_s * (double)at_ns / (double)NS_PER_S);
        loop_getppid(NULL, due - calls);
        calls = due;
        struct timespec rest = {.tv_nsec = PACE_NS};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
    }
    return calls;
}

/* The offset in this program's file, through its own mappings. -1 when it is in none. */
static long file_offset(bench_function call)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    long found = -1;
    while (maps && found < 0 && fgets(line, sizeof(line), maps)) {
        unsigned long begin = 0, end = 0, offset = 0;
        if (sscanf(line, "%lx-%lx %*s %lx", &begin, &end, &offset) == 3 &&
            (uintptr_t)call >= begin && (uintptr_t)call < end)
            found = (long)((uintptr_t)call - begin + offset);
    }
    if (maps)
        fclose(maps);
    return found;
}

static void tell_bytes(bench_function call)
{
    for (int i = 0; i < 16; i++)
        printf("%02x", ((const volatile uint8_t *)call)[i]);
    printf("\n");
}

static bool tell_median(loop_function loop, bench_function call, char **counts)
{
    long calls = atol(counts[0]), batches = atol(counts[1]);
    if (calls < 1 || batches < 1 || batches > BATCHES_MAX)
        return false;
    printf("%.3f\n", median_ns(loop, call, calls, batches));
    return true;
}

static bool on_call(char **words)
{
    bench_function call = function_find(words[1]);
    return call && tell_median(loop_call, call, words + 2);
}

static bool on_getppid(char **words)
{
    return tell_median(loop_getppid, NULL, words + 1);
}

static bool on_heap(char **words)
{
    return tell_median(loop_heap, NULL, words + 1);
}

static bool on_threads(char **words)
{
    long threads = atol(words[1]), calls = atol(words[3]), batches = atol(words[4]);
    bench_function call = function_find(words[2]);
    if (!call || threads < 1 || threads > THREADS_MAX || calls < 1 || batches < 1 ||
        batches > BATCHES_MAX)
        return false;
    printf("%.3f\n", threads_ns(threads, call, calls, batches));
    return true;
}

static bool on_pace(char **words)
{
    long rate_per_s = atol(words[1]), ms = atol(words[2]);
    if (rate_per_s < 1 || ms < 1)
        return false;
    printf("%ld\n", pace(rate_per_s, ms));
    return true;
}

/* On average, unlike the medians: a probe may be there for a moment only, now and then. */
static void tell_steady(bench_function call, uint64_t length_ns, double usual_ns)
{
    uint64_t begin_ns = clock_of_ns(CLOCK_THREAD_CPUTIME_ID), lost_ns = 0, calls = 0;
    uint64_t end_ns = clock_ns() + length_ns, last_ns = begin_ns;
    for (; clock_ns() < end_ns; calls += STEADY_LOOP) {
        loop_call(call, STEADY_LOOP);
        uint64_t now_ns = clock_of_ns(CLOCK_THREAD_CPUTIME_ID);
        double ns = (double)(now_ns - last_ns);
        if (ns > STEADY_SLOW * usual_ns * STEADY_LOOP)
            lost_ns += (uint64_t)(ns - usual_ns * STEADY_LOOP);
        last_ns = now_ns;
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", calls, last_ns - begin_ns, lost_ns);
}

static bool on_steady(char **words)
{
    bench_function call = function_find(words[1]);
    long ms = atol(words[2]);
    double usual_ns = atof(words[3]);
    if (!call || ms < 1 || !(usual_ns > 0))
        return false;
    tell_steady(call, (uint64_t)ms * 1000000u, usual_ns);
    return true;
}

static bool on_busy(char **words)
{
    bench_function call = function_find(words[1]);
    if (!call || !busy_start(call))
        return false;
    printf("ok\n");
    return true;
}

static bool on_offset(char **words)
{
    bench_function call = function_find(words[1]);
    if (call)
        printf("%ld\n", file_offset(call));
    return call;
}

static bool on_bytes(char **words)
{
    bench_function call = function_find(words[1]);
    if (call)
        tell_bytes(call);
    return call;
}

static const struct command {
    const char *name;
    int words;
    bool (*run)(char **words);
} commands[] = {
    {"call", 4, on_call},     {"threads", 5, on_threads}, {"getppid", 3, on_getppid},
    {"heap", 3, on_heap},     {"pace", 3, on_pace},       {"busy", 2, on_busy},
    {"offset", 2, on_offset}, {"bytes", 2, on_bytes},     {"steady", 4, on_steady},
};

static bool obey(char *line)
{
    char *words[WORDS_MAX], *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MAX;
         word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(words[0], commands[i].name) == 0)
            return count == commands[i].words && commands[i].run(words);
    return false;
}

int main(void)
{
    char line[256];
    while (fgets(line, sizeof(line), stdin)) {
        busy_stop();
        if (!obey(line))
            printf("error: %s\n", line);
        fflush(stdout);
    }
    busy_stop();
    return 0;
}
