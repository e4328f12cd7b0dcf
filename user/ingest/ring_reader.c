/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/ring_reader.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, writable; one page with the
 * producer's, then the bytes, mapped twice in a row so that no record wraps. A record is an
 * eight-byte header (length and two flags, page offset) and its bytes, rounded up to eight.
 */
#define HEADER_BYTES BPF_RINGBUF_HDR_SZ

struct ring_reader {
    uint64_t *consumer_position;
    const uint64_t *producer_position;
    const unsigned char *bytes;
    uint64_t mask;
    uint64_t taken; /* position behind what was taken last */
    size_t page_bytes;
    uint64_t broken;
};

int ring_reader_new(int map_fd, uint32_t size_bytes, struct ring_reader **ret_reader)
{
    _cleanup_(ring_reader_free_cleanup) struct ring_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    reader->mask = size_bytes - 1;
    void *consumer = mmap(NULL, reader->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (consumer == MAP_FAILED)
        return -errno;
    reader->consumer_position = consumer;
    void *producer = mmap(NULL, reader->page_bytes + 2 * (size_t)size_bytes, PROT_READ, MAP_SHARED,
                          map_fd, (off_t)reader->page_bytes);
    if (producer == MAP_FAILED)
        return -errno;
    reader->producer_position = producer;
    reader->bytes = (const unsigned char *)producer + reader->page_bytes;
    *ret_reader = take_ptr(reader);
    return 0;
}

void ring_reader_free(struct ring_reader *reader)
{
    if (!reader)
        return;
    if (reader->consumer_position)
        munmap(reader->consumer_position, reader->page_bytes);
    if (reader->producer_position)
        munmap((void *)(uintptr_t)reader->producer_position,
               reader->page_bytes + 2 * (size_t)(reader->mask + 1));
    free(reader);
}

static uint64_t load_acquire(const uint64_t *position)
{
    return __atomic_load_n(position, __ATOMIC_ACQUIRE);
}

static const unsigned char *bytes_at(const struct ring_reader *reader, uint64_t position)
{
    return reader->bytes + (position & reader->mask);
}

static uint32_t header_at(const struct ring_reader *reader, uint64_t position)
{
    return __atomic_load_n((const uint32_t *)(const void *)bytes_at(reader, position),
                           __ATOMIC_ACQUIRE);
}

/* Where the next record lies that was submitted, or where reading has to stop. */
static uint64_t skip_discarded(struct ring_reader *reader, uint64_t at, uint64_t until,
                               uint32_t *ret_length)
{
    *ret_length = UINT32_MAX;
    while (at < until) {
        uint32_t header = header_at(reader, at);
        if (header & BPF_RINGBUF_BUSY_BIT)
            break;
        uint32_t length = header & ~BPF_RINGBUF_DISCARD_BIT;
        uint64_t step = ring_span_step(length);
        if (step > until - at || step > reader->mask + 1) {
            reader->broken++;
            return until;
        }
        if (header == length) {
            *ret_length = length;
            break;
        }
        at += step;
    }
    return at;
}

uint32_t ring_reader_take(struct ring_reader *reader, uint64_t until, uint32_t max_records,
                          struct ring_span *ret_span)
{
    uint32_t length, count = 0;
    uint64_t at = skip_discarded(reader, *reader->consumer_position, until, &length);
    reader->taken = at;
    if (length == UINT32_MAX || max_records == 0)
        return 0;
    *ret_span = (struct ring_span){.first = bytes_at(reader, at) + HEADER_BYTES, .length = length};
    /* Up to the ring's end, so that the span does not run into the bytes' second mapping. */
    uint64_t step = ring_span_step(length), end = (at | reader->mask) + 1;
    do {
        at += step;
        count++;
    } while (count < max_records && at < end && step <= until - at &&
             header_at(reader, at) == length);
    reader->taken = at;
    ret_span->count = count;
    return count;
}

void ring_reader_release(struct ring_reader *reader)
{
    __atomic_store_n(reader->consumer_position, reader->taken, __ATOMIC_RELEASE);
}

uint64_t ring_reader_pending(const struct ring_reader *reader)
{
    return load_acquire(reader->producer_position) - *reader->consumer_position;
}

uint64_t ring_reader_produced(const struct ring_reader *reader)
{
    return load_acquire(reader->producer_position);
}

uint64_t ring_reader_consumed(const struct ring_reader *reader)
{
    return *reader->consumer_position;
}

uint64_t ring_reader_broken(const struct ring_reader *reader)
{
    return reader->broken;
}
