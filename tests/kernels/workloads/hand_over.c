/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pairs= pairs of threads hand a byte to and fro through pipes, rounds= times each: every read(2)
 * sleeps and every wake-up waits for a CPU. Tells how many reads there were, and how often its
 * threads got a CPU as the scheduler counts it. With clash=1 the thread ids are alike in their
 * lowest SLOT_BITS bits; it tells how many are. */
#include <fcntl.h>
#include <pthread.h>

#include "truth.h"

#define PAIRS_MAX 3 /* more ids alike there are not below the least pid_max */
#define SLOT_BITS 12

struct thread {
    pthread_t id;
    int in, out;
    int begins;
    pid_t tid;
    unsigned long waits;
};

static long rounds;
static struct thread threads[2 * PAIRS_MAX];

/* How often the calling thread got a CPU; by pread, so that no read(2) is added. */
static unsigned long count_waits(void)
{
    char text[128] = "";
    unsigned long ran_ns, waited_ns, count;
    int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (file < 0 || pread(file, text, sizeof(text) - 1, 0) <= 0 ||
        sscanf(text, "%lu %lu %lu", &ran_ns, &waited_ns, &count) != 3)
        die("schedstat");
    close(file);
    return count;
}

static void *run(void *argument)
{
    struct thread *own = argument;
    char byte = 'x';
    own->tid = gettid();
    for (long round = 0; round < rounds; round++) {
        if (own->begins && write(own->out, &byte, 1) != 1)
            die("write");
        if (read(own->in, &byte, 1) != 1)
            die("read");
        if (!own->begins && write(own->out, &byte, 1) != 1)
            die("write");
    }
    own->waits = count_waits();
    return NULL;
}

/* The next thread gets this id, if nobody else is faster. */
static void choose_next_id(long tid)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld", tid - 1);
    int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, (size_t)length) != length)
        die("ns_last_pid");
    close(file);
}

static void start_pair(struct thread *pair, int pair_index, int clash)
{
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        die("pipe");
    pair[0].in = back[0];
    pair[0].out = there[1];
    pair[0].begins = 1;
    pair[1].in = there[0];
    pair[1].out = back[1];
    for (int i = 0; i < 2; i++) {
        if (clash)
            choose_next_id((getpid() + 1) % (1 << SLOT_BITS) +
                           ((2L * pair_index + i + 1) << SLOT_BITS));
        if (pthread_create(&pair[i].id, NULL, run, &pair[i]))
            die("pthread_create");
    }
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    unsigned long waits_before = count_waits();
    int pairs = (int)option_number("pairs", 1);
    int clash = (int)option_number("clash", 0);
    int alike = 0;
    rounds = option_number("rounds", 1000);
    if (pairs < 1 || pairs > PAIRS_MAX)
        return 2;
    for (int i = 0; i < pairs; i++)
        start_pair(&threads[2 * i], i, clash);
    unsigned long waits = 0;
    for (int i = 0; i < 2 * pairs; i++) {
        pthread_join(threads[i].id, NULL);
        waits += threads[i].waits;
        alike += (threads[i].tid ^ threads[0].tid) % (1 << SLOT_BITS) == 0;
    }
    truth_tell("{\"reads\":%ld,\"waits\":%lu,\"alike\":%d}", 2 * pairs * rounds,
               waits + count_waits() - waits_before, alike);
    return 0;
}
