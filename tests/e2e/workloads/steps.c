/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls work() as it is told on stdin, and says on stdout how often it has called it in all:
 * `calls N` calls N times; `begin` lets threads= threads call until `end`.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "truth.h"

#define THREADS_MAX 16

static atomic_bool ends;
static atomic_long total;

PROBED long work(long value)
{
    touch(value);
    return value;
}

static void *run(void *argument)
{
    long calls = 0;
    while (!atomic_load_explicit(&ends, memory_order_relaxed))
        work(calls++);
    atomic_fetch_add(&total, calls);
    return argument;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long threads = option_number("threads", 2);
    pthread_t ids[THREADS_MAX];
    char line[64];
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    dprintf(STDOUT_FILENO, "ready\n");
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "calls ", 6) == 0) {
            long calls = strtol(line + 6, NULL, 10);
            for (long i = 0; i < calls; i++)
                work(i);
            atomic_fetch_add(&total, calls);
        } else if (strcmp(line, "begin\n") == 0) {
            ends = false;
            for (long i = 0; i < threads; i++)
                if (pthread_create(&ids[i], NULL, run, NULL))
                    die("pthread_create");
        } else if (strcmp(line, "end\n") == 0) {
            ends = true;
            for (long i = 0; i < threads; i++)
                pthread_join(ids[i], NULL);
        } else {
            return 2;
        }
        dprintf(STDOUT_FILENO, "%ld\n", (long)total);
    }
    return 0;
}
