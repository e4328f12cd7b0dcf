/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 2,000 functions fn_0000 .. fn_1999; fn_N is called N % 7 + 1 times in each of rounds=. */
#include "truth.h"

#define FUNCTION(number)                                                                           \
    PROBED long fn_##number(long value)                                                            \
    {                                                                                              \
        __asm__ volatile("" : "+r"(value));                                                        \
        return value;                                                                              \
    }
#define ENTRY(number) fn_##number,

#define TEN(each, prefix)                                                                          \
    each(prefix##0) each(prefix##1) each(prefix##2) each(prefix##3) each(prefix##4)                \
        each(prefix##5) each(prefix##6) each(prefix##7) each(prefix##8) each(prefix##9)
#define HUNDRED(each, prefix)                                                                      \
    TEN(each, prefix##0)                                                                           \
    TEN(each, prefix##1)                                                                           \
    TEN(each, prefix##2)                                                                           \
    TEN(each, prefix##3)                                                                           \
    TEN(each, prefix##4)                                                                           \
    TEN(each, prefix##5) TEN(each, prefix##6) TEN(each, prefix##7) TEN(each, prefix##8)            \
        TEN(each, prefix##9)
#define THOUSAND(each, prefix)                                                                     \
    HUNDRED(each, prefix##0)                                                                       \
    HUNDRED(each, prefix##1)                                                                       \
    HUNDRED(each, prefix##2)                                                                       \
    HUNDRED(each, prefix##3)                                                                       \
    HUNDRED(each, prefix##4)                                                                       \
    HUNDRED(each, prefix##5) HUNDRED(each, prefix##6) HUNDRED(each, prefix##7)                     \
        HUNDRED(each, prefix##8) HUNDRED(each, prefix##9)

THOUSAND(FUNCTION, 0)
THOUSAND(FUNCTION, 1)

static long (*const functions[])(long) = {THOUSAND(ENTRY, 0) THOUSAND(ENTRY, 1)};

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long rounds = option_number("rounds", 5);
    long calls = 0, count = (long)(sizeof(functions) / sizeof(functions[0]));
    truth_pause("ready");
    for (long round = 0; round < rounds; round++)
        for (long i = 0; i < count; i++)
            for (long j = 0; j < i % 7 + 1; j++, calls++)
                functions[i](j);
    truth_tell("{\"calls\":%ld,\"functions\":%ld,\"rounds\":%ld}", calls, count, rounds);
    truth_pause("done");
    return 0;
}
