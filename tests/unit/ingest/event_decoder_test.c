/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/event_decoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random_numbers.h"

#define LENGTHS 300 /* beyond the largest rare record, 248 */

struct seen {
    unsigned latencies, processes, cgroups;
    const void *record;
    uint32_t pids[EVENT_BATCH_MAX]; /* of the latencies */
};

static void on_latencies(const struct loris_latency_event *latencies, uint32_t count, void *context)
{
    struct seen *seen = context;
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++)
        seen->pids[seen->latencies++] = latencies[i].pid;
    seen->record = &latencies[count - 1];
}

static void on_process(const struct loris_process_event *event, void *context)
{
    struct seen *seen = context;
    seen->processes++;
    seen->record = event;
}

static void on_cgroup(const struct loris_cgroup_event *event, void *context)
{
    struct seen *seen = context;
    seen->cgroups++;
    seen->record = event;
}

enum verdict { MALFORMED, LATENCY, PROCESS, CGROUP };

/* Sink and figures have to tell the same story about one record. */
static enum verdict verdict_of(const struct seen *seen, const struct event_figures *figures,
                               const void *record)
{
    unsigned calls = seen->latencies + seen->processes + seen->cgroups;
    if (calls > 1 || figures->latencies != 10 + seen->latencies ||
        figures->rare != 20 + seen->processes + seen->cgroups || figures->malformed != 31 - calls ||
        (calls && seen->record != record))
        fail_msg("figures and sink disagree");
    return seen->latencies   ? LATENCY
           : seen->processes ? PROCESS
           : seen->cgroups   ? CGROUP
                             : MALFORMED;
}

static enum verdict decode_rare_one(const void *record, size_t length)
{
    struct seen seen = {0};
    struct event_figures figures = {10, 20, 30};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
    const struct ring_span span = {record, (uint32_t)length, 1};
    event_decode_rare(&span, &sink, &figures);
    return verdict_of(&seen, &figures, record);
}

static enum verdict decode_sample(const struct loris_latency_event *sample)
{
    struct seen seen = {0};
    struct event_figures figures = {10, 20, 30};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
    event_decode_samples(sample, 1, &sink, &figures);
    return verdict_of(&seen, &figures, sample);
}

/* What the contract in loris/event.h says of a record in a ring; samples are none. */
static enum verdict expected_rare(unsigned tag, unsigned edge, size_t length, unsigned path_bytes)
{
    if (tag == 2 && length == 48 && edge >= 1 && edge <= 5)
        return PROCESS;
    if (tag == 3 && length == 248 && edge >= 1 && edge <= 3 && path_bytes < 224)
        return CGROUP;
    return MALFORMED;
}

/* And of one in a log, where nothing else is. */
static enum verdict expected_sample(unsigned tag, unsigned weight)
{
    return tag == 1 && weight >= 1 && weight <= 4095 ? LATENCY : MALFORMED;
}

/* The block ends where the record ends, so that a sanitizer sees a byte read beyond. */
static void every_rare_tag_edge_and_length_is_judged_by_the_contract(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0, 1, 2, 3, 4, 5, 6, 127, 255};
    for (size_t length = 0; length < LENGTHS; length++) {
        unsigned char *record = malloc(length ? length : 1);
        assert_non_null(record);
        memset(record, 0, length ? length : 1);
        for (unsigned tag = 0; tag < 256; tag++) {
            for (size_t i = 0; i < sizeof(edges); i++) {
                if (length > 0)
                    record[0] = (unsigned char)tag;
                if (length > 1)
                    record[1] = edges[i];
                if (decode_rare_one(record, length) != expected_rare(tag, edges[i], length, 0))
                    fail_msg("tag %u, edge %u, %zu bytes", tag, edges[i], length);
            }
        }
        free(record);
    }
}

