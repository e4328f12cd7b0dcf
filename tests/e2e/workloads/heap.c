/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocations whose every number is known. mode= what it does between `ready` and `done`. */
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

#include "truth.h"

#define HUGE_SIZE ((size_t)1 << 62)

/* The compiler knows nothing of what these give: no call may be left out. */
static void *volatile sink;
static volatile size_t hidden;

static void *keep(void *block)
{
    sink = block;
    return sink;
}

static size_t size_of(size_t size)
{
    hidden = size;
    return hidden;
}

/* n blocks of 1 .. n bytes, every second one is freed: n calls, n(n+1)/2 bytes. */
static void leak_half(long n)
{
    for (long i = 1; i <= n; i++) {
        void *block = keep(malloc(size_of((size_t)i)));
        if (i % 2)
            free(block);
    }
}

static void *take(void *block)
{
    if (!keep(block))
        die("an allocation that should succeed");
    return block;
}

/* One call of everything, each kind of failure, and what free takes. */
static void do_all(void)
{
    void *aligned = NULL;
    free(take(malloc(size_of(100))));
    free(take(calloc(size_of(10), 20)));
    keep(calloc(size_of(HUGE_SIZE), 16));
    keep(malloc(size_of(HUGE_SIZE)));
    char *grown = take(malloc(size_of(50)));
    for (size_t size = 100; size <= 102400; size *= 2)
        grown = take(realloc(grown, size_of(size)));
    keep(grown);
    if (realloc(grown, size_of(HUGE_SIZE)))
        die("realloc to more than there is");
    free(sink); /* it is still there */
    free(take(realloc(keep(NULL), size_of(300))));
    keep(realloc(take(malloc(size_of(400))), size_of(0)));
    free(take(reallocarray(take(malloc(size_of(8))), size_of(10), 50)));
    keep(reallocarray(keep(NULL), size_of(HUGE_SIZE), 16));
    if (posix_memalign(&aligned, 64, size_of(640)))
        die("posix_memalign");
    free(aligned);
    if (!posix_memalign(&aligned, 3, size_of(640)))
        die("posix_memalign of a wrong alignment");
    free(take(aligned_alloc(128, size_of(1280))));
    free(take(memalign(256, size_of(2560))));
    free(take(valloc(size_of(5000))));
    free(take(pvalloc(size_of(6000))));
    keep(NULL);
    free(sink);
}

static void *allocate(void *count)
{
    long n = (long)count;
    void **blocks = take(calloc((size_t)n, sizeof(*blocks)));
    for (long i = 0; i < n; i++)
        blocks[i] = take(malloc(size_of(64)));
    return blocks;
}

static void free_of_thread(long n)
{
    pthread_t thread;
    void *blocks = NULL;
    if (pthread_create(&thread, NULL, allocate, (void *)n) || pthread_join(thread, &blocks))
        die("a thread");
    for (long i = 0; i < n; i++)
        free(((void **)blocks)[i]);
    free(blocks);
}

static void free_in_child(void **blocks, long n)
{
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        for (long i = 0; i < n; i++)
            free(blocks[i]);
        _exit(0);
    }
    if (waitpid(child, NULL, 0) != child)
        die("waitpid");
}

/* Children that hold nothing and stay to the end: three calls that allocate, two that free. */
static void crowd(long n)
{
    int done[2], end[2];
    char byte;
    if (pipe(done) || pipe(end))
        die("a pipe");
    for (long i = 0; i < n; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child)
            continue;
        close(end[1]);
        free(take(realloc(take(malloc(size_of(100))), size_of(5000))));
        free(take(calloc(size_of(10), 20)));
        if (write(done[1], "", 1) == 1)
            (void)!read(end[0], &byte, 1);
        _exit(0);
    }
    for (long i = 0; i < n; i++)
        if (read(done[0], &byte, 1) != 1)
            die("a child");
}

static void *hammer(void *count)
{
    for (long i = 0; i < (long)count; i++) {
        size_t size = 32 + (size_t)i % 32;
        touch(size);
        void *block = malloc(size);
        touch(block);
        free(block);
    }
    return NULL;
}

static void hammer_in_threads(long threads, long n)
{
    pthread_t handles[16];
    for (long i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, hammer, (void *)n))
            die("a thread");
    for (long i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    const char *mode = option_text("mode", "half");
    long n = option_number("n", 1000);
    long older_count = option_number("older", n);
    void **older = calloc((size_t)older_count, sizeof(*older));
    for (long i = 0; older && i < older_count; i++)
        older[i] = malloc(size_of(24));
    truth_pause("ready");
    if (strcmp(mode, "half") == 0)
        leak_half(n);
    else if (strcmp(mode, "all") == 0)
        do_all();
    else if (strcmp(mode, "thread") == 0)
        free_of_thread(n);
    else if (strcmp(mode, "fork") == 0)
        free_in_child(older, older_count);
    else if (strcmp(mode, "crowd") == 0)
        crowd(n);
    else if (strcmp(mode, "hammer") == 0)
        hammer_in_threads(option_number("threads", 2), n);
    else if (strcmp(mode, "exec") == 0)
        execl("/proc/self/exe", argv[0], "mode=none", "pause=1", (char *)NULL);
    for (long i = 0; i < older_count && strcmp(mode, "older") == 0; i++)
        free(older[i]);
    truth_pause("done");
    struct mallinfo2 info = mallinfo2();
    truth_tell("{\"n\": %ld, \"in_use\": %zu}", n, info.uordblks + info.hblkhd);
    return 0;
}
