/* SPDX-License-Identifier: GPL-2.0-or-later */
/* calls= calls in all from threads= threads: kind=function (work) or kind=syscall (getppid). */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "truth.h"

#define THREADS_MAX 256

PROBED long work(long value)
{
    touch(value);
    return value;
}

struct share {
    long calls;
    int syscall;
};

static void *run(void *argument)
{
    const struct share *share = argument;
    if (share->syscall)
        for (long i = 0; i < share->calls; i++)
            syscall(SYS_getppid);
    else
        for (long i = 0; i < share->calls; i++)
            work(i);
    return NULL;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 1000000);
    long threads = option_number("threads", 4);
    int by_syscall = strcmp(option_text("kind", "function"), "syscall") == 0;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;

    truth_pause("ready");
    static struct share shares[THREADS_MAX];
    static pthread_t ids[THREADS_MAX];
    for (long i = 0; i < threads; i++) {
        shares[i] = (struct share){calls / threads + (i < calls % threads), by_syscall};
        if (pthread_create(&ids[i], NULL, run, &shares[i]))
            die("pthread_create");
    }
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    truth_tell("{\"calls\":%ld,\"threads\":%ld,\"pid\":%d}", calls, threads, (int)getpid());
    truth_pause("done");
    return (int)option_number("status", 0);
}
