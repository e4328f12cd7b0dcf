/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interned names: a bounded set of strings that keep their small ids for ever. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

#define NAME_POOL_OTHER      0   /* the id of "(other)" */
#define NAME_POOL_NAME_BYTES 256 /* longest name with its NUL; what is longer is cut */

/*
 * Ids are never given back: series of processes long gone are keyed by them (series_key NAME and
 * UNIT). What comes when max_names are taken becomes "(other)" and is counted.
 */
struct name_pool;

/* max_names counts "(other)" too, 1 .. 2^24; memory grows with use. */
int name_pool_new(uint32_t max_names, uint64_t hash_seed, struct name_pool **ret_pool) _must_check_;
void name_pool_free(struct name_pool *pool);
DEFINE_CLEANUP(struct name_pool *, name_pool_free);

/* Sanitizes the name and returns its id; NAME_POOL_OTHER when there is no room or no memory. */
uint32_t name_pool_intern(struct name_pool *pool, const char *name);
/* Never NULL, valid as long as the pool; an unknown id is "(other)". */
const char *name_pool_name(const struct name_pool *pool, uint32_t id);

uint32_t name_pool_count(const struct name_pool *pool); /* with "(other)" */
uint64_t name_pool_bytes(const struct name_pool *pool);
uint64_t name_pool_refused(const struct name_pool *pool); /* names that became "(other)" */
uint64_t name_pool_hits(const struct name_pool *pool);    /* names that were there already */
