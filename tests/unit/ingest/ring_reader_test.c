/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/ring_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"
#include "failing_map.h"
#include "fake_ring.h"
#include "random_numbers.h"

#define RING_BYTES  4096u
#define RECORDS_MAX 1024

/* What was handed over. */
struct seen {
    unsigned count;
    size_t lengths[RECORDS_MAX];
    unsigned char first[RECORDS_MAX]; /* byte of the record, which all its bytes must equal */
};

typedef void (*record_fn)(const void *record, size_t length, void *context);

/* Takes what there is, at most so many records, and gives their room back. */
static uint32_t consume_each(struct ring_reader *reader, uint32_t max_records, record_fn on_record,
                             void *context)
{
    uint64_t until = ring_reader_produced(reader);
    struct ring_span span;
    uint32_t taken = 0, count;
    do {
        count = ring_reader_take(reader, until, max_records - taken, &span);
        assert_true(count <= max_records - taken);
        for (uint32_t i = 0; i < count; i++)
            on_record(span.first + i * ring_span_step(span.length), span.length, context);
        taken += count;
        ring_reader_release(reader);
    } while (count > 0);
    return taken;
}

static void see_record(const void *record, size_t length, void *context)
{
    struct seen *seen = context;
    const unsigned char *bytes = record;
    assert_true(length < RING_BYTES && (uintptr_t)record % 8 == 0);
    assert_true(seen->count < RECORDS_MAX);
    for (size_t i = 1; i < length; i++)
        assert_int_equal(bytes[i], bytes[0]);
    seen->lengths[seen->count] = length;
    seen->first[seen->count++] = length ? bytes[0] : 0;
}

struct fixture {
    struct fake_ring ring;
    struct ring_reader *reader;
    struct seen seen;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fake_ring_init(&fixture.ring, RING_BYTES);
    *state = &fixture;
    return ring_reader_new(fixture.ring.fd, RING_BYTES, &fixture.reader);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    ring_reader_free(fixture->reader);
    fake_ring_done(&fixture->ring);
    return 0;
}

static uint32_t consume(struct fixture *fixture, uint32_t max_records)
{
    memset(&fixture->seen, 0, sizeof(fixture->seen));
    uint32_t taken = consume_each(fixture->reader, max_records, see_record, &fixture->seen);
    assert_int_equal(taken, fixture->seen.count);
    return taken;
}

static uint64_t reserve(struct fixture *fixture, unsigned char fill, uint32_t length)
{
    unsigned char bytes[RING_BYTES];
    uint64_t position = 0;
    memset(bytes, fill, sizeof(bytes));
    assert_true(fake_ring_reserve(&fixture->ring, bytes, length, &position));
    return position;
}

static void submit(struct fixture *fixture, unsigned char fill, uint32_t length)
{
    fake_ring_commit(&fixture->ring, reserve(fixture, fill, length), length);
}

static void an_empty_ring_hands_over_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(consume(fixture, 100), 0);
    assert_int_equal(ring_reader_pending(fixture->reader), 0);
    assert_int_equal(ring_reader_broken(fixture->reader), 0);
}

static void hands_over_every_record_with_its_length(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t lengths[] = {24, 48, 248, 1, 7, 8, 9, 0, 1000};
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 9; i++) {
        submit(fixture, (unsigned char)(i + 1), lengths[i]);
        bytes += fake_ring_step(lengths[i]);
    }
    assert_int_equal(ring_reader_pending(fixture->reader), bytes);
    assert_int_equal(consume(fixture, 100), 9);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(fixture->seen.lengths[i], lengths[i]);
        assert_int_equal(fixture->seen.first[i], lengths[i] ? i + 1 : 0);
    }
    assert_int_equal(ring_reader_pending(fixture->reader), 0);
    assert_int_equal(ring_reader_consumed(fixture->reader), bytes);
    assert_int_equal(ring_reader_produced(fixture->reader), bytes);
}

static void gives_the_room_back_to_the_producer(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 1, RING_BYTES - 16);
    uint64_t position = 0;
    assert_false(fake_ring_reserve(&fixture->ring, "", 8, &position));
    assert_int_equal(consume(fixture, 1), 1);
    assert_int_equal(*fake_ring_consumed(&fixture->ring), RING_BYTES - 8);
    assert_true(fake_ring_reserve(&fixture->ring, "1234567", 8, &position));
}

