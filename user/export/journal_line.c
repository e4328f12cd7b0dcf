/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Not sd_journal_sendv(3): it waits, without a limit, while journald's queue is full, and takes a
 * missing journald for a success, so that neither could be kept from the agent's loop nor counted.
 * The protocol is a stable one: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
 */
#include "export/journal_line.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static bool name_is_valid(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    bool first_is_letter = name[0] >= 'A' && name[0] <= 'Z';
    return first_is_letter && name[length] == '\0' && length <= JOURNAL_FIELD_NAME_MAX;
}

/* NAME=VALUE, or for a value with a newline: NAME, newline, its length in 64 bits, the value. */
static void append_field(struct text *text, const struct journal_field *field)
{
    text_append_string(text, field->name);
    if (memchr(field->value, '\n', field->length)) {
        uint64_t length = htole64(field->length);
        text_append(text, "\n", 1);
        text_append(text, (const char *)&length, sizeof(length));
    } else {
        text_append(text, "=", 1);
    }
    text_append(text, field->value, field->length);
    text_append(text, "\n", 1);
}

int journal_line_format(struct text *text, const struct journal_field *fields, size_t count)
{
    if (count == 0)
        return -EINVAL;
    if (count > JOURNAL_FIELDS_MAX)
        return -E2BIG;
    _cleanup_text_ struct text entry = {.max_bytes = JOURNAL_ENTRY_BYTES_MAX};
    for (size_t i = 0; i < count; i++) {
        if (!name_is_valid(fields[i].name))
            return -EINVAL;
        append_field(&entry, &fields[i]);
    }
    if (!entry.failed)
        text_append(text, entry.bytes, entry.length);
    return entry.failed ? entry.failed : text->failed;
}
