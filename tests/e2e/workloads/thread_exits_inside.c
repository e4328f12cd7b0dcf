/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads= threads end inside never_returns(), half by pthread_exit, half by the raw syscall;
 * before that each calls work() before= times. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "truth.h"

static long calls_before;

PROBED long work(long value)
{
    touch(value);
    return value;
}

PROBED long never_returns(long raw)
{
    if (raw)
        syscall(SYS_exit, 0);
    pthread_exit(NULL);
    return 1;
}

static void *run(void *argument)
{
    for (long i = 0; i < calls_before; i++)
        work(i);
    never_returns((long)(intptr_t)argument);
    return NULL;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long threads = option_number("threads", 400);
    calls_before = option_number("before", 3);
    long joined = 0;
    truth_pause("ready");
    for (long i = 0; i < threads; i++) {
        pthread_t id;
        if (pthread_create(&id, NULL, run, (void *)(intptr_t)(i % 2)))
            die("pthread_create");
        /* The kernel clears the thread's id in either case, so joining works. */
        joined += pthread_join(id, NULL) == 0;
        work(i);
    }
    truth_tell("{\"ended_inside\":%ld,\"joined\":%ld,\"calls\":%ld}", threads, joined,
               threads * (calls_before + 1));
    truth_pause("done");
    return 0;
}
