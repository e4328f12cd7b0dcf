/* SPDX-License-Identifier: GPL-2.0-or-later */
/* processes= processes that each call work() once (calls=), at_a_time= alive together. With
 * names=N they rename themselves to churn_0 .. churn_N-1; with keep=K the last K stay alive
 * until stdin says so. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "truth.h"

PROBED long work(long value)
{
    touch(value);
    return value;
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
    truth_begin(argc, argv);
    long processes = option_number("processes", 50000);
    long at_a_time = option_number("at_a_time", 4);
    long calls = option_number("calls", 1);
    long names = option_number("names", 0);
    long keep = option_number("keep", 0);
    long alive = 0, healthy = 0;
    int hold[2];
    if (pipe(hold))
        die("pipe");
    truth_pause("ready");
    for (long i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            if (names) {
                char name[32]; /* cut at 15 by the kernel */
                snprintf(name, sizeof(name), "churn_%ld", i % names);
                prctl(PR_SET_NAME, name);
            }
            for (long j = 0; j < calls; j++)
                work(j);
            close(hold[1]);
            char byte;
            if (i >= processes - keep && read(hold[0], &byte, 1) < 0)
                _exit(1);
            _exit(0);
        }
        alive++;
        if (alive >= at_a_time && i < processes - keep)
            reap(&alive, &healthy);
    }
    while (alive > keep)
        reap(&alive, &healthy);
    if (keep)
        truth_pause("keeping");
    close(hold[1]);
    while (alive)
        reap(&alive, &healthy);
    truth_tell("{\"processes\":%ld,\"healthy\":%ld,\"calls\":%ld}", processes, healthy,
               processes * calls);
    truth_pause("done");
    return 0;
}
