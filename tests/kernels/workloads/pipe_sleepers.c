/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads= threads sleep in a read of a pipe at the same time, rounds= times: more open calls of
 * one kernel function than a return probe may have prepared for. */
#include <pthread.h>

#include "truth.h"

#define THREADS_MAX 256

static int pipes[2];

static void *run(void *argument)
{
    char byte;
    if (read(pipes[0], &byte, 1) != 1)
        die("read");
    return argument;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long threads = option_number("threads", 100);
    long rounds = option_number("rounds", 3);
    pthread_t ids[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX || pipe(pipes))
        return 2;
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < threads; i++)
            if (pthread_create(&ids[i], NULL, run, NULL))
                die("pthread_create");
        usleep(200000);
        for (long i = 0; i < threads; i++)
            if (write(pipes[1], "x", 1) != 1)
                die("write");
        for (long i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    }
    truth_tell("{\"calls\":%ld}", threads * rounds);
    return 0;
}
