/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slices that are over are only ever read, so they are packed: about a byte for each non-empty
 * bucket, where a sketch has 64 counters and a block for every power of two that it touched.
 *
 *     varints (LEB128): count, errors, sum_ns, min_ns, max_ns - min_ns, thinned_square
 *     per non-empty bucket in ascending order one byte, distance to the last bucket << 4 | count;
 *     a nibble of 15 means 15 and more: what is missing follows as a varint, distance first
 *
 * Buckets are numbered 0 for 0 ns, 1 for 1 ns, 2 + power * (64 >> halvings) + slot for the others;
 * the bucket before the first has number -1.
 */
#include "aggregate/series_internal.h"

#include <assert.h>
#include <string.h>

#include "aggregate/sketch_page.h"

#define NIBBLE_MAX 15u

/* --- writing -----------------------------------------------------------------------------------
 */

/* Writes as far as there is room; the rest it only counts. */
struct slice_writer {
    uint8_t *at;
    size_t room;
    size_t length;
    uint32_t last;
};

static struct slice_writer start_writing(uint8_t *at, size_t room)
{
    return (struct slice_writer){.at = at, .room = room, .last = UINT32_MAX};
}

static void put_byte(struct slice_writer *writer, uint8_t byte)
{
    if (writer->length < writer->room)
        writer->at[writer->length] = byte;
    writer->length++;
}

static void put_varint(struct slice_writer *writer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(writer, (uint8_t)(value | 0x80));
    put_byte(writer, (uint8_t)value);
}

static void put_bucket(struct slice_writer *writer, uint32_t number, uint64_t count)
{
    uint32_t distance = number - writer->last;
    unsigned high = distance < NIBBLE_MAX ? distance : NIBBLE_MAX;
    unsigned low = count < NIBBLE_MAX ? (unsigned)count : NIBBLE_MAX;
    put_byte(writer, (uint8_t)(high << 4 | low));
    if (high == NIBBLE_MAX)
        put_varint(writer, distance - NIBBLE_MAX);
    if (low == NIBBLE_MAX)
        put_varint(writer, count - NIBBLE_MAX);
    writer->last = number;
}

/* Of the stat all but its sketch. */
static void put_scalars(struct slice_writer *writer, const struct latency_stat *stat)
{
    put_varint(writer, stat->count);
    put_varint(writer, stat->errors);
    put_varint(writer, stat->sum_ns);
    put_varint(writer, stat->min_ns);
    put_varint(writer, stat->max_ns - stat->min_ns);
    put_varint(writer, stat->thinned_square);
}

static void put_sketch(struct slice_writer *writer, const struct sketch *sketch)
{
    if (sketch->zeros)
        put_bucket(writer, 0, sketch->zeros);
    if (sketch->ones)
        put_bucket(writer, 1, sketch->ones);
    unsigned slots = LORIS_PAGE_BUCKETS >> sketch->halvings;
    struct sketch_page *const *page = sketch->pages;
    for (uint64_t rest = sketch->touched; rest; rest &= rest - 1, page++) {
        uint64_t counts[LORIS_PAGE_BUCKETS];
        sketch_page_load(*page, slots, counts);
        uint32_t first = 2 + (uint32_t)__builtin_ctzll(rest) * slots;
        for (unsigned slot = 0; slot < slots; slot++)
            if (counts[slot])
                put_bucket(writer, first + slot, counts[slot]);
    }
}

static uint32_t number_of(uint32_t bucket, unsigned halvings)
{
    if (bucket < LORIS_PAGE_BUCKETS)
        return bucket == 0 ? 0 : 1;
    return 2 + ((bucket - LORIS_PAGE_BUCKETS) >> halvings);
}

static void sort_buckets(uint16_t *buckets, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        uint16_t bucket = buckets[i];
        unsigned at = i;
        for (; at > 0 && buckets[at - 1] > bucket; at--)
            buckets[at] = buckets[at - 1];
        buckets[at] = bucket;
    }
}

static void put_sorted(struct slice_writer *writer, const uint16_t *buckets, unsigned count,
                       unsigned halvings)
{
    for (unsigned i = 0, next; i < count; i = next) {
        uint32_t number = number_of(buckets[i], halvings);
        for (next = i + 1; next < count && number_of(buckets[next], halvings) == number;)
            next++;
        put_bucket(writer, number, next - i);
    }
}

static struct series_slice *new_slice(uint64_t epoch, uint8_t halvings, size_t length)
{
    assert(length <= UINT16_MAX);
    struct series_slice *slice = malloc(sizeof(*slice) + length);
    if (slice)
        *slice = (struct series_slice){
            .epoch = epoch & ((1ull << SERIES_EPOCH_BITS) - 1),
            .halvings = halvings & 7u,
            .length = length & UINT16_MAX,
        };
    return slice;
}

struct series_slice *series_slice_pack(const struct latency_stat *stat, uint64_t epoch)
{
    /* Mostly it fits here and is written once. */
    uint8_t draft[1024];
    struct slice_writer writer = start_writing(draft, sizeof(draft));
    put_scalars(&writer, stat);
    put_sketch(&writer, &stat->sketch);
    struct series_slice *slice = new_slice(epoch, stat->sketch.halvings, writer.length);
    if (!slice)
        return NULL;
    if (writer.length <= sizeof(draft)) {
        memcpy(slice->bytes, draft, writer.length);
        return slice;
    }
    writer = start_writing(slice->bytes, writer.length);
    put_scalars(&writer, stat);
    put_sketch(&writer, &stat->sketch);
    return slice;
}

