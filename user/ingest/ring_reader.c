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

uint32_t ring_reader_consume(struct ring_reader *reader, uint32_t max_records,
                             ring_record_fn on_record, void *context)
{
    uint64_t consumed = *reader->consumer_position;
    uint64_t produced = load_acquire(reader->producer_position);
    uint32_t records = 0;
    while (consumed < produced && records < max_records) {
        const unsigned char *at = reader->bytes + (consumed & reader->mask);
        uint32_t header = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
        if (header & BPF_RINGBUF_BUSY_BIT)
            break;
        uint64_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        uint64_t step = (length + HEADER_BYTES + 7) & ~7ull;
        if (step > produced - consumed || step > reader->mask + 1) {
            reader->broken++;
            consumed = produced;
            break;
        }
        if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
            on_record(at + HEADER_BYTES, length, context);
            records++;
        }
        consumed += step;
    }
    __atomic_store_n(reader->consumer_position, consumed, __ATOMIC_RELEASE);
    return records;
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
