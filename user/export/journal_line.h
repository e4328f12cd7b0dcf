/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One journal entry with fields of its own, in journald's native protocol. */
#pragma once

#include <stddef.h>

#include "base/text.h"

#define JOURNAL_SOCKET_PATH     "/run/systemd/journal/socket"
#define JOURNAL_FIELDS_MAX      64
#define JOURNAL_FIELD_NAME_MAX  64 /* bytes; journald drops longer ones */
#define JOURNAL_ENTRY_BYTES_MAX (32 * 1024)

/* The value is any bytes, newlines and NUL included. */
struct journal_field {
    const char *name;
    const char *value; /* not NULL */
    size_t length;     /* of the value */
};

/*
 * Appends the entry as one datagram for journald. -EINVAL: a name that journald would drop (only
 * A-Z, 0-9 and _, a letter first), or no field; -E2BIG: more than JOURNAL_FIELDS_MAX fields or
 * JOURNAL_ENTRY_BYTES_MAX bytes; -ENOMEM. Then nothing is appended.
 */
int journal_line_format(struct text *text, const struct journal_field *fields,
                        size_t count) _must_check_;

/*
 * Sends one entry, now or not at all, and never waits for journald. 0: journald has it. -EAGAIN:
 * its queue is full; -ENOENT, -ECONNREFUSED: no journald here; what socket(2) and
 * journal_line_format say. The caller counts. A loop of many entries fills the queue (as short as
 * 10): use a journal_sink for those.
 */
int journal_line_send(const struct journal_field *fields, size_t count) _must_check_;
