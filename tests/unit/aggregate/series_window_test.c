/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/series_internal.h"
#include "aggregate/series_table.h"
#include "record_call.h"

#define SLICE 100u /* ns */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % bound;
}

static const struct series_key someone = {.probe = 1, .level = SERIES_PROCESS, .who = 42};
static const struct series_key other = {.probe = 1, .level = SERIES_OTHER};

static struct series_table *new_table(uint32_t slices)
{
    struct series_table_config config = {
        .max_bytes = 64 << 20, .slice_ns = SLICE, .slices = slices, .hash_seed = 5};
    struct series_table *table = NULL;
    assert_int_equal(series_table_new(&config, &table), 0);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    return table;
}

/* --- the model: every call there was ---------------------------------------------------------- */

#define CALLS_MAX 40000u

struct call {
    uint64_t at_ns, latency_ns;
    bool error;
    uint32_t weight;
};

struct call_log {
    struct call calls[CALLS_MAX];
    unsigned count;
};

static void record(struct series_table *table, struct call_log *log, uint64_t latency_ns,
                   uint64_t now_ns)
{
    assert_true(log->count < CALLS_MAX);
    uint32_t weight = random_below(4) == 0 ? 1 + (uint32_t)random_below(4095) : 1;
    log->calls[log->count++] = (struct call){now_ns, latency_ns, latency_ns % 3 == 0, weight};
    record_weighed(table, someone, latency_ns, latency_ns % 3 == 0, weight, now_ns);
}

static struct latency_stat expected_stat(const struct call_log *log, uint64_t from_ns)
{
    struct latency_stat stat;
    latency_stat_init(&stat);
    for (unsigned i = log->count; i-- > 0 && log->calls[i].at_ns >= from_ns;) {
        const struct call *call = &log->calls[i];
        assert_int_equal(latency_stat_record(&stat, call->latency_ns, call->error, call->weight),
                         0);
    }
    return stat;
}

static void assert_same(const struct latency_stat *is, const struct latency_stat *expected)
{
    assert_int_equal(is->count, expected->count);
    assert_int_equal(is->errors, expected->errors);
    assert_int_equal(is->sum_ns, expected->sum_ns);
    assert_int_equal(is->min_ns, expected->min_ns);
    assert_int_equal(is->max_ns, expected->max_ns);
    assert_int_equal(is->thinned_square, expected->thinned_square);
    static const double quantiles[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999};
    uint64_t values[8], expected_values[8];
    latency_stat_quantiles(is, quantiles, 8, values);
    latency_stat_quantiles(expected, quantiles, 8, expected_values);
    assert_memory_equal(values, expected_values, sizeof(values));
    assert_int_equal(sketch_count(&is->sketch), expected->count);
}

