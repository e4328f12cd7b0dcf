/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spawns processes= processes of about 1 ms each, at_a_time= at once, under names= different
 * names (symbolic links life_NNN in folder=). Each calls work() calls= times. */
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "truth.h"

#define NAMES_MAX 1000

PROBED long work(long value)
{
    touch(value);
    return value;
}

static void live(void)
{
    long calls = option_number("calls", 3);
    uint64_t end_ns = clock_ns() + (uint64_t)option_number("live_ns", 500000);
    for (long i = 0; i < calls; i++)
        work(i);
    while (clock_ns() < end_ns) {
        struct timespec nap = {0, 100000};
        nanosleep(&nap, NULL);
    }
    _exit(0);
}

static void link_names(const char *folder, long names)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        die("readlink");
    self[length] = '\0';
    for (long i = 0; i < names; i++) {
        char path[4200];
        snprintf(path, sizeof(path), "%s/life_%03ld", folder, i);
        if (symlink(self, path) && errno != EEXIST)
            die(path);
    }
}

static void reap(long *alive, long *healthy)
{
    int status = 0;
    if (waitpid(-1, &status, 0) < 0)
        die("waitpid");
    (*alive)--;
    *healthy += WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    extern char **environ;

    truth_begin(argc, argv);
    if (option_number("child", 0))
        live();
    long processes = option_number("processes", 10000);
    long at_a_time = option_number("at_a_time", 8);
    long names = option_number("names", 50);
    const char *folder = option_text("folder", "/tmp");
    if (names < 1 || names > NAMES_MAX)
        return 2;
    link_names(folder, names);
    char calls_text[32], live_text[40];
    snprintf(calls_text, sizeof(calls_text), "calls=%ld", option_number("calls", 3));
    snprintf(live_text, sizeof(live_text), "live_ns=%ld", option_number("live_ns", 500000));

    truth_pause("ready");
    long alive = 0, healthy = 0;
    for (long i = 0; i < processes; i++) {
        char path[4200];
        snprintf(path, sizeof(path), "%s/life_%03ld", folder, i % names);
        char *child_argv[] = {path, (char[]){"child=1"}, calls_text, live_text, NULL};
        pid_t child;
        int error = posix_spawn(&child, path, NULL, NULL, child_argv, environ);
        if (error) {
            errno = error;
            die("posix_spawn");
        }
        if (++alive >= at_a_time)
            reap(&alive, &healthy);
    }
    while (alive)
        reap(&alive, &healthy);
    truth_tell("{\"processes\":%ld,\"healthy\":%ld,\"names\":%ld,\"calls\":%ld}", processes,
               healthy, names, processes * option_number("calls", 3));
    truth_pause("done");
    return 0;
}
