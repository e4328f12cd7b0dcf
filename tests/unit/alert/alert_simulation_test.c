/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two hours of an agent under a fake clock: calls into the series table, rows out of its windows,
 * rules, notices; with a restart in the middle. */
#include "alert_cases.h"

#include "../aggregate/record_call.h"
#include "aggregate/rollup.h"
#include "alert/alert_saved.h"

#define PROBE      3u
#define STEP_S     10
#define EPOCH_S    (ALERT_SAVED_AGE_MAX_NS / S)
#define MINUTES(m) ((m)*60u)

enum { SLOW, FAILING, SILENT, SLOW_PROCESS, RULES };

struct simulation {
    struct series_table *table;
    struct alert_book *book;
    struct told told;
    struct alert_rule rules[RULES];
    uint64_t second; /* since the start */
};

/* Two processes call: 71 as the hour says, 72 always well. */
struct weather {
    uint64_t from_s;
    unsigned calls_per_s;
    uint64_t latency_ms;
    unsigned failing_of_10;
};

static const struct weather weathers[] = {
    {MINUTES(0), 10, 10, 0},    {MINUTES(20), 10, 300, 0}, /* slow */
    {MINUTES(40), 10, 170, 0},                             /* between clear and above */
    {MINUTES(50), 10, 10, 0},   {MINUTES(60), 10, 10, 4},  /* two in ten of all fail */
    {MINUTES(63), 10, 10, 0},   {MINUTES(80), 0, 0, 0},    /* 71 is silent, and so is 72 */
    {MINUTES(90), 10, 10, 0},   {MINUTES(100), 10, 300, 0},
    {MINUTES(104), 10, 10, 0}, /* not long enough for `for` */
    {MINUTES(110), 10, 300, 0}, {MINUTES(121), 0, 0, 0},
};

static const struct weather *weather_at(uint64_t second)
{
    size_t i = 0;
    while (i + 1 < sizeof(weathers) / sizeof(weathers[0]) && weathers[i + 1].from_s <= second)
        i++;
    return &weathers[i];
}

static struct series_key by_none(struct series_key key, void *context)
{
    (void)context;
    return (struct series_key){.probe = key.probe, .level = SERIES_OTHER};
}

static struct series_key by_process(struct series_key key, void *context)
{
    (void)context;
    return key;
}

static void call_for_a_second(struct simulation *sim)
{
    const struct weather *weather = weather_at(sim->second);
    for (unsigned i = 0; i < weather->calls_per_s; i++) {
        const struct series_key sick = {PROBE, SERIES_PROCESS, 71ull << 32};
        const struct series_key well = {PROBE, SERIES_PROCESS, 72ull << 32};
        uint64_t now_ns = sim->second * S;
        record_call(sim->table, sick, weather->latency_ms * 1000000, i < weather->failing_of_10,
                    now_ns);
        record_call(sim->table, well, 5000000, false, now_ns);
    }
}

static void observe(struct simulation *sim, size_t rule, const struct rollup_row *row)
{
    struct alert_row figures = {.count = row->stat.count};
    rollup_derive(row, &figures.derived);
    struct alert_subject subject = probe_subject("user:a:b");
    if (row->key.level == SERIES_PROCESS) {
        subject.whom = ALERT_OF_PROCESS;
        subject.pid = (uint32_t)(row->key.who >> 32);
    }
    enum alert_metric metric = sim->rules[rule].metric;
    bool has_value = row->stat.count > 0 || !alert_metric_needs_calls(metric);
    alert_book_observe(sim->book, rule, &subject, has_value, alert_metric_value(metric, &figures),
                       row->stat.count);
}

static void look(struct simulation *sim)
{
    uint64_t now_ns = sim->second * S;
    alert_book_begin(sim->book);
    for (size_t rule = 0; rule < RULES; rule++) {
        struct rollup *rollup = NULL;
        assert_int_equal(rollup_new(sim->table, PROBE, 60 * S, now_ns,
                                    rule == SLOW_PROCESS ? by_process : by_none, NULL, &rollup),
                         0);
        const struct rollup_row silent = {.key = {.probe = PROBE, .level = SERIES_OTHER},
                                          .window_ns = 60 * S};
        if (rollup->row_count == 0 && rule != SLOW_PROCESS)
            observe(sim, rule, &silent);
        for (size_t i = 0; i < rollup->row_count; i++)
            observe(sim, rule, &rollup->rows[i]);
        rollup_free(rollup);
    }
    alert_book_finish(sim->book, (EPOCH_S + sim->second) * S);
}

