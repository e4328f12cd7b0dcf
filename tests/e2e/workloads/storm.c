/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads= threads call work() at full speed until SIGTERM or seconds=; tells how many. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "truth.h"

#define THREADS_MAX 64

static atomic_int stopped;
static struct {
    _Alignas(128) long calls;
} counts[THREADS_MAX];

PROBED long work(long value)
{
    touch(value);
    return value;
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopped, 1);
}

static void *run(void *argument)
{
    long *calls = argument;
    while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
        work(*calls);
        ++*calls;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long threads = option_number("threads", 1);
    pthread_t ids[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    truth_pause("ready");
    alarm((unsigned)option_number("seconds", 0));
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, run, &counts[i].calls))
            die("pthread_create");
    long calls = 0;
    for (long i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        calls += counts[i].calls;
    }
    truth_tell("{\"calls\":%ld,\"threads\":%ld}", calls, threads);
    truth_pause("done");
    return 0;
}
