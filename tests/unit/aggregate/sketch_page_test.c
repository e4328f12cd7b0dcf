/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/sketch_page.h"

#define WIDTHS 4

static const uint64_t greatest[WIDTHS] = {UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX};

static struct sketch_page *page_with(unsigned slots, unsigned width_log2, uint64_t count)
{
    uint64_t counts[LORIS_PAGE_BUCKETS];
    for (unsigned i = 0; i < slots; i++)
        counts[i] = count;
    struct sketch_page *page = sketch_page_new(slots, width_log2);
    assert_non_null(page);
    sketch_page_store(page, slots, counts);
    return page;
}

static void loads_what_was_stored_at_every_width_and_size(void **state)
{
    (void)state;
    for (unsigned slots = 1; slots <= LORIS_PAGE_BUCKETS; slots *= 2) {
        for (unsigned width = 0; width < WIDTHS; width++) {
            uint64_t counts[LORIS_PAGE_BUCKETS], loaded[LORIS_PAGE_BUCKETS], sum = 0;
            _cleanup_free_ struct sketch_page *page = page_with(slots, width, greatest[width]);
            for (unsigned i = 0; i < slots; i++)
                sum += counts[i] = (greatest[width] >> 8) + 3 * i;
            sketch_page_store(page, slots, counts);
            sketch_page_load(page, slots, loaded);
            assert_memory_equal(loaded, counts, slots * sizeof(counts[0]));
            if (width < 3)
                assert_true(sketch_page_sum(page, slots) == sum);
        }
    }
}

static void sums_full_counters_without_a_carry_lost(void **state)
{
    (void)state;
    for (unsigned slots = 1; slots <= LORIS_PAGE_BUCKETS; slots *= 2) {
        for (unsigned width = 0; width < WIDTHS; width++) {
            _cleanup_free_ struct sketch_page *page = page_with(slots, width, greatest[width]);
            uint64_t expected = width == 3 ? UINT64_MAX : greatest[width] * slots;
            assert_true(sketch_page_sum(page, slots) == expected);
        }
    }
}

/* Around every carry from one byte to the next, and at the end. */
static void counts_many_at_once_at_every_width(void **state)
{
    (void)state;
    static const uint32_t times[] = {0, 1, 2, 200, 255, 256, 257, 4095, 65535, 65536, UINT32_MAX};
    for (unsigned width = 0; width < WIDTHS; width++) {
        for (unsigned bit = 0; bit <= 8u << width; bit += 8) {
            for (unsigned t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
                uint64_t begin = bit == 0 ? 0 : (UINT64_MAX >> (64 - bit)) - 200, counts[8];
                _cleanup_free_ struct sketch_page *page = page_with(8, width, begin);
                bool fits = times[t] <= greatest[width] - begin;
                assert_true(sketch_page_try_count(page, 3, times[t]) == fits);
                sketch_page_load(page, 8, counts);
                for (unsigned i = 0; i < 8; i++)
                    assert_true(counts[i] == begin + (fits && i == 3 ? times[t] : 0));
            }
        }
    }
}

static void counts_up_to_the_width_and_refuses_then(void **state)
{
    (void)state;
    for (unsigned width = 0; width < WIDTHS; width++) {
        _cleanup_free_ struct sketch_page *page = page_with(8, width, greatest[width] - 1);
        uint64_t counts[8];
        assert_true(sketch_page_try_count(page, 3, 1));
        assert_false(sketch_page_try_count(page, 3, 1));
        sketch_page_load(page, 8, counts);
        for (unsigned i = 0; i < 8; i++)
            assert_true(counts[i] == greatest[width] - (i != 3));
    }
}

static void adds_words_unless_a_counter_is_half_full(void **state)
{
    (void)state;
    for (unsigned slots = 1; slots <= LORIS_PAGE_BUCKETS; slots *= 2) {
        for (unsigned width = 0; width < WIDTHS; width++) {
            uint64_t half = greatest[width] / 2;
            _cleanup_free_ struct sketch_page *a = page_with(slots, width, half);
            _cleanup_free_ struct sketch_page *b = page_with(slots, width, half);
            _cleanup_free_ struct sketch_page *other = page_with(slots, (width + 1) % WIDTHS, 1);
            assert_true(sketch_page_can_add(a, b, slots));
            assert_false(sketch_page_can_add(a, other, slots));
            sketch_page_add(a, b, slots);
            uint64_t counts[LORIS_PAGE_BUCKETS];
            sketch_page_load(a, slots, counts);
            for (unsigned i = 0; i < slots; i++)
                assert_true(counts[i] == 2 * half);
            for (unsigned i = 0; i < slots; i++) {
                _cleanup_free_ struct sketch_page *c = page_with(slots, width, half);
                assert_true(sketch_page_try_count(c, i, 1));
                assert_false(sketch_page_can_add(b, c, slots));
                assert_false(sketch_page_can_add(c, b, slots));
            }
        }
    }
}

static void widens_and_halves_without_losing_a_count(void **state)
{
    (void)state;
    for (unsigned width = 0; width < WIDTHS; width++) {
        _cleanup_free_ struct sketch_page *page = page_with(LORIS_PAGE_BUCKETS, 0, 200);
        uint64_t total = 200 * LORIS_PAGE_BUCKETS;
        assert_int_equal(sketch_page_widen(&page, LORIS_PAGE_BUCKETS, width), 0);
        assert_int_equal(page->width_log2, width);
        for (unsigned slots = LORIS_PAGE_BUCKETS; slots > 1; slots /= 2) {
            uint32_t bytes = sketch_page_heap_bytes(page);
            assert_int_equal(sketch_page_sum(page, slots), total);
            sketch_page_halve(&page, slots);
            assert_true(sketch_page_heap_bytes(page) <= bytes);
            assert_int_equal(page->width_log2, 1); /* 400 .. 12800 */
        }
        assert_int_equal(sketch_page_sum(page, 1), total);
        assert_int_equal(page->capacity_bytes, sizeof(*page) + 8);
    }
}

static void chooses_the_least_width(void **state)
{
    (void)state;
    for (unsigned width = 0; width < WIDTHS; width++) {
        assert_int_equal(sketch_page_width_log2(greatest[width]), width);
        if (width + 1 < WIDTHS)
            assert_int_equal(sketch_page_width_log2(greatest[width] + 1), width + 1);
    }
    assert_int_equal(sketch_page_width_log2(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_what_was_stored_at_every_width_and_size),
        cmocka_unit_test(sums_full_counters_without_a_carry_lost),
        cmocka_unit_test(counts_many_at_once_at_every_width),
        cmocka_unit_test(counts_up_to_the_width_and_refuses_then),
        cmocka_unit_test(adds_words_unless_a_counter_is_half_full),
        cmocka_unit_test(widens_and_halves_without_losing_a_count),
        cmocka_unit_test(chooses_the_least_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
