/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyed hashing: names and pids come from strangers, who must not choose our collisions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* XXH3 with a seed drawn once per process from getrandom(2); the seed can be fixed for tests by
 * passing it. */
uint64_t hash_seed(void);
uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed);
