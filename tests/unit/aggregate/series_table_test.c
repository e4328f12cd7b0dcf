/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"
#include "aggregate/series_internal.h"
#include "aggregate/series_table.h"

#define SECOND       1000000000ull
#define PROBES       4u
#define MODEL_SERIES 4096u

static uint64_t random_state;

static uint64_t random_u64(void)
{
    random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint64_t random_below(uint64_t bound)
{
    return random_u64() % bound;
}

/* Mostly like a real function, at times anything. */
static uint64_t random_latency(void)
{
    if (random_below(50) == 0)
        return random_u64() >> random_below(64) >> 8; /* a million of them do not overflow a sum */
    return 200 + random_below(2000) * random_below(20);
}

/* 50 names in 8 units: process p is of name p % 50, name n of unit n % 8. */
static struct series_key parent(struct series_key key, void *context)
{
    (void)context;
    uint64_t id = key.level == SERIES_PROCESS ? key.who % 50 : key.who % 8;
    return (struct series_key){key.probe, key.level + 1, id};
}

static struct series_table *new_table(uint64_t max_bytes, uint64_t idle_ns, uint64_t seed)
{
    struct series_table_config config = {
        .max_bytes = max_bytes,
        .idle_ns = idle_ns,
        .slice_ns = 10 * SECOND,
        .slices = 6,
        .parent = parent,
        .hash_seed = seed,
    };
    struct series_table *table = NULL;
    assert_int_equal(series_table_new(&config, &table), 0);
    return table;
}

static struct series_key process(uint32_t probe, uint64_t pid)
{
    return (struct series_key){probe, SERIES_PROCESS, pid};
}

static uint64_t count_of(const struct series_table *table, struct series_key key)
{
    const struct series *series = series_table_find(table, key);
    return series ? series_table_count(series) : 0;
}

/* --- what the figures say is what there is ------------------------------------------------------
 */

static uint64_t walked_bytes(const struct series_table *table)
{
    uint64_t bytes = series_block_bytes(sizeof(*table)) +
                     series_block_bytes((table->slot_mask + 1ull) * sizeof(*table->slots)) +
                     (SERIES_CHUNK * sizeof(struct series) + 80) * table->chunk_count;
    if (table->chunks)
        bytes += series_block_bytes(table->chunk_capacity * sizeof(*table->chunks));
    if (table->probes)
        bytes += series_block_bytes(table->probe_capacity * sizeof(*table->probes));
    for (uint32_t id = 0; id < table->count; id++) {
        const struct series *series = series_at(table, id);
        bytes +=
            sketch_heap_bytes(&series->open.sketch) + sketch_heap_bytes(&series->settled.sketch);
        for (const struct series_slice *slice = series->slices; slice; slice = slice->next)
            bytes += series_slice_block_bytes(slice);
        if (series->reserve)
            bytes += series_block_bytes(sizeof(*series->reserve));
    }
    return bytes;
}

static void assert_sound(const struct series_table *table)
{
    assert_int_equal(walked_bytes(table), series_table_figures(table).bytes);
    for (uint32_t id = 0; id < table->count; id++) {
        const struct series *series = series_at(table, id);
        assert_ptr_equal(series_table_find(table, series->key), series);
        assert_int_equal(sketch_count(&series->open.sketch) + series->pending_count,
                         series->open.count);
    }
}

/* --- the model: an array of series, searched from its start -------------------------------------
 */

struct model_series {
    struct series_key key;
    struct latency_stat stat;
};

struct model {
    struct model_series series[MODEL_SERIES];
    unsigned count;
    struct latency_stat probes[PROBES]; /* what must stay whatever is folded */
};

static struct latency_stat *model_stat(struct model *model, struct series_key key)
{
    for (unsigned i = 0; i < model->count; i++)
        if (series_keys_equal(model->series[i].key, key))
            return &model->series[i].stat;
    assert_true(model->count < MODEL_SERIES);
    struct model_series *made = &model->series[model->count++];
    made->key = key;
    latency_stat_init(&made->stat);
    return &made->stat;
}

static void model_drop(struct model *model, unsigned at)
{
    latency_stat_done(&model->series[at].stat);
    model->series[at] = model->series[--model->count];
}

static void model_fold(struct model *model, struct series_key key)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (!series_keys_equal(model->series[i].key, key))
            continue;
        struct series_key up =
            key.level + 1 == SERIES_OTHER ? series_other_key(key.probe) : parent(key, NULL);
        struct latency_stat *into = model_stat(model, up);
        assert_int_equal(latency_stat_merge(into, &model->series[i].stat), 0);
        model_drop(model, i);
        return;
    }
}

