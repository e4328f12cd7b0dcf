/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "series_cases.h"

#include "../support/failing_alloc.h"

/* --- what stays and what goes ----------------------------------------------------------------- */

static void keeps_hot_series_while_cold_ones_pass_by(void **state)
{
    (void)state;
    struct series_table *table = new_table(256 * 1024, 0, 3);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t i = 0; i < 200000; i++) {
        record_call(table, process(1, i % 10), 1000 + i % 100, false, i);
        record_call(table, process(1, 1000 + i), 500, false, i);
    }
    for (uint64_t hot = 0; hot < 10; hot++)
        assert_int_equal(count_of(table, process(1, hot)), 20000);
    assert_int_equal(count_of(table, process(1, 1000)), 0);
    assert_true(series_table_figures(table).folded_evicted > 190000);
    series_table_free(table);
}

static void folds_what_is_idle_and_nothing_else(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20, 60 * SECOND, 3);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t pid = 0; pid < 100; pid++)
        record_call(table, process(1, pid), 100, false, SECOND);
    for (uint64_t at = 2; at <= 61; at++) {
        series_table_sweep(table, at * SECOND - 1, 1000);
        record_call(table, process(1, 7), 100, false, at * SECOND);
    }
    assert_int_equal(series_table_figures(table).folded_idle, 0);
    for (unsigned i = 0; i < 12; i++)
        series_table_sweep(table, 61 * SECOND, 1000);
    assert_int_equal(count_of(table, process(1, 7)), 61);
    assert_int_equal(count_of(table, process(1, 8)), 0);
    assert_true(series_table_figures(table).folded_idle >= 99);
    /* Names are as idle as what they were made of, and leave in their turn. */
    assert_int_equal(series_table_figures(table).series_count, 3);
    assert_int_equal(count_of(table, series_other_key(1)), 99);
    series_table_free(table);
}

static void visits_no_more_series_than_a_sweep_may(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20, SECOND, 3);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t pid = 0; pid < 100; pid++)
        record_call(table, process(1, pid), 100, false, 0);
    series_table_sweep(table, 5 * SECOND, 10);
    assert_in_range(series_table_figures(table).folded_idle, 8, 10);
    series_table_free(table);
}

static void fifty_thousand_short_lives_fit_into_16_mib(void **state)
{
    (void)state;
    uint64_t budget = 16 << 20;
    struct series_table *table = new_table(budget, 0, 3);
    for (uint32_t probe = 0; probe < 20; probe++)
        assert_int_equal(series_table_add_probe(table, probe), 0);
    uint64_t now = 0;
    for (uint64_t pid = 0; pid < 50000; pid++, now += SECOND / 1000)
        for (uint32_t call = 0; call < 40; call++)
            record_call(table, process(call % 20, pid), 300 + call * 37 % 901, false, now);
    uint64_t calls = 0;
    for (uint32_t id = 0; id < table->count; id++)
        calls += series_table_count(series_at(table, id));
    assert_int_equal(calls, 50000 * 40);
    assert_true(series_table_figures(table).bytes_peak <= budget);
    assert_sound(table);
    series_table_free(table);
}

static void shrinks_to_a_smaller_budget(void **state)
{
    (void)state;
    struct series_table *table = new_table(8 << 20, 0, 3);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t i = 0; i < 100000; i++)
        record_call(table, process(1, i % 5000), i % 4000, false, i);
    assert_true(series_table_figures(table).bytes > 1 << 20);
    series_table_set_max_bytes(table, 100 * 1024);
    for (uint64_t i = 0; i < 1000; i++)
        series_table_sweep(table, 100000, 1);
    assert_true(series_table_figures(table).bytes <= 100 * 1024);
    series_table_free(table);
}

/* --- when nothing is left --------------------------------------------------------------------- */

static void counts_on_when_probes_alone_fill_the_budget(void **state)
{
    (void)state;
    random_state = 5;
    struct series_table *table = new_table(SERIES_MAX_BYTES_MIN, 0, 3);
    uint32_t probes = 0;
    int status;
    while ((status = series_table_add_probe(table, probes)) == 0)
        probes++;
    assert_int_equal(status, -ENOSPC);
    assert_in_range(probes, 10, 40);

    uint64_t now = 0, count = 0, sum = 0;
    for (unsigned i = 0; i < 300000; i++, now += SECOND / 100) {
        uint64_t latency = random_u64() >> (20 + random_below(44));
        uint32_t weight = latency >> 32 == 0 ? 1 + (uint32_t)random_below(4) : 1;
        record_weighed(table, process((uint32_t)random_below(probes), i), latency, false, weight,
                       now);
        count += weight;
        sum += latency * weight;
    }
    struct summing summing = {.table = table};
    latency_stat_init(&summing.stat);
    series_table_walk(table, UINT32_MAX, add_totals, &summing);
    assert_int_equal(summing.stat.count, count);
    assert_int_equal(summing.stat.sum_ns, sum);
    assert_int_equal(sketch_count(&summing.stat.sketch), count);
    latency_stat_done(&summing.stat);
    assert_true(series_table_figures(table).bytes_peak <= SERIES_MAX_BYTES_MIN);
    assert_true(series_table_figures(table).coarse_calls > 0);
    assert_sound(table);
    series_table_free(table);
}

