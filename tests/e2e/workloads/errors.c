/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that fail every k-th time (every=), each in its own way. */
#include "truth.h"

PROBED long fails_negative(long value, long every)
{
    long result = value % every == 0 ? -1 : value;
    touch(result);
    return result;
}

/* The upper half of the register is zero here: only (int)ret is negative. */
PROBED int fails_negative_int(long value, long every)
{
    int result = value % every == 0 ? -1 : 1;
    touch(result);
    return result;
}

PROBED void *fails_null(long value, long every)
{
    void *result = value % every == 0 ? NULL : (void *)1;
    touch(result);
    return result;
}

PROBED int fails_nonzero(long value, long every)
{
    int result = value % every == 0;
    touch(result);
    return result;
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 10000);
    long every = option_number("every", 7);
    long errors = 0;
    truth_pause("ready");
    for (long i = 0; i < calls; i++) {
        errors += fails_negative(i, every) < 0;
        fails_negative_int(i, every);
        fails_null(i, every);
        fails_nonzero(i, every);
    }
    truth_tell("{\"calls\":%ld,\"errors\":%ld}", calls, errors);
    truth_pause("done");
    return 0;
}
