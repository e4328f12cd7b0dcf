/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls tide() every pause_us=; each line on stdin says how many us it takes from now on, a
 * negative number that there are no calls. Ends with its stdin. */
#include "truth.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_long takes_us = -1;
static long pause_us;

static void sleep_us(long us)
{
    struct timespec length = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&length, NULL);
}

PROBED long tide(long us)
{
    sleep_us(us);
    touch(us);
    return us;
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        long us = atomic_load(&takes_us);
        if (us >= 0)
            tide(us);
        sleep_us(pause_us);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    char line[64];
    truth_begin(argc, argv);
    pause_us = option_number("pause_us", 2000);
    if (pthread_create(&thread, NULL, run, NULL))
        die("thread");
    while (fgets(line, sizeof(line), stdin))
        atomic_store(&takes_us, atol(line));
    return 0;
}
