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

/* The record is valid during the call only and is not trusted: length is what the kernel says, at
 * most the size of the ring. */
typedef void (*ring_record_fn)(const void *record, size_t length, void *context);

/* Hands over at most max_records and gives their room back. Returns how many; 0: empty, or a
 * writer is still filling the next one. */
uint32_t ring_reader_consume(struct ring_reader *reader, uint32_t max_records,
                             ring_record_fn on_record, void *context);
/* Bytes that wait. */
uint64_t ring_reader_pending(const struct ring_reader *reader);
/* A position up to which all records were reserved by now. */
uint64_t ring_reader_produced(const struct ring_reader *reader);
uint64_t ring_reader_consumed(const struct ring_reader *reader);
/* Records whose length could not be right: the ring was read on from its producer's position. */
uint64_t ring_reader_broken(const struct ring_reader *reader);
