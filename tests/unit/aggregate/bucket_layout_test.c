/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/types.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loris/sketch.h"

#define LAST_EXPONENT 4096 /* 2^(4096/64) = 2^64 */
#define POWER_LIMBS   128

/* value^64 to the last bit: up to 4096 bits, least significant limb first. */
struct power64 {
    uint32_t limbs[POWER_LIMBS];
    unsigned used;
};

static void square(struct power64 *number)
{
    uint32_t product[2 * POWER_LIMBS] = {0};
    for (unsigned i = 0; i < number->used; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; j < number->used; j++) {
            carry += (uint64_t)number->limbs[i] * number->limbs[j] + product[i + j];
            product[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i + number->used] = (uint32_t)carry;
    }
    number->used *= 2;
    assert_true(number->used <= POWER_LIMBS);
    memcpy(number->limbs, product, number->used * sizeof(product[0]));
    while (number->used > 1 && number->limbs[number->used - 1] == 0)
        number->used--;
}

/* ceil(64 * log2(value)), value > 0, by whole numbers alone: it is the least n with
 * value^64 <= 2^n, the bit length of value^64 - 1. */
static unsigned exact_ceil_log2_64(uint64_t value)
{
    struct power64 power = {.limbs = {(uint32_t)value, (uint32_t)(value >> 32)},
                            .used = value >> 32 ? 2 : 1};
    for (int i = 0; i < 6; i++)
        square(&power);
    unsigned top = power.used - 1, lower_bits = 0;
    for (unsigned i = 0; i < top; i++)
        lower_bits |= power.limbs[i];
    unsigned bits = 32 * top + 32 - (unsigned)__builtin_clz(power.limbs[top]);
    bool power_of_two = !lower_bits && !(power.limbs[top] & (power.limbs[top] - 1));
    return power_of_two ? bits - 1 : bits;
}

/* The same from the C library, where 64 bits of mantissa can tell; else -1. */
static int long_double_ceil_log2_64(uint64_t value)
{
    long double exponent = 64 * log2l((long double)value);
    if (fabsl(exponent - roundl(exponent)) < 0x1p-48L)
        return -1;
    return (int)ceill(exponent);
}

static uint32_t exact_bucket(uint64_t value)
{
    return value == 0 ? 0 : LORIS_PAGE_BUCKETS + exact_ceil_log2_64(value) - 1;
}

/* floor(2^(i/64)); 2^64 - 1 for the last. */
static uint64_t exact_floor_exp2(unsigned i)
{
    if (i == LAST_EXPONENT)
        return UINT64_MAX;
    uint64_t value = (uint64_t)floorl(exp2l((long double)i / 64));
    while (exact_ceil_log2_64(value) > i)
        value--;
    while (value != UINT64_MAX && exact_ceil_log2_64(value + 1) <= i)
        value++;
    return value;
}

static unsigned told_by_long_double;

static void assert_bucket(uint64_t value)
{
    uint32_t expected = exact_bucket(value);
    int other = value ? long_double_ceil_log2_64(value) : -1;
    if (other >= 0) {
        told_by_long_double++;
        if ((uint32_t)other + LORIS_PAGE_BUCKETS - 1 != expected)
            fail_msg("oracles disagree on %llu", (unsigned long long)value);
    }
    if (loris_sketch_bucket(value) != expected)
        fail_msg("%llu: bucket %u instead of %u", (unsigned long long)value,
                 loris_sketch_bucket(value), expected);
}

static void every_boundary_and_its_neighbours_lie_where_exact_arithmetic_says(void **state)
{
    (void)state;
    unsigned boundaries = 0;
    uint64_t last = 0;
    told_by_long_double = 0;
    for (unsigned i = 0; i <= LAST_EXPONENT; i++) {
        uint64_t boundary = exact_floor_exp2(i);
        if (boundary == last)
            continue;
        last = boundary;
        boundaries++;
        assert_bucket(boundary - 1);
        assert_bucket(boundary);
        if (boundary != UINT64_MAX)
            assert_bucket(boundary + 1);
    }
    /* Below 2^6.5 every whole number is one, above that nearly every exponent. */
    assert_in_range(boundaries, 3700, LAST_EXPONENT);
    assert_in_range(told_by_long_double, 2 * boundaries, 3 * boundaries);
}

static void small_numbers_and_ends_have_their_known_buckets(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        uint32_t bucket;
    } known[] = {
        {0, 0},
        {1, 63},
        {2, 127},
        {3, 64 + 101},
        {4, 191},
        {1ULL << 32, 63 + 64 * 32},
        {(1ULL << 32) + 1, 64 + 64 * 32},
        {1ULL << 63, 63 + 64 * 63},
        {(1ULL << 63) + 1, 64 + 64 * 63},
        {UINT64_MAX, LORIS_SKETCH_BUCKETS - 1},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(loris_sketch_bucket(known[i].value), known[i].bucket);
}

static void any_value_lies_where_exact_arithmetic_says(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (unsigned i = 0; i < 20000; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        assert_bucket(random >> (random >> 20 & 63));
    }
    for (uint64_t value = 0; value < 5000; value++)
        assert_bucket(value);
}

static void buckets_never_descend(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint64_t value = 0; value < 3000000; value++) {
        uint32_t bucket = loris_sketch_bucket(value);
        assert_true(bucket >= last && bucket < LORIS_SKETCH_BUCKETS);
        last = bucket;
    }
}

static void tables_are_what_their_comments_say(void **state)
{
    (void)state;
    for (unsigned k = 0; k < LORIS_PAGE_BUCKETS; k++)
        assert_true(loris_sketch_threshold[k] == exact_floor_exp2(63 * 64 + k));
    assert_true(loris_sketch_threshold[LORIS_PAGE_BUCKETS] == UINT64_MAX);

    for (unsigned cell = 0; cell < 128; cell++) {
        uint64_t first = (128ULL + cell) << 56, last = first + ((1ULL << 56) - 1);
        unsigned below = 0, inside = 0;
        for (unsigned k = 0; k < LORIS_PAGE_BUCKETS; k++) {
            below += loris_sketch_threshold[k] < first;
            inside += loris_sketch_threshold[k] >= first && loris_sketch_threshold[k] < last;
        }
        assert_int_equal(loris_sketch_rank[cell], below);
        assert_true(inside <= 1);
    }
}

static void floor_log2_is_the_highest_bit(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t power = 1ULL << bit;
        assert_int_equal(loris_floor_log2(power), bit);
        assert_int_equal(loris_floor_log2(power | (power - 1)), bit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_boundary_and_its_neighbours_lie_where_exact_arithmetic_says),
        cmocka_unit_test(small_numbers_and_ends_have_their_known_buckets),
        cmocka_unit_test(any_value_lies_where_exact_arithmetic_says),
        cmocka_unit_test(buckets_never_descend),
        cmocka_unit_test(tables_are_what_their_comments_say),
        cmocka_unit_test(floor_log2_is_the_highest_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