static void every_edge_of_a_whole_record_is_judged(void **state)
{
    (void)state;
    for (unsigned edge = 0; edge < 256; edge++) {
        struct loris_process_event process = {.tag = LORIS_EVENT_PROCESS, .edge = (__u8)edge};
        struct loris_cgroup_event cgroup = {.tag = LORIS_EVENT_CGROUP, .edge = (__u8)edge};
        assert_int_equal(decode_rare_one(&process, sizeof(process)), expected_rare(2, edge, 48, 0));
        assert_int_equal(decode_rare_one(&cgroup, sizeof(cgroup)), expected_rare(3, edge, 248, 0));
    }
}

static void a_path_never_claims_more_bytes_than_it_has(void **state)
{
    (void)state;
    struct loris_cgroup_event cgroup = {.tag = LORIS_EVENT_CGROUP, .edge = LORIS_CGROUP_MKDIR};
    for (unsigned bytes = 0; bytes <= 0xffff; bytes++) {
        cgroup.path_bytes = (__u16)bytes;
        if (decode_rare_one(&cgroup, sizeof(cgroup)) !=
            (bytes < sizeof(cgroup.path) ? CGROUP : MALFORMED))
            fail_msg("%u bytes", bytes);
    }
}

static void every_tag_and_flag_of_a_sample_is_judged_by_the_contract(void **state)
{
    (void)state;
    struct loris_latency_event *sample = malloc(sizeof(*sample));
    assert_non_null(sample);
    for (unsigned tag = 0; tag < 256; tag++) {
        for (unsigned flags = 0; flags < 256; flags++) {
            *sample =
                (struct loris_latency_event){.tag = (__u8)tag, .flags = (__u8)flags, .weight = 1};
            if (decode_sample(sample) != expected_sample(tag, 1))
                fail_msg("tag %u, flags %u", tag, flags);
        }
    }
    free(sample);
}

static void a_sample_is_taken_whatever_its_fields_hold(void **state)
{
    (void)state;
    struct loris_latency_event event;
    memset(&event, 0xff, sizeof(event));
    event.tag = LORIS_EVENT_LATENCY;
    event.weight = 1;
    assert_int_equal(decode_sample(&event), LATENCY);
}

static void a_sample_stands_for_a_possible_number_of_calls(void **state)
{
    (void)state;
    struct loris_latency_event event = {.tag = LORIS_EVENT_LATENCY};
    for (unsigned weight = 0; weight <= 0xffff; weight++) {
        event.weight = (__u16)weight;
        if (decode_sample(&event) != expected_sample(1, weight))
            fail_msg("weight %u", weight);
    }
}

static void an_empty_batch_does_not_reach_the_sink(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct event_figures figures = {0};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
    event_decode_samples(NULL, 0, &sink, &figures);
    assert_null(seen.record);
    assert_int_equal(figures.latencies + figures.malformed, 0);
}

static void the_record_reaches_the_sink_unchanged(void **state)
{
    (void)state;
    struct loris_process_event event = {.tag = LORIS_EVENT_PROCESS,
                                        .edge = LORIS_PROCESS_EXEC,
                                        .pid = 71,
                                        .start_tick = 9,
                                        .cgroup_id = 1ull << 60,
                                        .comm = "sixteen bytes ok"};
    struct seen seen = {0};
    struct event_figures figures = {0};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
    const struct ring_span span = {(const unsigned char *)&event, sizeof(event), 1};
    event_decode_rare(&span, &sink, &figures);
    assert_ptr_equal(seen.record, &event);
    assert_memory_equal(((const struct loris_process_event *)seen.record)->comm, "sixteen bytes ok",
                        16);
}