static void assert_window(const struct series_table *table, struct series_key key,
                          const struct call_log *log, uint64_t window_ns, uint64_t now_ns)
{
    uint64_t oldest = now_ns >= window_ns ? (now_ns - window_ns + 1) / SLICE : 0;
    uint64_t kept = table->config.slices, epoch = now_ns / SLICE;
    if (epoch > kept && oldest < epoch - kept)
        oldest = epoch - kept;
    struct latency_stat expected = expected_stat(log, window_ns ? oldest * SLICE : 0);

    struct latency_stat stat;
    latency_stat_init(&stat);
    uint64_t covered_ns;
    const struct series *series = series_table_find(table, key);
    assert_non_null(series);
    assert_int_equal(series_table_window(table, series, window_ns, now_ns, &stat, &covered_ns), 0);
    assert_same(&stat, &expected);
    if (window_ns && window_ns <= kept * SLICE && now_ns - log->calls[0].at_ns >= window_ns)
        assert_in_range(covered_ns, window_ns - 1, window_ns + SLICE);
    latency_stat_done(&stat);
    latency_stat_done(&expected);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void windows_hold_the_calls_of_their_slices(void **state)
{
    (void)state;
    random_state = 1;
    for (uint32_t slices = 1; slices <= 7; slices += 3) {
        struct series_table *table = new_table(slices);
        struct call_log *log = calloc(1, sizeof(*log));
        assert_non_null(log);
        uint64_t now = 0;
        for (unsigned i = 0; i < 12000; i++) {
            /* bursts at one instant, steps, slice boundaries, gaps past the whole window */
            switch (random_below(300)) {
            case 0:
                now = (now / SLICE + 1) * SLICE;
                break;
            case 1:
                now = (now / SLICE + 1) * SLICE - 1;
                break;
            case 2:
                now += random_below(2000);
                break;
            case 3:
                series_table_sweep(table, now, 10);
                break;
            case 4:
                now += random_below(5) == 0 ? 1000000 : 0;
                break;
            default:
                now += random_below(50) == 0;
            }
            record(table, log, random_below(1 + random_below(1ull << random_below(40))), now);
            if (i % 37 != 0)
                continue;
            assert_window(table, someone, log, 0, now);
            assert_window(table, someone, log, 1 + random_below(slices * SLICE), now);
            assert_window(table, someone, log, slices * SLICE, now);
            assert_window(table, someone, log, 100 * SLICE, now + random_below(3 * SLICE));
        }
        free(log);
        series_table_free(table);
    }
}

static void a_clock_that_stands_still_or_steps_back_stays_in_its_slice(void **state)
{
    (void)state;
    struct series_table *table = new_table(6);
    struct call_log *log = calloc(1, sizeof(*log));
    assert_non_null(log);
    for (unsigned i = 0; i < 1000; i++)
        record(table, log, i, 1050);
    assert_window(table, someone, log, 1, 1050);
    uint64_t calls = series_open_count(series_table_find(table, someone));
    record_call(table, someone, 1, false, 20);
    assert_int_equal(series_table_find(table, someone)->last_ns, 1050);
    assert_int_equal(series_open_count(series_table_find(table, someone)), calls + 1);
    free(log);
    series_table_free(table);
}

static void slices_that_left_the_window_are_freed_on_the_next_touch(void **state)
{
    (void)state;
    struct series_table *table = new_table(6);
    for (uint64_t now = 0; now < 20 * SLICE; now++)
        record_call(table, someone, now % 7, false, now);
    const struct series *series = series_table_find(table, someone);
    unsigned slices = 0;
    for (const struct series_slice *slice = series->slices; slice; slice = slice->next)
        slices++;
    assert_int_equal(slices, 6);
    record_call(table, someone, 1, false, 1000 * SLICE);
    assert_null(series_table_find(table, someone)->slices);
    series_table_sweep(table, 2000 * SLICE, 10);
    series = series_table_find(table, someone);
    assert_null(series->slices);
    assert_int_equal(series_open_count(series), 0);
    assert_int_equal(series_table_count(series), 20 * SLICE + 1);
    series_table_free(table);
}

static void folding_takes_the_windows_along(void **state)
{
    (void)state;
    random_state = 3;
    struct series_table *table = new_table(6);
    struct call_log *log = calloc(1, sizeof(*log));
    assert_non_null(log);
    uint64_t now = 7;
    for (unsigned i = 0; i < 20000; i++) {
        now += random_below(20) == 0 ? random_below(30) : 0;
        uint64_t latency = 1 + random_below(3000);
        log->calls[log->count++] = (struct call){now, latency, false, 1};
        struct series_key key = someone;
        key.who = random_below(5);
        record_call(table, key, latency, false, now);
        if (random_below(100) == 0)
            series_table_fold(table, key, now);
        if (i % 200 != 0)
            continue;
        for (key.who = 0; key.who < 5; key.who++)
            series_table_fold(table, key, now);
        assert_window(table, other, log, 0, now);
        assert_window(table, other, log, 250, now);
        assert_window(table, other, log, 600, now);
    }
    free(log);
    series_table_free(table);
}

static void packs_and_joins_any_sketch_at_any_resolution(void **state)
{
    (void)state;
    random_state = 4;
    for (unsigned round = 0; round < 500; round++) {
        struct latency_stat stats[2], both, unpacked;
        struct series_slice *slices[2];
        latency_stat_init(&both);
        latency_stat_init(&unpacked);
        for (unsigned i = 0; i < 2; i++) {
            latency_stat_init(&stats[i]);
            for (uint64_t h = random_below(SKETCH_HALVINGS_MAX + 1); h > 0; h--)
                sketch_halve(&stats[i].sketch);
            uint64_t calls = 1 + random_below(200), bits = 1 + random_below(63);
            while (calls-- > 0)
                assert_int_equal(
                    latency_stat_record(&stats[i], random_below(1ull << bits), calls % 2, 1), 0);
            for (uint64_t many = random_below(3); many > 0; many--) {
                uint64_t count = random_below(1ull << random_below(60));
                assert_int_equal(
                    sketch_record(&stats[i].sketch, 64 + (uint32_t)random_below(4096), count), 0);
                stats[i].count += count;
                stats[i].max_ns = UINT64_MAX;
            }
            slices[i] = series_slice_pack(&stats[i], 1);
            assert_non_null(slices[i]);
            assert_int_equal(latency_stat_merge(&both, &stats[i]), 0);
        }
        struct series_slice *joined = series_slice_join(slices[0], slices[1]);
        assert_non_null(joined);
        assert_int_equal(series_slice_unpack(joined, &unpacked), 0);
        assert_same(&unpacked, &both);
        assert_int_equal(unpacked.sketch.halvings, both.sketch.halvings);
        latency_stat_clear(&unpacked);
        assert_int_equal(series_slice_unpack(slices[0], &unpacked), 0);
        assert_int_equal(series_slice_unpack(slices[1], &unpacked), 0);
        assert_same(&unpacked, &both);
        free(joined);
        for (unsigned i = 0; i < 2; i++) {
            free(slices[i]);
            latency_stat_done(&stats[i]);
        }
        latency_stat_done(&both);
        latency_stat_done(&unpacked);
    }
}

static void extreme_values_survive_packing(void **state)
{
    (void)state;
    struct latency_stat stat, unpacked;
    latency_stat_init(&stat);
    latency_stat_init(&unpacked);
    static const uint64_t values[] = {0, 1, 2, 3, 1ull << 63, (1ull << 63) + 1, UINT64_MAX};
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_int_equal(latency_stat_record(&stat, values[i], true, 1), 0);
    struct series_slice *slice = series_slice_pack(&stat, UINT64_MAX);
    assert_non_null(slice);
    assert_int_equal(series_slice_unpack(slice, &unpacked), 0);
    assert_same(&unpacked, &stat);
    free(slice);
    latency_stat_done(&stat);
    latency_stat_done(&unpacked);
}

/* What it is worth: a busy series with a full window, latencies within a factor of 30. */
static void a_series_with_a_full_window_stays_below_3_kb(void **state)
{
    (void)state;
    random_state = 6;
    struct series_table *table = new_table(6);
    struct series_key key = someone;
    for (uint64_t now = 0; now < 10 * SLICE; now++)
        for (key.who = 0; key.who < 200; key.who++)
            record_call(table, key, 100 + random_below(300) + random_below(1 + random_below(3000)),
                        false, now);
    struct series_table_figures figures = series_table_figures(table);
    assert_in_range(figures.bytes / figures.series_count, 500, 2700);
    series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_hold_the_calls_of_their_slices),
        cmocka_unit_test(a_clock_that_stands_still_or_steps_back_stays_in_its_slice),
        cmocka_unit_test(slices_that_left_the_window_are_freed_on_the_next_touch),
        cmocka_unit_test(folding_takes_the_windows_along),
        cmocka_unit_test(packs_and_joins_any_sketch_at_any_resolution),
        cmocka_unit_test(extreme_values_survive_packing),
        cmocka_unit_test(a_series_with_a_full_window_stays_below_3_kb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
