/* SPDX-License-Identifier: GPL-2.0-or-later */
/* descend() nests depth= deep, rounds= times; every level is one call. */
#include "truth.h"

PROBED long descend(long left)
{
    long below = left > 1 ? descend(left - 1) : 0;
    touch(below);
    return below + 1;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long depth = option_number("depth", 10);
    long rounds = option_number("rounds", 1000);
    long calls = 0;
    truth_pause("ready");
    for (long i = 0; i < rounds; i++)
        calls += descend(depth);
    truth_tell("{\"calls\":%ld,\"depth\":%ld,\"rounds\":%ld}", calls, depth, rounds);
    truth_pause("done");
    return 0;
}
