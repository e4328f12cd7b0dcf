/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spin_for(ns) spins until its own clock says that ns have gone by; the durations come one a line
 * from input=FILE. Tells nearest-rank quantiles of what was really spun, seen from inside. */
#include "truth.h"

#define VALUES_MAX 1000000

static uint64_t asked_ns[VALUES_MAX], spun_ns[VALUES_MAX];

PROBED uint64_t spin_for(uint64_t ns)
{
    uint64_t begin_ns = clock_ns(), now_ns;
    do
        now_ns = clock_ns();
    while (now_ns - begin_ns < ns);
    return now_ns - begin_ns;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t nearest_rank(long count, long per_mille)
{
    long rank = (count * per_mille + 999) / 1000;
    return spun_ns[rank < 1 ? 0 : rank - 1];
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    const char *path = option_text("input", NULL);
    FILE *input = path ? fopen(path, "re") : stdin;
    if (!input)
        die(path);
    long count = 0;
    while (count < VALUES_MAX && fscanf(input, "%lu", &asked_ns[count]) == 1)
        count++;
    if (count == 0)
        return 2;
    truth_pause("ready");
    for (long i = 0; i < count; i++)
        spun_ns[i] = spin_for(asked_ns[i]);
    qsort(spun_ns, (size_t)count, sizeof(spun_ns[0]), compare);
    truth_tell("{\"calls\":%ld,\"min_ns\":%lu,\"p50_ns\":%lu,\"p90_ns\":%lu,\"p95_ns\":%lu,"
               "\"p99_ns\":%lu,\"p999_ns\":%lu,\"max_ns\":%lu}",
               count, spun_ns[0], nearest_rank(count, 500), nearest_rank(count, 900),
               nearest_rank(count, 950), nearest_rank(count, 990), nearest_rank(count, 999),
               spun_ns[count - 1]);
    truth_pause("done");
    return 0;
}