static void model_forget_probe(struct model *model, uint32_t probe)
{
    for (unsigned i = model->count; i-- > 0;)
        if (model->series[i].key.probe == probe)
            model_drop(model, i);
    latency_stat_done(&model->probes[probe]);
}

static struct model *new_model(void)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    for (uint32_t probe = 0; probe < PROBES; probe++)
        latency_stat_init(&model->probes[probe]);
    return model;
}

static void free_model(struct model *model)
{
    for (uint32_t probe = 0; probe < PROBES; probe++)
        model_forget_probe(model, probe);
    free(model);
}

static void bucket_sum(double lower_ns, double upper_ns, uint64_t count, void *context)
{
    *(double *)context += (lower_ns + upper_ns) * (double)count;
}

static void assert_stats_equal(const struct latency_stat *is, const struct latency_stat *expected)
{
    assert_int_equal(is->count, expected->count);
    assert_int_equal(is->errors, expected->errors);
    assert_int_equal(is->sum_ns, expected->sum_ns);
    assert_int_equal(is->min_ns, expected->min_ns);
    assert_int_equal(is->max_ns, expected->max_ns);
    assert_int_equal(sketch_count(&is->sketch), expected->count);
    if (is->sketch.halvings == expected->sketch.halvings) {
        double sums[2] = {0, 0};
        sketch_walk(&is->sketch, bucket_sum, &sums[0]);
        sketch_walk(&expected->sketch, bucket_sum, &sums[1]);
        assert_true(sums[0] == sums[1]);
    }
}

struct summing {
    const struct series_table *table;
    struct latency_stat stat;
};

static void add_totals(const struct series *series, void *context)
{
    struct summing *summing = context;
    uint64_t window_ns;
    assert_int_equal(series_table_window(summing->table, series, 0, 0, &summing->stat, &window_ns),
                     0);
}

static void assert_probe_sums(const struct series_table *table, uint32_t probe,
                              const struct latency_stat *expected)
{
    struct summing summing = {.table = table};
    latency_stat_init(&summing.stat);
    series_table_walk(table, probe, add_totals, &summing);
    assert_stats_equal(&summing.stat, expected);
    latency_stat_done(&summing.stat);
}

/* --- random operations
 * ---------------------------------------------------------------------------- */

static void model_record(struct model *model, struct series_key key, uint64_t latency_ns,
                         bool error)
{
    assert_int_equal(latency_stat_record(&model->probes[key.probe], latency_ns, error), 0);
    if (model->count < MODEL_SERIES) /* kept in one of the two tests */
        assert_int_equal(latency_stat_record(model_stat(model, key), latency_ns, error), 0);
}

static void merge_delta(struct series_table *table, struct model *model, bool exact, uint64_t now)
{
    struct latency_stat delta;
    latency_stat_init(&delta);
    struct series_key key = {(uint32_t)random_below(PROBES), SERIES_UNATTRIBUTED, 0};
    for (uint64_t calls = random_below(30); calls > 0; calls--)
        assert_int_equal(latency_stat_record(&delta, random_latency(), calls % 7 == 0), 0);
    series_table_merge(table, key, &delta, now);
    assert_int_equal(latency_stat_merge(&model->probes[key.probe], &delta), 0);
    if (exact && delta.count)
        assert_int_equal(latency_stat_merge(model_stat(model, key), &delta), 0);
    latency_stat_done(&delta);
}

