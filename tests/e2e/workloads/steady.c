/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls at a low and steady rate until stdin ends: slow() takes us=2000 of sleep, quick() nothing
 * and is called 20 times as often, fails() fails every fourth time.
 */
#include "truth.h"

#include <poll.h>

PROBED long slow(long us)
{
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&pause, NULL);
    return us;
}

PROBED long quick(long value)
{
    touch(value);
    return value;
}

PROBED long fails(long value)
{
    long result = value % 4 == 0 ? -1 : value;
    touch(result);
    return result;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long us = option_number("us", 2000), rounds = 0;
    truth_pause("ready");
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 5) == 0) {
        slow(us);
        for (int i = 0; i < 20; i++)
            quick(i);
        fails(rounds++);
    }
    truth_tell("{\"rounds\":%ld}", rounds);
    return 0;
}
