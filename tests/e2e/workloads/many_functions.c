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

/* f(n0) .. f(n9); in halves, so that each fits a line. */
#define TEN(f, n) f(n##0) f(n##1) f(n##2) f(n##3) f(n##4) f(n##5) f(n##6) f(n##7) f(n##8) f(n##9)

#define LOW_TENS(f, n)  TEN(f, n##0) TEN(f, n##1) TEN(f, n##2) TEN(f, n##3) TEN(f, n##4)
#define HIGH_TENS(f, n) TEN(f, n##5) TEN(f, n##6) TEN(f, n##7) TEN(f, n##8) TEN(f, n##9)
#define HUNDRED(f, n)   LOW_TENS(f, n) HIGH_TENS(f, n)
#define LOW_HUNDREDS(f, n)                                                                         \
    HUNDRED(f, n##0) HUNDRED(f, n##1) HUNDRED(f, n##2) HUNDRED(f, n##3) HUNDRED(f, n##4)
#define HIGH_HUNDREDS(f, n)                                                                        \
    HUNDRED(f, n##5) HUNDRED(f, n##6) HUNDRED(f, n##7) HUNDRED(f, n##8) HUNDRED(f, n##9)
#define THOUSAND(f, n) LOW_HUNDREDS(f, n) HIGH_HUNDREDS(f, n)

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
