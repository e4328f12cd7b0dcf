/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bucket layout of every latency sketch, shared by kernel side, agent and exports. */
#pragma once

#include <linux/types.h>

/*
 * Base-2 exponential buckets, 64 per power of two: OpenTelemetry exponential histogram scale 6,
 * Prometheus native histogram schema 6. Exponential bucket i holds (2^(i/64), 2^((i+1)/64)] ns.
 *
 * A stored bucket number shifts i by 64, so that everything is unsigned and 64 neighbours form a
 * page that covers one power of two:
 *
 *     bucket 0                 the value 0
 *     bucket 1 .. 62           unused
 *     bucket 63                the value 1                       (i = -1)
 *     bucket 64 + i            (2^(i/64), 2^((i+1)/64)]          i = 0 .. 4095
 *
 * The mapping is exact for all 2^64 values: it compares the normalised mantissa with
 * floor(2^(63 + k/64)), which decides correctly because those roots are irrational for k > 0.
 * The first seven fraction bits leave at most one threshold to compare with.
 */
#define LORIS_SKETCH_SCALE   6
#define LORIS_PAGE_BUCKETS   64
#define LORIS_SKETCH_PAGES   65
#define LORIS_SKETCH_BUCKETS (LORIS_SKETCH_PAGES * LORIS_PAGE_BUCKETS)

/* floor(2^(63 + k/64)) for k = 0 .. 63; the guard is above every mantissa. */
static const __u64 loris_sketch_threshold[LORIS_PAGE_BUCKETS + 1] = {
    0x8000000000000000ULL,
    0x8164d1f3bc030773ULL,
    0x82cd8698ac2ba1d7ULL,
    0x843a28c3acde4046ULL,
    0x85aac367cc487b14ULL,
    0x871f61969e8d1010ULL,
    0x88980e8092da8527ULL,
    0x8a14d575496efd9aULL,
    0x8b95c1e3ea8bd6e6ULL,
    0x8d1adf5b7e5ba9e5ULL,
    0x8ea4398b45cd53c0ULL,
    0x9031dc431466b1dcULL,
    0x91c3d373ab11c336ULL,
    0x935a2b2f13e6e92bULL,
    0x94f4efa8fef70961ULL,
    0x96942d3720185a00ULL,
    0x9837f0518db8a96fULL,
    0x99e0459320b7fa64ULL,
    0x9b8d39b9d54e5538ULL,
    0x9d3ed9a72cffb750ULL,
    0x9ef5326091a111adULL,
    0xa0b0510fb9714fc2ULL,
    0xa27043030c496818ULL,
    0xa43515ae09e6809eULL,
    0xa5fed6a9b15138eaULL,
    0xa7cd93b4e9653569ULL,
    0xa9a15ab4ea7c0ef8ULL,
    0xab7a39b5a93ed337ULL,
    0xad583eea42a14ac6ULL,
    0xaf3b78ad690a4374ULL,
    0xb123f581d2ac258fULL,
    0xb311c412a9112489ULL,
    0xb504f333f9de6484ULL,
    0xb6fd91e328d17791ULL,
    0xb8fbaf4762fb9ee9ULL,
    0xbaff5ab2133e45fbULL,
    0xbd08a39f580c36beULL,
    0xbf1799b67a731082ULL,
    0xc12c4cca66709456ULL,
    0xc346ccda24976407ULL,
    0xc5672a115506daddULL,
    0xc78d74c8abb9b15cULL,
    0xc9b9bd866e2f27a2ULL,
    0xcbec14fef2727c5cULL,
    0xce248c151f8480e3ULL,
    0xd06333daef2b2594ULL,
    0xd2a81d91f12ae45aULL,
    0xd4f35aabcfedfa1fULL,
    0xd744fccad69d6af4ULL,
    0xd99d15c278afd7b5ULL,
    0xdbfbb797daf23755ULL,
    0xde60f4825e0e9123ULL,
    0xe0ccdeec2a94e111ULL,
    0xe33f8972be8a5a51ULL,
    0xe5b906e77c8348a8ULL,
    0xe8396a503c4bdc68ULL,
    0xeac0c6e7dd24392eULL,
    0xed4f301ed9942b84ULL,
    0xefe4b99bdcdaf5cbULL,
    0xf281773c59ffb139ULL,
    0xf5257d152486cc2cULL,
    0xf7d0df730ad13bb8ULL,
    0xfa83b2db722a033aULL,
    0xfd3e0c0cf486c174ULL,
    ~0ULL,
};

/* Thresholds below the first mantissa of each 1/128 of [1, 2). */
static const __u8 loris_sketch_rank[128] = {
    0,  1,  2,  3,  3,  4,  5,  5,  6,  7,  7,  8,  9,  9,  10, 11, 11, 12, 13, 13, 14, 15,
    15, 16, 16, 17, 18, 18, 19, 19, 20, 21, 21, 22, 22, 23, 23, 24, 25, 25, 26, 26, 27, 27,
    28, 28, 29, 29, 30, 30, 31, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 36, 37, 37, 38, 38,
    39, 39, 40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 44, 45, 45, 46, 46, 47, 47, 48, 48, 48,
    49, 49, 50, 50, 51, 51, 51, 52, 52, 53, 53, 53, 54, 54, 55, 55, 55, 56, 56, 57, 57, 57,
    58, 58, 59, 59, 59, 60, 60, 60, 61, 61, 62, 62, 62, 63, 63, 63, 64, 64,
};

/* floor(log2(value)), value > 0; a loop-free form the verifier and both compilers accept. */
static inline __attribute__((always_inline)) __u32 loris_floor_log2(__u64 value)
{
#ifdef __bpf__
    __u32 log2 = 0;
    if (value >> 32) {
        log2 += 32;
        value >>= 32;
    }
    if (value >> 16) {
        log2 += 16;
        value >>= 16;
    }
    if (value >> 8) {
        log2 += 8;
        value >>= 8;
    }
    if (value >> 4) {
        log2 += 4;
        value >>= 4;
    }
    if (value >> 2) {
        log2 += 2;
        value >>= 2;
    }
    return log2 + (__u32)(value >> 1);
#else
    return 63u - (__u32)__builtin_clzll(value);
#endif
}

/* Bucket of a latency in ns; total, exact, below LORIS_SKETCH_BUCKETS. */
static inline __attribute__((always_inline)) __u32 loris_sketch_bucket(__u64 value_ns)
{
    if (value_ns == 0)
        return 0;
    __u32 log2 = loris_floor_log2(value_ns);
    __u64 mantissa = value_ns << (63 - log2);
    __u32 rank = loris_sketch_rank[(mantissa >> 56) & 127];
    if (rank > LORIS_PAGE_BUCKETS) /* never; shows the verifier the bound of the table */
        rank = LORIS_PAGE_BUCKETS;
    if (mantissa > loris_sketch_threshold[rank])
        rank++;
    return LORIS_PAGE_BUCKETS - 1 + log2 * LORIS_PAGE_BUCKETS + rank;
}