/* Whatever of a batch is bad, the rest arrives, in order. */
static void a_bad_sample_stops_none_of_its_batch(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (unsigned round = 0; round < 2000; round++) {
        struct loris_latency_event samples[EVENT_BATCH_MAX];
        uint32_t count = 1 + random_below(&random, EVENT_BATCH_MAX), good = 0;
        uint32_t expected_pids[EVENT_BATCH_MAX], one_in = 1 + random_below(&random, 20);
        memset(samples, 0xff, sizeof(samples));
        for (uint32_t i = 0; i < count; i++) {
            struct loris_latency_event *event = &samples[i];
            bool bad = random_below(&random, one_in) == 0;
            *event = (struct loris_latency_event){.tag = 1, .weight = 4095, .pid = i};
            if (bad && random_below(&random, 2))
                event->weight = (__u16)(4096 * random_below(&random, 16));
            else if (bad)
                event->tag = (__u8)(2 + random_below(&random, 255));
            else
                expected_pids[good++] = i;
        }
        struct seen seen = {0};
        struct event_figures figures = {0};
        const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
        event_decode_samples(samples, count, &sink, &figures);
        assert_int_equal(seen.latencies, good);
        assert_int_equal(figures.latencies, good);
        assert_int_equal(figures.malformed, count - good);
        assert_memory_equal(seen.pids, expected_pids, good * sizeof(uint32_t));
    }
}

static void a_bad_edge_stops_none_of_its_span(void **state)
{
    (void)state;
    struct {
        struct loris_process_event event;
        uint64_t next_header;
    } processes[5] = {0};
    for (unsigned i = 0; i < 5; i++) {
        processes[i].event.tag = LORIS_EVENT_PROCESS;
        processes[i].event.edge = i % 2 ? 0 : LORIS_PROCESS_EXEC;
    }
    struct seen seen = {0};
    struct event_figures figures = {0};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &seen};
    const struct ring_span span = {(const unsigned char *)processes, 48, 5};
    event_decode_rare(&span, &sink, &figures);
    assert_int_equal(seen.processes, 3);
    assert_ptr_equal(seen.record, &processes[4].event);
    assert_int_equal(figures.rare, 3);
    assert_int_equal(figures.malformed, 2);
}

static void a_million_random_records_are_each_counted_once(void **state)
{
    (void)state;
    uint64_t random = 7;
    unsigned verdicts[4] = {0};
    static const size_t whole[] = {24, 48, 248};
    for (unsigned round = 0; round < 1000000; round++) {
        uint64_t words[LENGTHS / 8 + 1];
        unsigned char *record = (unsigned char *)words;
        size_t length = random_below(&random, 2) ? whole[random_below(&random, 3)]
                                                 : random_below(&random, LENGTHS);
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            words[i] = random_u64(&random);
        if (random_below(&random, 4)) {
            record[0] %= 5;
            record[1] %= 8;
            record[3] = 0;
            record[7] = 0;
        }
        unsigned path_bytes = record[2] | (unsigned)record[3] << 8;
        unsigned weight = record[6] | (unsigned)record[7] << 8;
        enum verdict rare = decode_rare_one(record, length);
        enum verdict sample = decode_sample((const struct loris_latency_event *)words);
        if (rare != (length ? expected_rare(record[0], record[1], length, path_bytes) : MALFORMED))
            fail_msg("round %u, in a ring", round);
        if (sample != expected_sample(record[0], weight))
            fail_msg("round %u, in a log", round);
        verdicts[rare]++;
        verdicts[sample]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(verdicts[i], 1000, 1999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rare_tag_edge_and_length_is_judged_by_the_contract),
        cmocka_unit_test(every_edge_of_a_whole_record_is_judged),
        cmocka_unit_test(a_path_never_claims_more_bytes_than_it_has),
        cmocka_unit_test(every_tag_and_flag_of_a_sample_is_judged_by_the_contract),
        cmocka_unit_test(a_sample_is_taken_whatever_its_fields_hold),
        cmocka_unit_test(a_sample_stands_for_a_possible_number_of_calls),
        cmocka_unit_test(an_empty_batch_does_not_reach_the_sink),
        cmocka_unit_test(the_record_reaches_the_sink_unchanged),
        cmocka_unit_test(a_bad_sample_stops_none_of_its_batch),
        cmocka_unit_test(a_bad_edge_stops_none_of_its_span),
        cmocka_unit_test(a_million_random_records_are_each_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
