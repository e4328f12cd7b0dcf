/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash.h"

#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <xxhash.h>

static uint64_t draw_seed(void)
{
    uint64_t seed = 0;
    /* INSECURE (Linux 5.6) never blocks: a hash seed need not wait for entropy early in boot. */
    if (getrandom(&seed, sizeof(seed), GRND_INSECURE) == (ssize_t)sizeof(seed) && seed)
        return seed;
    /* A sandbox without getrandom(2): the kernel hands every process 16 random bytes at exec. */
    const void *at_random = (const void *)getauxval(AT_RANDOM);
    if (at_random)
        memcpy(&seed, at_random, sizeof(seed));
    return seed ? seed : 1;
}

uint64_t hash_seed(void)
{
    static uint64_t drawn; /* set once; 0 means not yet */
    uint64_t seed = __atomic_load_n(&drawn, __ATOMIC_RELAXED);
    if (seed)
        return seed;
    uint64_t fresh = draw_seed();
    /* on failure another thread was first and `seed` is its draw */
    if (__atomic_compare_exchange_n(&drawn, &seed, fresh, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        return fresh;
    return seed;
}

uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, length, seed);
}