struct series_slice *series_slice_pack_pending(struct series_pending *pending, uint8_t halvings,
                                               uint64_t epoch)
{
    uint8_t draft[6 * 10 + SERIES_PENDING * 4]; /* scalars; a bucket is 4 bytes at most here */
    struct slice_writer writer = start_writing(draft, sizeof(draft));
    struct latency_stat scalars = series_pending_scalars(pending);
    sort_buckets(pending->buckets, pending->count);
    put_scalars(&writer, &scalars);
    put_sorted(&writer, pending->buckets, pending->count, halvings);
    struct series_slice *slice = new_slice(epoch, halvings, writer.length);
    if (slice)
        memcpy(slice->bytes, draft, writer.length);
    return slice;
}

/* --- reading -----------------------------------------------------------------------------------
 */

struct slice_reader {
    const uint8_t *at, *end;
    unsigned halvings_more; /* than the slice has, for the numbers given out */
    uint32_t last;          /* as stored */
    /* The bucket at hand, while `valid`. */
    bool valid;
    uint32_t number;
    uint64_t count;
};

static uint64_t get_varint(struct slice_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
}

static uint32_t coarser_number(uint32_t number, unsigned halvings)
{
    return number < 2 ? number : 2 + ((number - 2) >> halvings);
}

static void get_bucket(struct slice_reader *reader)
{
    reader->valid = reader->at < reader->end;
    if (!reader->valid)
        return;
    uint8_t nibbles = *reader->at++;
    uint32_t distance = nibbles >> 4;
    if (distance == NIBBLE_MAX)
        distance += (uint32_t)get_varint(reader);
    reader->count = nibbles & NIBBLE_MAX;
    if (reader->count == NIBBLE_MAX)
        reader->count += get_varint(reader);
    reader->last += distance;
    reader->number = coarser_number(reader->last, reader->halvings_more);
}

/* Stands at the first bucket afterwards. */
static void start_reading(struct slice_reader *reader, const struct series_slice *slice,
                          unsigned halvings, struct latency_stat *ret_scalars)
{
    *reader = (struct slice_reader){
        .at = slice->bytes,
        .end = slice->bytes + slice->length,
        .halvings_more = halvings - slice->halvings,
        .last = UINT32_MAX,
    };
    latency_stat_init(ret_scalars);
    ret_scalars->count = get_varint(reader);
    ret_scalars->errors = get_varint(reader);
    ret_scalars->sum_ns = get_varint(reader);
    ret_scalars->min_ns = get_varint(reader);
    ret_scalars->max_ns = ret_scalars->min_ns + get_varint(reader);
    ret_scalars->thinned_square = get_varint(reader);
    get_bucket(reader);
}

int series_slice_unpack(const struct series_slice *slice, struct latency_stat *into)
{
    while (into->sketch.halvings < slice->halvings)
        sketch_halve(&into->sketch);

    struct slice_reader reader;
    struct latency_stat scalars;
    for (start_reading(&reader, slice, slice->halvings, &scalars); reader.valid;
         get_bucket(&reader)) {
        uint32_t number = reader.number;
        uint32_t bucket = number == 0   ? 0
                          : number == 1 ? LORIS_PAGE_BUCKETS - 1
                                        : LORIS_PAGE_BUCKETS + ((number - 2) << slice->halvings);
        int status = sketch_record(&into->sketch, bucket, reader.count);
        if (status < 0)
            return status;
    }
    return latency_stat_merge(into, &scalars);
}

/* --- joining -----------------------------------------------------------------------------------
 */

static void put_joined(struct slice_writer *writer, const struct series_slice *a,
                       const struct series_slice *b, unsigned halvings)
{
    struct slice_reader readers[2];
    struct latency_stat scalars, more;
    start_reading(&readers[0], a, halvings, &scalars);
    start_reading(&readers[1], b, halvings, &more);
    int status = latency_stat_merge(&scalars, &more);
    (void)status; /* empty sketches need no memory */
    put_scalars(writer, &scalars);

    while (readers[0].valid || readers[1].valid) {
        uint32_t number = readers[0].valid ? readers[0].number : readers[1].number;
        if (readers[1].valid && readers[1].number < number)
            number = readers[1].number;
        uint64_t count = 0;
        for (unsigned i = 0; i < 2; i++)
            for (; readers[i].valid && readers[i].number == number; get_bucket(&readers[i]))
                count = series_saturating_add(count, readers[i].count);
        put_bucket(writer, number, count);
    }
}

struct series_slice *series_slice_join(const struct series_slice *a, const struct series_slice *b)
{
    uint8_t halvings = (uint8_t)(a->halvings > b->halvings ? a->halvings : b->halvings);
    struct slice_writer measure = start_writing(NULL, 0);
    put_joined(&measure, a, b, halvings);
    struct series_slice *slice = new_slice(a->epoch, halvings, measure.length);
    if (!slice)
        return NULL;
    struct slice_writer writer = start_writing(slice->bytes, measure.length);
    put_joined(&writer, a, b, halvings);
    return slice;
}