static struct alert_book *open_book(struct simulation *sim)
{
    const struct alert_rule *pointers[RULES];
    for (size_t i = 0; i < RULES; i++)
        pointers[i] = &sim->rules[i];
    struct alert_book *book = new_book(&sim->told, 60 * S);
    assert_int_equal(alert_book_set_rules(book, pointers, RULES, EPOCH_S * S), 0);
    return book;
}

/* The agent ends and is there again at once; its windows are empty. */
static void restart(struct simulation *sim)
{
    struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_saved_write(&json, NULL, sim->book, (EPOCH_S + sim->second) * S);
    json_t *array = json_loads(text.bytes, 0, NULL);
    alert_book_free(sim->book);
    sim->book = open_book(sim);
    struct alert_saved_figures figures =
        alert_saved_read(array, sim->book, (EPOCH_S + sim->second) * S, 0, 70 * S);
    assert_int_equal(figures.refused + figures.ruleless, 0);
    json_decref(array);
    text_done(&text);
    series_table_remove_probe(sim->table, PROBE);
    assert_int_equal(series_table_add_probe(sim->table, PROBE), 0);
}

static void set_up(struct simulation *sim)
{
    const struct series_table_config config = {
        .max_bytes = 1 << 20, .slice_ns = STEP_S * S, .slices = 6, .hash_seed = 5};
    assert_int_equal(series_table_new(&config, &sim->table), 0);
    assert_int_equal(series_table_add_probe(sim->table, PROBE), 0);
    sim->rules[SLOW] = slow_rule("slow");
    sim->rules[SLOW].metric = ALERT_P95;
    sim->rules[SLOW].for_ns = 300 * S;
    sim->rules[SLOW].has_clear = true;
    sim->rules[SLOW].clear = 150e6;
    sim->rules[FAILING] = slow_rule("failing");
    sim->rules[FAILING].metric = ALERT_ERROR_RATIO;
    sim->rules[FAILING].threshold = 0.05;
    sim->rules[FAILING].min_count = 20;
    sim->rules[FAILING].for_ns = 60 * S;
    sim->rules[FAILING].keep_firing_ns = 300 * S;
    sim->rules[SILENT] = slow_rule("silent");
    sim->rules[SILENT].metric = ALERT_RATE;
    sim->rules[SILENT].is_below = true;
    sim->rules[SILENT].threshold = 5;
    sim->rules[SILENT].for_ns = 120 * S;
    sim->rules[SLOW_PROCESS] = slow_rule("process");
    sim->rules[SLOW_PROCESS].by = ALERT_BY_PROCESS;
    sim->rules[SLOW_PROCESS].for_ns = 600 * S;
    sim->book = open_book(sim);
}

/* "slow:firing@1510 ..." of what changed; the times are seconds since the start. */
static void assert_course(struct simulation *sim, const char *expected)
{
    struct text course = {0};
    const char *at = sim->told.changes.length ? sim->told.changes.bytes : "";
    while (*at) {
        const char *time = strchr(at, '@') + 1;
        text_append(&course, at, (size_t)(time - at));
        text_append_format(&course, "%llu",
                           (unsigned long long)(strtoull(time, (char **)&at, 10) - EPOCH_S));
        text_append_string(&course, *at ? " " : "");
        at += *at == ' ';
    }
    assert_string_equal(course.length ? course.bytes : "", expected);
    text_done(&course);
}

static void two_hours_end_with_every_notice_at_its_time(void **state)
{
    (void)state;
    struct simulation sim = {0};
    set_up(&sim);
    for (sim.second = 1; sim.second <= MINUTES(130); sim.second++) {
        call_for_a_second(&sim);
        if (sim.second % STEP_S == 0)
            look(&sim);
        if (sim.second == MINUTES(23) || sim.second == MINUTES(45))
            restart(&sim); /* while slow is pending, and while it fires */
    }
    /* A rate or a share crosses its threshold so many steps after the weather changed as it takes
     * for enough calls to come into the window of 60 s, or to leave it; for, keep_firing_for and
     * the windows add up to the second. Restarts cost nothing and are not seen. */
    assert_course(&sim, "slow:firing@1510 process:firing@1800 process:inactive@2460 "
                        "slow:inactive@3060 failing:firing@3680 failing:inactive@4130 "
                        "silent:firing@4970 silent:inactive@5420 slow:firing@6910 "
                        "process:firing@7200 slow:unknown@7320 process:unknown@7320 "
                        "silent:firing@7430");
    assert_said(&sim.told.notices,
                "slow:firing process:firing process:resolved slow:resolved failing:firing "
                "failing:resolved silent:firing silent:resolved slow:firing process:firing "
                "slow:unknown process:unknown silent:firing");
    alert_book_free(sim.book);
    series_table_free(sim.table);
    told_done(&sim.told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hours_end_with_every_notice_at_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
