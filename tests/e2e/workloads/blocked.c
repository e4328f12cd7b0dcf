/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads= threads sit inside blocked() until stdin says so (or for seconds= s). */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "truth.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static sem_t inside;

PROBED long blocked(long value)
{
    sem_post(&inside);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    touch(value);
    return value;
}

static void *run(void *argument)
{
    blocked((long)(intptr_t)argument);
    return NULL;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long threads = option_number("threads", 3);
    long seconds = option_number("seconds", -1);
    pthread_t ids[256];
    if (threads < 1 || threads > 256)
        return 2;
    sem_init(&inside, 0, 0);
    truth_pause("ready");
    pthread_mutex_lock(&gate);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, run, (void *)(intptr_t)i))
            die("pthread_create");
    for (long i = 0; i < threads; i++)
        sem_wait(&inside);
    uint64_t begin_ns = clock_ns();
    dprintf(STDOUT_FILENO, "inside\n");
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    poll(&input, 1, seconds < 0 ? -1 : (int)(seconds * 1000));
    char byte;
    if (input.revents && read(STDIN_FILENO, &byte, 1) < 0)
        die("read");
    uint64_t held_ns = clock_ns() - begin_ns;
    pthread_mutex_unlock(&gate);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    truth_tell("{\"calls\":%ld,\"held_ns\":%lu}", threads, held_ns);
    truth_pause("done");
    return 0;
}
