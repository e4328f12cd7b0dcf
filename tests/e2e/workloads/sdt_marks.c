/* SPDX-License-Identifier: GPL-2.0-or-later */
/* calls= operations between the static marks loris_test:op_begin and loris_test:op_end; nested=1
 * puts a second operation inside every one. The mark op_never is there, and never reached. */
#include <sys/sdt.h>

#include "truth.h"

PROBED void operation(long number, long nested)
{
    DTRACE_PROBE1(loris_test, op_begin, number);
    if (nested)
        operation(number, nested - 1);
    DTRACE_PROBE1(loris_test, op_end, number);
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 10000);
    long nested = option_number("nested", 0);
    if (calls < 0)
        DTRACE_PROBE(loris_test, op_never);
    truth_pause("ready");
    for (long i = 0; i < calls; i++)
        operation(i, nested);
    truth_tell("{\"calls\":%ld}", calls * (nested + 1));
    truth_pause("done");
    return 0;
}