static void a_body_that_may_lack_memory(void *context)
{
    (void)context;
    struct series_table_config config = {
        .max_bytes = 1 << 20, .slice_ns = 10, .slices = 3, .parent = parent, .hash_seed = 1};
    struct series_table *table = NULL;
    if (series_table_new(&config, &table) < 0)
        return;
    int status = series_table_add_probe(table, 1);
    if (status == 0) {
        struct latency_stat delta;
        latency_stat_init(&delta);
        bool filled = latency_stat_record(&delta, 77, true, 1) == 0;
        uint64_t count = 0, sum = 0;
        for (uint64_t i = 0; i < 400; i++) {
            uint64_t latency = (i * 37) % 200, now = i / 10;
            uint32_t weight = i % 5 == 0 ? 1 + (uint32_t)i : 1;
            record_weighed(table, process(1, i < 200 ? 1 : i % 3), latency, i % 2, weight, now);
            count += weight;
            sum += latency * weight;
            if (i % 100 == 50)
                series_table_fold(table, process(1, i % 3), now);
            if (i % 150 == 60)
                series_table_fold(table, (struct series_key){1, SERIES_NAME, 1}, now);
            if (i % 90 == 0 && filled) {
                series_table_merge(table, (struct series_key){1, SERIES_UNATTRIBUTED, 0}, &delta,
                                   now);
                count++;
                sum += 77;
            }
            if (i % 70 == 0)
                series_table_sweep(table, now, 10);
        }
        latency_stat_done(&delta);
        unsigned seen = failing_alloc_disarm(); /* looking is not what is tested */
        uint64_t counted = 0, summed = 0;
        for (uint32_t id = 0; id < table->count; id++) {
            const struct series *series = series_at(table, id);
            counted += series_table_count(series);
            summed += series->pending.sum_ns + series->open.sum_ns + series->settled.sum_ns;
        }
        assert_int_equal(counted, count);
        assert_int_equal(summed, sum);
        struct summing summing = {.table = table};
        latency_stat_init(&summing.stat);
        series_table_walk(table, 1, add_totals, &summing);
        assert_int_equal(sketch_count(&summing.stat.sketch), count);
        latency_stat_done(&summing.stat);
        assert_sound(table);
        failing_alloc.armed = true;
        failing_alloc.seen = seen;
    }
    series_table_free(table);
}

static void loses_no_call_whichever_allocation_fails(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(a_body_that_may_lack_memory, NULL), 50, 2000);
}

static int window_status;

static void a_window_that_may_lack_memory(void *context)
{
    struct series_table *table = context;
    struct latency_stat stat;
    latency_stat_init(&stat);
    uint64_t window_ns;
    window_status = series_table_window(table, series_table_find(table, process(1, 1)), 50, 45,
                                        &stat, &window_ns);
    assert_true(window_status == 0 || window_status == -ENOMEM);
    latency_stat_done(&stat);
}

static void an_answer_without_memory_says_so(void **state)
{
    (void)state;
    struct series_table_config config = {.max_bytes = 1 << 20, .slice_ns = 10, .slices = 6};
    struct series_table *table = NULL;
    assert_int_equal(series_table_new(&config, &table), 0);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t i = 0; i < 450; i++)
        record_call(table, process(1, 1), i * i, false, i / 10);
    assert_in_range(failing_alloc_each(a_window_that_may_lack_memory, table), 3, 100);
    series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_hot_series_while_cold_ones_pass_by),
        cmocka_unit_test(folds_what_is_idle_and_nothing_else),
        cmocka_unit_test(visits_no_more_series_than_a_sweep_may),
        cmocka_unit_test(fifty_thousand_short_lives_fit_into_16_mib),
        cmocka_unit_test(shrinks_to_a_smaller_budget),
        cmocka_unit_test(counts_on_when_probes_alone_fill_the_budget),
        cmocka_unit_test(loses_no_call_whichever_allocation_fails),
        cmocka_unit_test(an_answer_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
