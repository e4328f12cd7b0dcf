/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loris/event.h"
#include "series_cases.h"

#include <errno.h>
#include <stdlib.h>

#define PROBES       4u
#define MODEL_SERIES 4096u

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

/* --- random operations ------------------------------------------------------------------------ */

/* Mostly a batch of one, at times of many; mostly of weight 1. */
static void record_batch(struct series_table *table, struct model *model, uint64_t pids,
                         uint64_t now)
{
    enum { MOST = 300 };
    struct series_sample samples[MOST];
    uint64_t count = random_below(20) ? 1 : random_below(MOST + 1);
    for (uint64_t i = 0; i < count; i++) {
        struct series_sample *sample = &samples[i];
        *sample = (struct series_sample){
            .key = process((uint32_t)random_below(PROBES), random_below(pids)),
            .latency_ns = random_latency(),
            .weight = 1,
            .error = random_below(11) == 0,
        };
        if (random_below(8) == 0 && sample->latency_ns < 1ull << 36)
            sample->weight = 1 + (uint32_t)random_below(LORIS_WEIGHT_MAX);
        assert_int_equal(latency_stat_record(&model->probes[sample->key.probe], sample->latency_ns,
                                             sample->error, sample->weight),
                         0);
        if (model->count < MODEL_SERIES) /* kept in one of the two tests */
            assert_int_equal(latency_stat_record(model_stat(model, sample->key), sample->latency_ns,
                                                 sample->error, sample->weight),
                             0);
    }
    series_table_record(table, samples, count, now);
}

static void merge_delta(struct series_table *table, struct model *model, bool exact, uint64_t now)
{
    struct latency_stat delta;
    latency_stat_init(&delta);
    struct series_key key = {(uint32_t)random_below(PROBES), SERIES_UNATTRIBUTED, 0};
    for (uint64_t calls = random_below(30); calls > 0; calls--)
        assert_int_equal(latency_stat_record(&delta, random_latency(), calls % 7 == 0, 1), 0);
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
    for (unsigned i = 0; i < 50000; i++) {
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
        default:
            record_batch(table, model, 100, now);
        }
        if (i % 5000 != 0)
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
    for (unsigned i = 0; i < 150000; i++) {
        now += random_below(SECOND / 200);
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
            now += random_below(10) ? 0 : 25 * SECOND;
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
        default:
            record_batch(table, model, random_below(2) ? 20 : 100000, now);
        }
        if (i % 7500 != 0)
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

/* --- configuration ---------------------------------------------------------------------------- */

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
    record_call(table, process(2, 1), 1, false, 1);
    assert_int_equal(series_table_figures(table).refused_calls, 1);
    /* without a parent function everything folds into OTHER */
    record_call(table, process(1, 1), 1, false, 1);
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
    record_call(table, process(1, 1), 1, false, 1);
    series_table_fold(table, process(1, 1), 1);
    assert_int_equal(count_of(table, series_other_key(1)), 1);
    series_table_free(table);
}

/* --- the index -------------------------------------------------------------------------------- */

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
        record_call(chosen, process(1, pid), 5, false, 0);
        bool collides = (series_table_find(chosen, process(1, pid))->hash & 1023) == 17;
        series_table_fold(chosen, process(1, pid), 0);
        if (collides)
            pids[found++] = pid;
    }
    unsigned homes[1024] = {0}, worst = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        record_call(chosen, process(1, pids[i]), 5, false, 0);
        record_call(other, process(1, pids[i]), 5, false, 0);
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
    uint32_t probe = (uint32_t)table->hash_keys[0];
    uint32_t level = (uint32_t)(table->hash_keys[0] >> 32);
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
        cmocka_unit_test(refuses_what_it_cannot_do),
        cmocka_unit_test(a_parent_that_is_no_coarser_counts_as_other),
        cmocka_unit_test(a_seed_of_its_own_defeats_chosen_collisions),
        cmocka_unit_test(a_word_that_meets_its_key_does_not_swallow_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
