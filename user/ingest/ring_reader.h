/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads one BPF ring buffer in bounded bites, without system calls. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"

struct ring_reader;

/* Maps the ring; size_bytes is its capacity, a power of two. The fd stays the caller's. */
int ring_reader_new(int map_fd, uint32_t size_bytes, struct ring_reader **ret_reader) _must_check_;
void ring_reader_free(struct ring_reader *reader);
DEFINE_CLEANUP(struct ring_reader *, ring_reader_free);

/* Records of one length that lie one behind the other, each behind a header of eight bytes. They
 * are not trusted: the length is what the kernel says, at most the size of the ring. */
struct ring_span {
    const unsigned char *first; /* aligned to eight bytes */
    uint32_t length;
    uint32_t count;
};

/* From one record of a span to the next. */
static inline uint64_t ring_span_step(uint32_t length)
{
    return ((uint64_t)length + 8 + 7) & ~7ull;
}

/* Points to the next records, at most max_records and as far as they were reserved when the
 * producer stood at `until` (see ring_reader_produced). Returns how many; 0: none, or a writer is
 * still filling the next one. Their room is given back by ring_reader_release. */
uint32_t ring_reader_take(struct ring_reader *reader, uint64_t until, uint32_t max_records,
                          struct ring_span *ret_span);
/* Gives back the room of what was taken: the records are gone. */
void ring_reader_release(struct ring_reader *reader);
/* Bytes that wait. */
uint64_t ring_reader_pending(const struct ring_reader *reader);
/* A position up to which all records were reserved by now. */
uint64_t ring_reader_produced(const struct ring_reader *reader);
uint64_t ring_reader_consumed(const struct ring_reader *reader);
/* Records whose length could not be right: the ring was read on from its producer's position. */
uint64_t ring_reader_broken(const struct ring_reader *reader);