static void waits_at_a_record_that_is_being_written(void **state)
{
    struct fixture *fixture = *state;
    submit(fixture, 1, 24);
    uint64_t busy = reserve(fixture, 2, 24);
    submit(fixture, 3, 24);
    assert_int_equal(consume(fixture, 100), 1);
    assert_int_equal(consume(fixture, 100), 0);
    assert_int_equal(ring_reader_pending(fixture->reader), 64);
    fake_ring_commit(&fixture->ring, busy, 24);
    assert_int_equal(consume(fixture, 100), 2);
    assert_int_equal(fixture->seen.first[0], 2);
    assert_int_equal(fixture->seen.first[1], 3);
}

static void waits_at_a_busy_record_even_when_it_is_marked_discarded(void **state)
{
    struct fixture *fixture = *state;
    uint64_t busy = reserve(fixture, 2, 24);
    fake_ring_set_header(&fixture->ring, busy, 24 | BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    assert_int_equal(consume(fixture, 100), 0);
    assert_int_equal(ring_reader_consumed(fixture->reader), 0);
}

static void passes_over_discarded_records_without_counting_them(void **state)
{
    struct fixture *fixture = *state;
    fake_ring_discard(&fixture->ring, reserve(fixture, 9, 24), 24);
    submit(fixture, 1, 24);
    fake_ring_discard(&fixture->ring, reserve(fixture, 9, 248), 248);
    submit(fixture, 2, 24);
    fake_ring_discard(&fixture->ring, reserve(fixture, 9, 24), 24);
    assert_int_equal(consume(fixture, 2), 2);
    assert_int_equal(fixture->seen.first[0], 1);
    assert_int_equal(fixture->seen.first[1], 2);
    assert_int_equal(consume(fixture, 2), 0);
    assert_int_equal(ring_reader_pending(fixture->reader), 0);
}

static void takes_no_more_than_it_may(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned char i = 0; i < 100; i++)
        submit(fixture, i, 24);
    assert_int_equal(consume(fixture, 0), 0);
    unsigned char next = 0;
    for (uint32_t taken; (taken = consume(fixture, 7)) > 0;)
        for (uint32_t i = 0; i < taken; i++)
            assert_int_equal(fixture->seen.first[i], next++);
    assert_int_equal(next, 100);
}

static void a_record_across_the_end_comes_in_one_piece(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t gap = 8; gap <= 256; gap += 8) {
        fake_ring_begin_at(&fixture->ring, 5 * RING_BYTES - gap);
        submit(fixture, (unsigned char)gap, 248);
        submit(fixture, 77, 24);
        assert_int_equal(consume(fixture, 9), 2);
        assert_int_equal(fixture->seen.first[0], (unsigned char)gap);
        assert_int_equal(fixture->seen.lengths[0], 248);
        assert_int_equal(fixture->seen.first[1], 77);
    }
}

static void records_of_one_length_come_together(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t lengths[] = {24, 24, 24, 48, 48, 24};
    static const uint32_t counts[] = {3, 2, 1};
    struct ring_span span;
    for (unsigned i = 0; i < 6; i++)
        submit(fixture, (unsigned char)i, lengths[i]);
    uint64_t until = ring_reader_produced(fixture->reader);
    for (unsigned i = 0, first = 0; i < 3; first += counts[i++]) {
        assert_int_equal(ring_reader_take(fixture->reader, until, 100, &span), counts[i]);
        assert_int_equal(span.count, counts[i]);
        assert_int_equal(span.length, lengths[first]);
        assert_int_equal(span.first[0], first);
        ring_reader_release(fixture->reader);
    }
    assert_int_equal(ring_reader_take(fixture->reader, until, 100, &span), 0);
}

/* Where the bytes are mapped a second time only for what crosses the end. */
static void a_span_ends_with_the_ring(void **state)
{
    struct fixture *fixture = *state;
    struct ring_span span;
    fake_ring_begin_at(&fixture->ring, RING_BYTES - 80);
    for (unsigned char i = 0; i < 6; i++)
        submit(fixture, i, 24);
    uint64_t until = ring_reader_produced(fixture->reader);
    assert_int_equal(ring_reader_take(fixture->reader, until, 100, &span), 3); /* one crosses */
    ring_reader_release(fixture->reader);
    assert_int_equal(ring_reader_take(fixture->reader, until, 100, &span), 3);
    assert_int_equal(span.first[0], 3);
}

static void room_is_given_back_at_the_release_only(void **state)
{
    struct fixture *fixture = *state;
    struct ring_span span;
    submit(fixture, 1, 24);
    submit(fixture, 2, 24);
    uint64_t until = ring_reader_produced(fixture->reader);
    assert_int_equal(ring_reader_take(fixture->reader, until, 1, &span), 1);
    assert_int_equal(*fake_ring_consumed(&fixture->ring), 0);
    ring_reader_release(fixture->reader);
    assert_int_equal(*fake_ring_consumed(&fixture->ring), 32);
}

