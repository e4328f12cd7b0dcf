/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads= threads call pread calls= times in all on this program's own file; linked statically,
 * so that these are the only reads of the process. */
#include <fcntl.h>
#include <pthread.h>

#include "truth.h"

#define THREADS_MAX 64

static int file;

static void *run(void *argument)
{
    char byte;
    for (long left = (long)(intptr_t)argument; left > 0; left--)
        if (pread(file, &byte, 1, 0) != 1)
            die("pread");
    return NULL;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 10000);
    long threads = option_number("threads", 1);
    pthread_t ids[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        die("open");
    for (long i = 0; i < threads; i++) {
        long share = calls / threads + (i < calls % threads);
        if (pthread_create(&ids[i], NULL, run, (void *)(intptr_t)share))
            die("pthread_create");
    }
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    truth_tell("{\"calls\":%ld,\"threads\":%ld}", calls, threads);
    return 0;
}
