/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many journal entries in a row: what journald does not take now waits here, bounded and counted.
 */
#pragma once

#include <stdint.h>

#include "export/journal_line.h"

#define JOURNAL_SINK_BACKLOG_MAX (4 * 1024 * 1024) /* bytes that wait for journald */

struct journal_sink;

/* In entries. Every entry given to journal_sink_write is in exactly one of them. */
struct journal_sink_figures {
    uint64_t written;
    uint64_t failed;
    uint64_t pending;
};

/* path: JOURNAL_SOCKET_PATH; a journald that is not there yet is looked for with each entry. */
int journal_sink_open(const char *path, struct journal_sink **ret_sink) _must_check_;
/* What is pending fails. */
void journal_sink_close(struct journal_sink *sink);
DEFINE_CLEANUP(struct journal_sink *, journal_sink_close);

/* 0, also while entries wait, oldest first; else -errno of why entries failed: -ENOBUFS: the
 * backlog is full; -ENOENT, -ECONNREFUSED: no journald, and nothing waits for it; or what
 * journal_line_format says. Never blocks. */
int journal_sink_write(struct journal_sink *sink, const struct journal_field *fields,
                       size_t count) _must_check_;

/* The descriptor to wait for (EPOLLOUT) while figures.pending is not 0, then call
 * journal_sink_flush. The same one for the life of the sink. */
int journal_sink_fd(const struct journal_sink *sink);
int journal_sink_flush(struct journal_sink *sink) _must_check_;

struct journal_sink_figures journal_sink_figures(const struct journal_sink *sink);