static void nothing_behind_the_position_asked_for_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct ring_span span;
    submit(fixture, 1, 24);
    uint64_t until = ring_reader_produced(fixture->reader);
    submit(fixture, 2, 24);
    assert_int_equal(ring_reader_take(fixture->reader, until, 9, &span), 1);
    ring_reader_release(fixture->reader);
    assert_int_equal(ring_reader_take(fixture->reader, until, 9, &span), 0);
    assert_int_equal(consume(fixture, 9), 1);
}

static void positions_beyond_32_bits_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t begin = (1ull << 32) - 32;
    fake_ring_begin_at(&fixture->ring, begin);
    for (unsigned char i = 0; i < 9; i++)
        submit(fixture, i, 24);
    assert_int_equal(consume(fixture, 100), 9);
    assert_true(ring_reader_consumed(fixture->reader) == begin + 9 * 32ull);
}

static void an_impossible_length_is_counted_and_left_behind(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t lengths[] = {25, 32, RING_BYTES, 0x3fffffff, 0x3ffffff8, 1 << 20};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        submit(fixture, 1, 24);
        uint64_t bad = reserve(fixture, 2, 24);
        fake_ring_set_header(&fixture->ring, bad, lengths[i]);
        assert_int_equal(consume(fixture, 100), 1);
        assert_int_equal(ring_reader_broken(fixture->reader), i + 1);
        assert_int_equal(ring_reader_pending(fixture->reader), 0);
        submit(fixture, 3, 24);
        assert_int_equal(consume(fixture, 100), 1);
        assert_int_equal(fixture->seen.first[0], 3);
    }
}

static void a_discarded_record_of_impossible_length_is_broken_too(void **state)
{
    struct fixture *fixture = *state;
    fake_ring_discard(&fixture->ring, reserve(fixture, 2, 24), 4000);
    assert_int_equal(consume(fixture, 100), 0);
    assert_int_equal(ring_reader_broken(fixture->reader), 1);
    assert_int_equal(ring_reader_pending(fixture->reader), 0);
}

/* The kernel never does this; yet a reader that believed it would read beyond its mapping. */
static void a_record_longer_than_the_ring_is_broken_wherever_the_producer_claims_to_be(void **state)
{
    struct fixture *fixture = *state;
    fake_ring_set_header(&fixture->ring, 0, 2 * RING_BYTES);
    *fake_ring_produced(&fixture->ring) = 1ull << 40;
    assert_int_equal(consume(fixture, 100), 0);
    assert_int_equal(ring_reader_broken(fixture->reader), 1);
}

static void what_is_no_ring_is_refused(void **state)
{
    (void)state;
    struct ring_reader *reader = NULL;
    assert_int_equal(ring_reader_new(-1, RING_BYTES, &reader), -EBADF);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(ring_reader_new(pipe_fds[0], RING_BYTES, &reader) < 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_null(reader);
    ring_reader_free(NULL);
}

static void open_and_close(void *context)
{
    const struct fixture *fixture = context;
    struct ring_reader *reader = NULL;
    int status = ring_reader_new(fixture->ring.fd, RING_BYTES, &reader);
    assert_true(status == 0 || status == -ENOMEM);
    assert_true((status == 0) == (reader != NULL));
    ring_reader_free(reader);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(open_and_close, *state), 1, 10);
}

static void survives_every_failed_mapping(void **state)
{
    assert_int_equal(failing_map_each(open_and_close, *state), 2);
}

/* --- against a model ---------------------------------------------------------------------------
 */

enum fate { FATE_BUSY, FATE_SUBMITTED, FATE_DISCARDED };

struct model_record {
    uint64_t position;
    uint32_t length;
    uint32_t number; /* written into the record */
    enum fate fate;
};

#define MODEL_RECORDS 512 /* a ring of 4096 holds no more */

struct model {
    struct fixture *fixture;
    struct model_record queue[MODEL_RECORDS];
    uint32_t first, count;
    uint32_t next_number;
    uint64_t random;
    uint64_t handed_over;
};

static struct model_record *model_at(struct model *model, uint32_t index)
{
    return &model->queue[(model->first + index) % MODEL_RECORDS];
}

static void fill_record(unsigned char *bytes, uint32_t length, uint32_t number)
{
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(number >> (8 * (i % 4)));
}

