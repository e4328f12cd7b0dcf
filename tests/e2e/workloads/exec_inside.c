/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replaces_itself() executes this program again, left= times; each generation calls work()
 * calls= times first. The last generation tells the truth. */
#include "truth.h"

PROBED long work(long value)
{
    touch(value);
    return value;
}

PROBED int replaces_itself(char **argv)
{
    execv("/proc/self/exe", argv);
    return -1;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long left = option_number("left", 20);
    long calls = option_number("calls", 10);
    long generation = option_number("generation", 0);
    if (generation == 0)
        truth_pause("ready");
    for (long i = 0; i < calls; i++)
        work(i);
    if (generation < left) {
        char left_text[32], calls_text[32], generation_text[32], truth_text[4200], pause_text[16];
        snprintf(left_text, sizeof(left_text), "left=%ld", left);
        snprintf(calls_text, sizeof(calls_text), "calls=%ld", calls);
        snprintf(generation_text, sizeof(generation_text), "generation=%ld", generation + 1);
        snprintf(pause_text, sizeof(pause_text), "pause=%ld", option_number("pause", 0));
        snprintf(truth_text, sizeof(truth_text), "truth=%s", option_text("truth", "/dev/stderr"));
        char *next[] = {argv[0],    left_text,  calls_text, generation_text,
                        pause_text, truth_text, NULL};
        replaces_itself(next);
        die("execv");
    }
    truth_tell("{\"execs\":%ld,\"calls\":%ld}", left, calls * (left + 1));
    truth_pause("done");
    return 0;
}
