/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "series_cases.h"

#define PROBES      3u
#define SAMPLES_MAX 1000u

/* Runs of one process, as a CPU has them, among others; rarely heavy, slow or of no probe. */
static size_t random_samples(struct series_sample *ret_samples)
{
    size_t count = random_below(4) ? random_below(SAMPLES_MAX) : random_below(5);
    uint64_t pids = 1 + random_below(200);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && random_below(3);
        ret_samples[i] = (struct series_sample){
            .key = same ? ret_samples[i - 1].key
                        : process((uint32_t)random_below(PROBES), random_below(pids)),
            .latency_ns = random_latency(),
            .weight = random_below(30) ? 1 : 1 + (uint32_t)random_below(100),
            .error = random_below(5) == 0,
        };
        if (random_below(100) == 0)
            ret_samples[i].latency_ns = UINT32_MAX + random_below(3);
        if (random_below(500) == 0)
            ret_samples[i].key.probe = PROBES;
    }
    return count;
}

static void assert_same_window(struct series_table *const tables[2], struct series_key key,
                               uint64_t window_ns, uint64_t now_ns)
{
    struct latency_stat stats[2];
    uint64_t covered_ns;
    for (unsigned i = 0; i < 2; i++) {
        const struct series *series = series_table_find(tables[i], key);
        assert_non_null(series);
        latency_stat_init(&stats[i]);
        assert_int_equal(
            series_table_window(tables[i], series, window_ns, now_ns, &stats[i], &covered_ns), 0);
    }
    assert_stats_equal(&stats[0], &stats[1]);
    latency_stat_done(&stats[0]);
    latency_stat_done(&stats[1]);
}

static void a_batch_is_its_calls_one_by_one(void **state)
{
    (void)state;
    random_state = 21;
    struct series_table *tables[2];
    for (unsigned i = 0; i < 2; i++) {
        tables[i] = new_table(1ull << 30, 0, 7);
        for (uint32_t probe = 0; probe < PROBES; probe++)
            assert_int_equal(series_table_add_probe(tables[i], probe), 0);
    }
    uint64_t now = 1;
    for (unsigned round = 0; round < 1000; round++) {
        struct series_sample samples[SAMPLES_MAX];
        size_t count = random_samples(samples);
        now += random_below(3) ? 0 : random_below(5 * SECOND);
        series_table_record(tables[0], samples, count, now);
        for (size_t i = 0; i < count; i++)
            series_table_record(tables[1], &samples[i], 1, now);
        if (round % 5 == 0) {
            struct series_key key = process((uint32_t)random_below(PROBES), random_below(200));
            series_table_fold(tables[0], key, now);
            series_table_fold(tables[1], key, now);
        }
    }
    struct series_table_figures a = series_table_figures(tables[0]);
    struct series_table_figures b = series_table_figures(tables[1]);
    assert_int_equal(a.hits, b.hits);
    assert_int_equal(a.misses, b.misses);
    assert_int_equal(a.records, b.records);
    assert_int_equal(a.hits + a.misses, a.records);
    assert_int_equal(a.refused_calls, b.refused_calls);
    assert_true(a.refused_calls > 100);
    assert_int_equal(a.series_count, b.series_count);
    for (uint32_t id = 0; id < tables[0]->count; id++) {
        assert_same_window(tables, series_at(tables[0], id)->key, 0, now);
        assert_same_window(tables, series_at(tables[0], id)->key, 35 * SECOND, now);
    }
    assert_sound(tables[0]);
    series_table_free(tables[0]);
    series_table_free(tables[1]);
}

/* Batches of strangers: series are made, evicted and moved between the calls. */
static void pointers_of_a_batch_do_not_outlive_what_moves(void **state)
{
    (void)state;
    random_state = 22;
    struct series_table *table = new_table(128 * 1024, 0, 7);
    struct latency_stat expected;
    latency_stat_init(&expected);
    assert_int_equal(series_table_add_probe(table, 0), 0);
    for (unsigned round = 0; round < 300; round++) {
        struct series_sample samples[SAMPLES_MAX];
        for (size_t i = 0; i < SAMPLES_MAX; i++) {
            struct series_key key = process(0, random_below(1000000));
            if (i > 0 && random_below(3) > 0) /* one of late, which may be gone or elsewhere */
                key = samples[i - 1 - random_below(i < 100 ? i : 100)].key;
            samples[i] = (struct series_sample){key, 100 + i, 1, false};
            assert_int_equal(latency_stat_record(&expected, 100 + i, false, 1), 0);
        }
        series_table_record(table, samples, SAMPLES_MAX, round);
        assert_sound(table);
    }
    assert_probe_sums(table, 0, &expected);
    assert_true(series_table_figures(table).folded_evicted > 50000);
    latency_stat_done(&expected);
    series_table_free(table);
}

/* The first call makes the table shrink; the others' series were found before that. */
static void calls_of_series_that_went_during_the_batch_are_not_lost(void **state)
{
    (void)state;
    enum { SERIES = 300, BATCH = 60 };
    for (unsigned begin = 0; begin + BATCH <= SERIES; begin += BATCH / 2) {
        struct series_table *table = new_table(1 << 20, 0, 7);
        assert_int_equal(series_table_add_probe(table, 0), 0);
        for (uint64_t pid = 0; pid < SERIES; pid++)
            record_call(table, process(0, pid), 1000, false, 1);
        series_table_set_max_bytes(table, SERIES_MAX_BYTES_MIN);
        struct series_sample samples[BATCH];
        for (unsigned i = 0; i < BATCH; i++)
            samples[i] = (struct series_sample){process(0, begin + i), 1000, 1, false};
        samples[0].key.who = SERIES;
        series_table_record(table, samples, BATCH, 1);
        uint64_t calls = 0;
        for (uint32_t id = 0; id < table->count; id++)
            calls += series_table_count(series_at(table, id));
        assert_int_equal(calls, SERIES + BATCH);
        assert_true(series_table_figures(table).folded_evicted > 0);
        series_table_free(table);
    }
}

/* Series without room left are emptied with the batch, not at the next call. */
static void what_is_full_is_emptied_with_its_batch(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20, 0, 7);
    struct series_sample samples[10 * SERIES_PENDING];
    assert_int_equal(series_table_add_probe(table, 0), 0);
    for (unsigned i = 0; i < 10 * SERIES_PENDING; i++)
        samples[i] = (struct series_sample){process(0, i % 10), 500 + i, 1, false};
    series_table_record(table, samples, 10, 1); /* the series are there */
    series_table_record(table, samples, 10 * (SERIES_PENDING - 1), 1);
    for (uint64_t pid = 0; pid < 10; pid++) {
        const struct series *series = series_table_find(table, process(0, pid));
        assert_int_equal(series->pending.count, 0);
        assert_int_equal(series->open.count, SERIES_PENDING);
    }
    assert_sound(table);
    series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_its_calls_one_by_one),
        cmocka_unit_test(pointers_of_a_batch_do_not_outlive_what_moves),
        cmocka_unit_test(calls_of_series_that_went_during_the_batch_are_not_lost),
        cmocka_unit_test(what_is_full_is_emptied_with_its_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