static void model_reserve(struct model *model)
{
    unsigned char bytes[RING_BYTES];
    uint32_t longest = random_below(&model->random, 50) == 0 ? 2000 : 80;
    struct model_record record = {.length = random_below(&model->random, longest),
                                  .number = model->next_number};
    fill_record(bytes, record.length, record.number);
    if (!fake_ring_reserve(&model->fixture->ring, bytes, record.length, &record.position))
        return;
    model->next_number++;
    *model_at(model, model->count++) = record;
    assert_true(model->count <= MODEL_RECORDS);
}

static void model_finish(struct model *model)
{
    if (model->count == 0)
        return;
    struct model_record *record = model_at(model, random_below(&model->random, model->count));
    if (record->fate != FATE_BUSY)
        return;
    bool discard = random_below(&model->random, 8) == 0;
    record->fate = discard ? FATE_DISCARDED : FATE_SUBMITTED;
    if (discard)
        fake_ring_discard(&model->fixture->ring, record->position, record->length);
    else
        fake_ring_commit(&model->fixture->ring, record->position, record->length);
}

static void model_pop_discarded(struct model *model)
{
    while (model->count > 0 && model_at(model, 0)->fate == FATE_DISCARDED) {
        model->first = (model->first + 1) % MODEL_RECORDS;
        model->count--;
    }
}

static void on_model_record(const void *record, size_t length, void *context)
{
    struct model *model = context;
    unsigned char expected[RING_BYTES];
    model_pop_discarded(model);
    assert_true(model->count > 0);
    const struct model_record *oldest = model_at(model, 0);
    assert_int_equal(oldest->fate, FATE_SUBMITTED);
    assert_int_equal(length, oldest->length);
    fill_record(expected, oldest->length, oldest->number);
    assert_true(memcmp(record, expected, length) == 0);
    model->first = (model->first + 1) % MODEL_RECORDS;
    model->count--;
    model->handed_over++;
}

static void model_consume(struct model *model, uint32_t max_records)
{
    uint64_t before = model->handed_over;
    uint32_t taken = consume_each(model->fixture->reader, max_records, on_model_record, model);
    assert_int_equal(taken, model->handed_over - before);
    assert_true(taken <= max_records);
    if (taken == max_records)
        return;
    /* It stopped for a reason: nothing is left, or the oldest is busy. */
    model_pop_discarded(model);
    assert_true(model->count == 0 || model_at(model, 0)->fate == FATE_BUSY);
    uint64_t begin =
        model->count ? model_at(model, 0)->position : ring_reader_produced(model->fixture->reader);
    assert_true(ring_reader_consumed(model->fixture->reader) == begin);
}

static void agrees_with_a_queue_over_a_million_random_steps(void **state)
{
    static struct model model;
    memset(&model, 0, sizeof(model));
    model.fixture = *state;
    model.random = 20261120;
    for (unsigned step = 0; step < 1000000; step++) {
        uint32_t dice = random_below(&model.random, 100);
        if (dice < 40)
            model_reserve(&model);
        else if (dice < 90)
            model_finish(&model);
        else
            model_consume(&model, random_below(&model.random, 20));
    }
    assert_in_range(model.handed_over, 100000, 400000);
    assert_int_equal(ring_reader_broken(model.fixture->reader), 0);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(an_empty_ring_hands_over_nothing),
        RING_TEST(hands_over_every_record_with_its_length),
        RING_TEST(gives_the_room_back_to_the_producer),
        RING_TEST(waits_at_a_record_that_is_being_written),
        RING_TEST(waits_at_a_busy_record_even_when_it_is_marked_discarded),
        RING_TEST(passes_over_discarded_records_without_counting_them),
        RING_TEST(takes_no_more_than_it_may),
        RING_TEST(a_record_across_the_end_comes_in_one_piece),
        RING_TEST(records_of_one_length_come_together),
        RING_TEST(a_span_ends_with_the_ring),
        RING_TEST(room_is_given_back_at_the_release_only),
        RING_TEST(nothing_behind_the_position_asked_for_is_taken),
        RING_TEST(positions_beyond_32_bits_are_kept),
        RING_TEST(an_impossible_length_is_counted_and_left_behind),
        RING_TEST(a_discarded_record_of_impossible_length_is_broken_too),
        RING_TEST(a_record_longer_than_the_ring_is_broken_wherever_the_producer_claims_to_be),
        cmocka_unit_test(what_is_no_ring_is_refused),
        RING_TEST(survives_every_failed_allocation),
        RING_TEST(survives_every_failed_mapping),
        RING_TEST(agrees_with_a_queue_over_a_million_random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
