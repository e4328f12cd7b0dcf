/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the per-CPU logs of samples: see loris/sample_log.h. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

#include "loris/event.h"
#include "loris/sample_log.h"

struct sample_log;

/* Maps both arrays, which have room for `cpus` logs of 2^capacity_log2 records each. The fds stay
 * the caller's. */
int sample_log_new(int logs_fd, int samples_fd, uint32_t cpus, uint32_t capacity_log2,
                   struct sample_log **ret_log) _must_check_;
void sample_log_free(struct sample_log *log);
DEFINE_CLEANUP(struct sample_log *, sample_log_free);

/*
 * The oldest records of the CPU that are complete and lie side by side, at most max. They may be
 * fewer than there are: those behind the end of the ring come with the next call, and those behind
 * one that is being filled come later. Valid until they are given back. Their lap bit means nothing
 * to whoever reads them.
 */
const struct loris_latency_event *sample_log_peek(const struct sample_log *log, uint32_t cpu,
                                                  uint32_t max, uint32_t *ret_count);
/* Gives the room of the first `count` of them back to the writers. */
void sample_log_consume(struct sample_log *log, uint32_t cpu, uint32_t count);

/* Positions since the start: up to which all records were handed out to writers, and read. */
uint64_t sample_log_reserved(const struct sample_log *log, uint32_t cpu);
uint64_t sample_log_consumed(const struct sample_log *log, uint32_t cpu);
