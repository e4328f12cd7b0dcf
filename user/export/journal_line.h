/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One journal entry with fields of its own, in journald's native protocol. */
#pragma once

#include <stddef.h>

#include "base/text.h"

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