static void each_series_is_that_of_the_model_whatever_is_folded(void **state)
{
    (void)state;
    random_state = 1;
    struct series_table *table = new_table(1ull << 30, 0, 7);
    struct model *model = new_model();
    for (uint32_t probe = 0; probe < PROBES; probe++)
        assert_int_equal(series_table_add_probe(table, probe), 0);

    uint64_t now = 5;
    for (unsigned i = 0; i < 300000; i++) {
        now += random_below(SECOND / 100);
        uint32_t probe = (uint32_t)random_below(PROBES);
        struct series_key key = process(probe, random_below(100));
        switch (random_below(400)) {
        case 0:
            key = (struct series_key){probe, (uint32_t)random_below(3), random_below(50)};
            series_table_fold(table, key, now);
            model_fold(model, key);
            break;
        case 1:
            series_table_fold_who(table, SERIES_PROCESS, key.who, now);
            for (uint32_t each = 0; each < PROBES; each++)
                model_fold(model, process(each, key.who));
            break;
        case 2:
            merge_delta(table, model, true, now);
            break;
        case 3:
            series_table_sweep(table, now, 50);
            break;
        case 4:
            if (random_below(50) > 0)
                break;
            series_table_remove_probe(table, probe);
            model_forget_probe(model, probe);
            assert_int_equal(series_table_add_probe(table, probe), 0);
            break;
        default: {
            uint64_t latency = random_latency();
            series_table_prefetch(table, key);
            series_table_record(table, key, latency, i % 11 == 0, now);
            model_record(model, key, latency, i % 11 == 0);
        }
        }
        if (i % 30000 != 0)
            continue;
        assert_sound(table);
        for (unsigned s = 0; s < model->count; s++) {
            struct summing one = {.table = table};
            latency_stat_init(&one.stat);
            const struct series *series = series_table_find(table, model->series[s].key);
            assert_non_null(series);
            add_totals(series, &one);
            assert_stats_equal(&one.stat, &model->series[s].stat);
            latency_stat_done(&one.stat);
        }
    }
    series_table_free(table);
    free_model(model);
}

static void sums_of_a_probe_survive_a_million_operations_in_little_memory(void **state)
{
    (void)state;
    random_state = 2;
    uint64_t budget = 300 * 1024;
    struct series_table *table = new_table(budget, 20 * SECOND, 8);
    struct model *model = new_model();
    model->count = MODEL_SERIES; /* only the probes' sums are followed */
    for (uint32_t probe = 0; probe < PROBES; probe++)
        assert_int_equal(series_table_add_probe(table, probe), 0);

    uint64_t now = 5;
    for (unsigned i = 0; i < 1000000; i++) {
        now += random_below(SECOND / 1000);
        uint32_t probe = (uint32_t)random_below(PROBES);
        struct series_key key = process(probe, random_below(random_below(2) ? 20 : 100000));
        switch (random_below(300)) {
        case 0:
            key.level = (uint32_t)random_below(3);
            key.who %= 50;
            series_table_fold(table, key, now);
            break;
        case 1:
            merge_delta(table, model, false, now);
            break;
        case 2:
            series_table_sweep(table, now, 50);
            break;
        case 3:
            if (random_below(300) > 0)
                break;
            series_table_remove_probe(table, probe);
            model->count = 0;
            model_forget_probe(model, probe);
            model->count = MODEL_SERIES;
            assert_int_equal(series_table_add_probe(table, probe), 0);
            break;
        default: {
            uint64_t latency = random_latency();
            series_table_record(table, key, latency, i % 11 == 0, now);
            model_record(model, key, latency, i % 11 == 0);
        }
        }
        if (i % 50000 != 0)
            continue;
        assert_sound(table);
        for (uint32_t each = 0; each < PROBES; each++)
            assert_probe_sums(table, each, &model->probes[each]);
    }
    struct series_table_figures figures = series_table_figures(table);
    assert_true(figures.folded_evicted > 1000);
    assert_true(figures.folded_idle > 0);
    assert_true(figures.halvings > 0);
    assert_true(figures.coarse_calls == 0);
    assert_true(figures.bytes_peak <= budget);
    series_table_free(table);
    model->count = 0;
    free_model(model);
}

