/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Latency distributions with a sorted oracle of their quantiles, the same in every run. */
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define DISTRIBUTION_VALUES 100000u

struct random_source {
    uint64_t state;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t random_u64(struct random_source *source)
{
    uint64_t z = source->state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* In (0, 1). */
static inline double random_unit(struct random_source *source)
{
    return ((double)(random_u64(source) >> 12) + 0.5) * 0x1p-52;
}

static inline double random_normal(struct random_source *source)
{
    return sqrt(-2 * log(random_unit(source))) * cos(2 * 3.14159265358979 * random_unit(source));
}

static inline uint64_t as_ns(double value)
{
    return value < 0 ? 0 : value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

enum distribution_shape {
    SHAPE_CONSTANT, /* a */
    SHAPE_UNIFORM,  /* a .. b */
    SHAPE_LOG_UNIFORM,
    SHAPE_NORMAL,     /* mean a, deviation b */
    SHAPE_LOG_NORMAL, /* median a, sigma b */
    SHAPE_PARETO,     /* least a, alpha b */
    SHAPE_WEIBULL,    /* scale a, shape b; shape 1 is exponential */
    SHAPE_CAUCHY,
    SHAPE_MODES,    /* b modes, a apart (factor), 10 % wide */
    SHAPE_SPIKES,   /* b exact values from 1 ns up, a apart (factor) */
    SHAPE_SAWTOOTH, /* period a, step b */
    SHAPE_POWERS,   /* powers of two and their neighbours */
    SHAPE_OUTLIER,  /* a, and b once */
    SHAPE_ASCENDING,
    SHAPE_DESCENDING,
    SHAPE_GEOMETRIC, /* a * b^i */
    SHAPE_TRIALS,    /* geometric distribution with success ratio a */
    SHAPE_EXTREMES,  /* around both ends of 64 bits */
    SHAPE_ANY,       /* every bit random */
};

struct distribution {
    const char *name;
    enum distribution_shape shape;
    double a, b;
};

static const struct distribution distributions[] = {
    {"constant 0", SHAPE_CONSTANT, 0, 0},
    {"constant 1", SHAPE_CONSTANT, 1, 0},
    {"constant 123456789", SHAPE_CONSTANT, 123456789, 0},
    {"zeros and ones", SHAPE_UNIFORM, 0, 1.999},
    {"small numbers", SHAPE_UNIFORM, 0, 120},
    {"uniform narrow", SHAPE_UNIFORM, 1000000, 1001000},
    {"uniform within one bucket", SHAPE_UNIFORM, 1048577, 1059900},
    {"uniform wide", SHAPE_UNIFORM, 0, 1e10},
    {"uniform below a microsecond", SHAPE_UNIFORM, 90, 1000},
    {"log-uniform", SHAPE_LOG_UNIFORM, 1, 1e18},
    {"normal", SHAPE_NORMAL, 1e6, 1e5},
    {"normal cut at zero", SHAPE_NORMAL, 1e4, 1e4},
    {"log-normal 0.25", SHAPE_LOG_NORMAL, 2e4, 0.25},
    {"log-normal 1", SHAPE_LOG_NORMAL, 2e4, 1},
    {"log-normal 2", SHAPE_LOG_NORMAL, 2e5, 2},
    {"log-normal 4", SHAPE_LOG_NORMAL, 2e6, 4},
    {"pareto 0.3", SHAPE_PARETO, 1e3, 0.3},
    {"pareto 1.1", SHAPE_PARETO, 1e4, 1.1},
    {"pareto 3", SHAPE_PARETO, 1e5, 3},
    {"exponential", SHAPE_WEIBULL, 1e6, 1},
    {"weibull 0.5", SHAPE_WEIBULL, 1e6, 0.5},
    {"weibull 3", SHAPE_WEIBULL, 1e6, 3},
    {"cauchy", SHAPE_CAUCHY, 1e6, 1e4},
    {"bimodal", SHAPE_MODES, 1000, 2},
    {"trimodal", SHAPE_MODES, 50, 3},
    {"spikes nine decades apart", SHAPE_SPIKES, 1e9, 3},
    {"spikes one decade apart", SHAPE_SPIKES, 10, 19},
    {"sawtooth", SHAPE_SAWTOOTH, 1000, 7919},
    {"powers of two and neighbours", SHAPE_POWERS, 0, 0},
    {"one outlier", SHAPE_OUTLIER, 5e3, 9e18},
    {"ascending", SHAPE_ASCENDING, 0, 0},
    {"descending", SHAPE_DESCENDING, 0, 0},
    {"geometric sequence", SHAPE_GEOMETRIC, 1, 1.0004},
    {"geometric trials", SHAPE_TRIALS, 1e-5, 0},
    {"extremes of 64 bits", SHAPE_EXTREMES, 0, 0},
    {"any 64 bits", SHAPE_ANY, 0, 0},
};

#define DISTRIBUTION_COUNT (sizeof(distributions) / sizeof(distributions[0]))

static inline uint64_t power_or_neighbour(uint64_t random)
{
    return (1ULL << (random >> 8 & 63)) + random % 3 - 1;
}

static inline uint64_t distribution_value(const struct distribution *d, uint32_t i,
                                          struct random_source *source)
{
    static const uint64_t extremes[] = {0, 1, 2, UINT64_MAX, UINT64_MAX - 1, 1ULL << 63};
    uint64_t random = random_u64(source);
    double unit = random_unit(source);
    switch (d->shape) {
    case SHAPE_CONSTANT:
        return as_ns(d->a);
    case SHAPE_UNIFORM:
        return as_ns(d->a + (d->b - d->a) * unit);
    case SHAPE_LOG_UNIFORM:
        return as_ns(d->a * pow(d->b / d->a, unit));
    case SHAPE_NORMAL:
        return as_ns(d->a + d->b * random_normal(source));
    case SHAPE_LOG_NORMAL:
        return as_ns(d->a * exp(d->b * random_normal(source)));
    case SHAPE_PARETO:
        return as_ns(d->a * pow(unit, -1 / d->b));
    case SHAPE_WEIBULL:
        return as_ns(d->a * pow(-log(unit), 1 / d->b));
    case SHAPE_CAUCHY:
        return as_ns(d->a + d->b * tan(3.14159265358979 * (unit - 0.5)));
    case SHAPE_MODES:
        return as_ns(2e4 * pow(d->a, (double)(random % (unsigned)d->b)) * (0.95 + 0.1 * unit));
    case SHAPE_SPIKES:
        return as_ns(pow(d->a, (double)(random % (unsigned)d->b)));
    case SHAPE_SAWTOOTH:
        return 1 + i % (unsigned)d->a * (uint64_t)d->b;
    case SHAPE_POWERS:
        return power_or_neighbour(random);
    case SHAPE_OUTLIER:
        return as_ns(i == DISTRIBUTION_VALUES / 2 ? d->b : d->a);
    case SHAPE_ASCENDING:
        return 5000 + 13ULL * i;
    case SHAPE_DESCENDING:
        return 5000 + 13ULL * (DISTRIBUTION_VALUES - i);
    case SHAPE_GEOMETRIC:
        return as_ns(d->a * pow(d->b, i));
    case SHAPE_TRIALS:
        return as_ns(ceil(log(unit) / log1p(-d->a)));
    case SHAPE_EXTREMES:
        return extremes[random % (sizeof(extremes) / sizeof(extremes[0]))];
    case SHAPE_ANY:
        break;
    }
    return random;
}

static inline void distribution_fill(const struct distribution *d, uint64_t *ret_values, uint32_t n)
{
    struct random_source source = {.state = 20261120 + (uint64_t)(d - distributions)};
    for (uint32_t i = 0; i < n; i++)
        ret_values[i] = distribution_value(d, i, &source);
}

static inline int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Quantiles in thousandths, so that the oracle's rank needs no floating point. */
static const uint32_t oracle_permille[] = {500, 900, 950, 990, 999};
static const double oracle_quantiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};

#define ORACLE_QUANTILES (sizeof(oracle_quantiles) / sizeof(oracle_quantiles[0]))

/* The value of rank ceil(permille / 1000 * n) of sorted values. */
static inline uint64_t oracle_nearest_rank(const uint64_t *sorted, uint64_t n, uint32_t permille)
{
    return sorted[(permille * n + 999) / 1000 - 1];
}

static inline uint64_t distance_u64(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}
