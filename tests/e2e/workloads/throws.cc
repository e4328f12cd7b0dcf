/* SPDX-License-Identifier: GPL-2.0-or-later */
/* risky() throws every k-th time (every=) through passes_on(); both are probed. */
#include <cinttypes>
#include <stdexcept>

#include "truth.h"

extern "C" {
PROBED long risky(long value, long every)
{
    if (value % every == 0)
        throw std::runtime_error("as planned");
    return value;
}

PROBED long passes_on(long value, long every)
{
    long result = risky(value, every);
    touch(result);
    return result + 1;
}
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 10000);
    long every = option_number("every", 3);
    long thrown = 0, returned = 0;
    truth_pause("ready");
    for (long i = 0; i < calls; i++) {
        try {
            passes_on(i, every);
            returned++;
        } catch (const std::runtime_error &) {
            thrown++;
        }
    }
    truth_tell("{\"calls\":%ld,\"thrown\":%ld,\"returned\":%ld}", calls, thrown, returned);
    truth_pause("done");
    return 0;
}