/* --- what stays and what goes
 * ----------------------------------------------------------------------- */

static void keeps_hot_series_while_cold_ones_pass_by(void **state)
{
    (void)state;
    struct series_table *table = new_table(256 * 1024, 0, 3);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    for (uint64_t i = 0; i < 200000; i++) {
        series_table_record(table, process(1, i % 10), 1000 + i % 100, false, i);
        series_table_record(table, process(1, 1000 + i), 500, false, i);
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
        series_table_record(table, process(1, pid), 100, false, SECOND);
    for (uint64_t at = 2; at <= 61; at++) {
        series_table_sweep(table, at * SECOND - 1, 1000);
        series_table_record(table, process(1, 7), 100, false, at * SECOND);
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
        series_table_record(table, process(1, pid), 100, false, 0);
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
            series_table_record(table, process(call % 20, pid), 300 + call * 37 % 901, false, now);
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
        series_table_record(table, process(1, i % 5000), i % 4000, false, i);
    assert_true(series_table_figures(table).bytes > 1 << 20);
    series_table_set_max_bytes(table, 100 * 1024);
    for (uint64_t i = 0; i < 1000; i++)
        series_table_sweep(table, 100000, 1);
    assert_true(series_table_figures(table).bytes <= 100 * 1024);
    series_table_free(table);
}

/* --- when nothing is left
 * ---------------------------------------------------------------------------- */

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
        series_table_record(table, process((uint32_t)random_below(probes), i), latency, false, now);
        count++;
        sum += latency;
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

static void refuses_what_it_cannot_do(void **state)
{
    (void)state;
    struct series_table *table = NULL;
    struct series_table_config config = {
        .max_bytes = 1 << 20, .slice_ns = 1, .slices = SERIES_SLICES_MAX + 1};
    assert_int_equal(series_table_new(&config, &table), -EINVAL);
    config.slices = 0;
    assert_int_equal(series_table_new(&config, &table), -EINVAL);
    config.slices = 1;
    config.max_bytes = SERIES_MAX_BYTES_MIN - 1;
    assert_int_equal(series_table_new(&config, &table), -EINVAL);
    config.max_bytes = SERIES_MAX_BYTES_MIN;
    assert_int_equal(series_table_new(&config, &table), 0);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    assert_int_equal(series_table_add_probe(table, 1), -EEXIST);
    series_table_record(table, process(2, 1), 1, false, 1);
    assert_int_equal(series_table_figures(table).refused_calls, 1);
    /* without a parent function everything folds into OTHER */
    series_table_record(table, process(1, 1), 1, false, 1);
    series_table_fold(table, process(1, 1), 1);
    assert_int_equal(count_of(table, series_other_key(1)), 1);
    series_table_free(table);
    series_table_free(NULL);
}

static struct series_key useless_parent(struct series_key key, void *context)
{
    (void)context;
    return key;
}

static void a_parent_that_is_no_coarser_counts_as_other(void **state)
{
    (void)state;
    struct series_table *table = new_table(1 << 20, 0, 3);
    table->config.parent = useless_parent;
    assert_int_equal(series_table_add_probe(table, 1), 0);
    series_table_record(table, process(1, 1), 1, false, 1);
    series_table_fold(table, process(1, 1), 1);
    assert_int_equal(count_of(table, series_other_key(1)), 1);
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
        bool filled = latency_stat_record(&delta, 77, true) == 0;
        uint64_t count = 0, sum = 0;
        for (uint64_t i = 0; i < 400; i++) {
            uint64_t latency = (i * 37) % 200, now = i / 10;
            series_table_record(table, process(1, i < 200 ? 1 : i % 3), latency, i % 2, now);
            count++;
            sum += latency;
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
            summed += series->open.sum_ns + series->settled.sum_ns;
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
        series_table_record(table, process(1, 1), i * i, false, i / 10);
    assert_in_range(failing_alloc_each(a_window_that_may_lack_memory, table), 3, 100);
    series_table_free(table);
}

/* --- the index
 * ---------------------------------------------------------------------------------------- */

static void a_seed_of_its_own_defeats_chosen_collisions(void **state)
{
    (void)state;
    enum { KEYS = 400 };
    struct series_table *chosen = new_table(8 << 20, 0, 1), *other = new_table(8 << 20, 0, 2);
    assert_int_equal(series_table_add_probe(chosen, 1), 0);
    assert_int_equal(series_table_add_probe(other, 1), 0);
    /* All in one place of a table of 1024 slots, as an attacker who knew the seed could have it. */
    uint64_t pids[KEYS];
    unsigned found = 0;
    for (uint64_t pid = 0; found < KEYS; pid++) {
        series_table_record(chosen, process(1, pid), 5, false, 0);
        bool collides = (series_table_find(chosen, process(1, pid))->hash & 1023) == 17;
        series_table_fold(chosen, process(1, pid), 0);
        if (collides)
            pids[found++] = pid;
    }
    unsigned homes[1024] = {0}, worst = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        series_table_record(chosen, process(1, pids[i]), 5, false, 0);
        series_table_record(other, process(1, pids[i]), 5, false, 0);
        unsigned home = series_table_find(other, process(1, pids[i]))->hash & 1023;
        worst = ++homes[home] > worst ? homes[home] : worst;
    }
    assert_true(worst < 10);
    /* Slow, but still right: remove every other one and look for all. */
    for (unsigned i = 0; i < KEYS; i += 2)
        series_table_fold(chosen, process(1, pids[i]), 0);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(count_of(chosen, process(1, pids[i])), i % 2);
    assert_sound(chosen);
    series_table_free(chosen);
    series_table_free(other);
}

static void a_word_that_meets_its_key_does_not_swallow_the_other(void **state)
{
    (void)state;
    struct series_table *table = new_table(8 << 20, 0, 11);
    assert_int_equal(series_table_add_probe(table, 1), 0);
    uint32_t probe = (uint32_t)(table->hash_keys[0] >> 32);
    uint32_t level = (uint32_t)table->hash_keys[0];
    unsigned same = 0;
    uint32_t id, before = 0;
    for (uint64_t who = 0; who < 1000; who++) {
        struct series_key key = {probe, level, who};
        assert_int_equal(series_store_add(table, key, &id), 0);
        same += series_at(table, id)->hash == before;
        before = series_at(table, id)->hash;
    }
    assert_true(same < 5);
    series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_series_is_that_of_the_model_whatever_is_folded),
        cmocka_unit_test(sums_of_a_probe_survive_a_million_operations_in_little_memory),
        cmocka_unit_test(keeps_hot_series_while_cold_ones_pass_by),
        cmocka_unit_test(folds_what_is_idle_and_nothing_else),
        cmocka_unit_test(visits_no_more_series_than_a_sweep_may),
        cmocka_unit_test(fifty_thousand_short_lives_fit_into_16_mib),
        cmocka_unit_test(shrinks_to_a_smaller_budget),
        cmocka_unit_test(counts_on_when_probes_alone_fill_the_budget),
        cmocka_unit_test(refuses_what_it_cannot_do),
        cmocka_unit_test(a_parent_that_is_no_coarser_counts_as_other),
        cmocka_unit_test(loses_no_call_whichever_allocation_fails),
        cmocka_unit_test(an_answer_without_memory_says_so),
        cmocka_unit_test(a_seed_of_its_own_defeats_chosen_collisions),
        cmocka_unit_test(a_word_that_meets_its_key_does_not_swallow_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
