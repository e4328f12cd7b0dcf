/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/event_decoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random_numbers.h"

#define LENGTHS 300 /* beyond the largest record, 248 */

struct seen {
    unsigned latencies, processes, cgroups;
    const void *record;
};

static void on_latency(const struct loris_latency_event *event, void *context)
{
    struct seen *seen = context;
    seen->latencies++;
    seen->record = event;
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

/* Decodes, and checks that sink and figures tell the same story. */
static enum verdict decode(const void *record, size_t length)
{
    struct seen seen = {0};
    struct event_figures figures = {10, 20, 30};
    const struct event_sink sink = {on_latency, on_process, on_cgroup, &seen};
    event_decode(record, length, &sink, &figures);
    unsigned calls = seen.latencies + seen.processes + seen.cgroups;
    if (calls > 1 || figures.latencies != 10 + seen.latencies ||
        figures.rare != 20 + seen.processes + seen.cgroups || figures.malformed != 31 - calls ||
        (calls && seen.record != record))
        fail_msg("figures and sink disagree");
    return seen.latencies ? LATENCY : seen.processes ? PROCESS : seen.cgroups ? CGROUP : MALFORMED;
}

/* What the contract in loris/event.h says. */
static enum verdict expected(unsigned tag, unsigned edge, size_t length, unsigned path_bytes)
{
    unsigned weight = path_bytes; /* both lie behind the edge; a test sets what its tag has */
    if (tag == 1 && length == 24 && weight >= 1 && weight <= 4095)
        return LATENCY;
    if (tag == 2 && length == 48 && edge >= 1 && edge <= 5)
        return PROCESS;
    if (tag == 3 && length == 248 && edge >= 1 && edge <= 3 && path_bytes < 224)
        return CGROUP;
    return MALFORMED;
}

/* The block ends where the record ends, so that a sanitizer sees a byte read beyond. */
static void every_tag_edge_and_length_is_judged_by_the_contract(void **state)
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
                if (decode(record, length) != expected(tag, edges[i], length, 0))
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
        assert_int_equal(decode(&process, sizeof(process)), expected(2, edge, 48, 0));
        assert_int_equal(decode(&cgroup, sizeof(cgroup)), expected(3, edge, 248, 0));
    }
}

static void a_path_never_claims_more_bytes_than_it_has(void **state)
{
    (void)state;
    struct loris_cgroup_event cgroup = {.tag = LORIS_EVENT_CGROUP, .edge = LORIS_CGROUP_MKDIR};
    for (unsigned bytes = 0; bytes <= 0xffff; bytes++) {
        cgroup.path_bytes = (__u16)bytes;
        if (decode(&cgroup, sizeof(cgroup)) != (bytes < sizeof(cgroup.path) ? CGROUP : MALFORMED))
            fail_msg("%u bytes", bytes);
    }
}

static void a_latency_record_is_taken_whatever_its_fields_hold(void **state)
{
    (void)state;
    struct loris_latency_event event;
    memset(&event, 0xff, sizeof(event));
    event.tag = LORIS_EVENT_LATENCY;
    event.weight = 1;
    assert_int_equal(decode(&event, sizeof(event)), LATENCY);
}

static void a_latency_record_stands_for_a_possible_number_of_calls(void **state)
{
    (void)state;
    struct loris_latency_event event = {.tag = LORIS_EVENT_LATENCY};
    for (unsigned weight = 0; weight <= 0xffff; weight++) {
        event.weight = (__u16)weight;
        if (decode(&event, sizeof(event)) != expected(1, 0, sizeof(event), weight))
            fail_msg("weight %u", weight);
    }
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
    const struct event_sink sink = {on_latency, on_process, on_cgroup, &seen};
    event_decode(&event, sizeof(event), &sink, &figures);
    assert_ptr_equal(seen.record, &event);
    assert_memory_equal(((const struct loris_process_event *)seen.record)->comm, "sixteen bytes ok",
                        16);
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
        enum verdict verdict = decode(record, length);
        unsigned behind = record[0] == 1 ? record[6] | (unsigned)record[7] << 8
                                         : record[2] | (unsigned)record[3] << 8;
        if (verdict != (length ? expected(record[0], record[1], length, behind) : MALFORMED))
            fail_msg("round %u", round);
        verdicts[verdict]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(verdicts[i], 1000, 999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tag_edge_and_length_is_judged_by_the_contract),
        cmocka_unit_test(every_edge_of_a_whole_record_is_judged),
        cmocka_unit_test(a_path_never_claims_more_bytes_than_it_has),
        cmocka_unit_test(a_latency_record_is_taken_whatever_its_fields_hold),
        cmocka_unit_test(a_latency_record_stands_for_a_possible_number_of_calls),
        cmocka_unit_test(the_record_reaches_the_sink_unchanged),
        cmocka_unit_test(a_million_random_records_are_each_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
