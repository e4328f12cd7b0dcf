/* SPDX-License-Identifier: GPL-2.0-or-later */
/* forks() forks inside a probed call and returns in parent and child; the child then calls
 * work() child_calls= times. rounds= times. */
#include <sys/wait.h>

#include "truth.h"

PROBED long work(long value)
{
    touch(value);
    return value;
}

PROBED pid_t forks(void)
{
    pid_t child = fork();
    touch(child);
    return child;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long rounds = option_number("rounds", 200);
    long child_calls = option_number("child_calls", 5);
    long healthy = 0;
    truth_pause("ready");
    for (long i = 0; i < rounds; i++) {
        pid_t child = forks();
        if (child < 0)
            die("fork");
        if (child == 0) {
            for (long j = 0; j < child_calls; j++)
                work(j);
            _exit(7);
        }
        int status = 0;
        if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7)
            healthy++;
        work(i);
    }
    truth_tell("{\"forks\":%ld,\"children_healthy\":%ld,\"calls\":%ld}", rounds, healthy,
               rounds * (child_calls + 1));
    truth_pause("done");
    return 0;
}
