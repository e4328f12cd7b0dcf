/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaves depth= frames of skipped() by longjmp, then calls work() after= times; rounds= times. */
#include <setjmp.h>

#include "truth.h"

static jmp_buf landing;
static volatile int leave = 1;

PROBED long work(long value)
{
    touch(value);
    return value;
}

PROBED long skipped(long left)
{
    if (left <= 1 && leave)
        longjmp(landing, 1);
    long below = left > 1 ? skipped(left - 1) : 0;
    touch(below);
    return below + 1;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long depth = option_number("depth", 5);
    long after = option_number("after", 10);
    long rounds = option_number("rounds", 1000);
    truth_pause("ready");
    for (volatile long i = 0; i < rounds; i++) {
        if (setjmp(landing) == 0)
            skipped(depth);
        for (long j = 0; j < after; j++)
            work(j);
    }
    truth_tell("{\"skipped\":%ld,\"calls\":%ld}", depth * rounds, after * rounds);
    truth_pause("done");
    return 0;
}
