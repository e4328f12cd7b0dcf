/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/journal_object.h"

#include <errno.h>
#include <string.h>

#include "export/line_object.h"

struct entry {
    struct text values; /* one after the other */
    char names[JOURNAL_FIELDS_MAX][JOURNAL_FIELD_NAME_MAX + 1];
    size_t ends[JOURNAL_FIELDS_MAX]; /* of the values */
    size_t count;
    unsigned cut;
};

static void entry_done(struct entry *entry)
{
    text_done(&entry->values);
}

/* Ends the field whose value has been appended. The last place is LORIS_CUT's. */
static void end_field(struct entry *entry, const char *name)
{
    strcpy(entry->names[entry->count], name);
    entry->ends[entry->count++] = entry->values.length;
}

static bool has_room(struct entry *entry)
{
    bool has = entry->count < JOURNAL_FIELDS_MAX - 1;
    entry->cut += !has;
    return has;
}

static void add_string(struct entry *entry, const char *name, const char *value)
{
    if (!has_room(entry))
        return;
    text_append_string(&entry->values, value);
    end_field(entry, name);
}

static void append_value(struct text *values, const json_t *value)
{
    if (json_is_string(value)) {
        text_append(values, json_string_value(value), json_string_length(value));
        return;
    }
    _cleanup_free_ char *dump =
        json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (dump)
        text_append_string(values, dump);
    else if (!values->failed)
        values->failed = -ENOMEM;
}

/* LORIS_OUTER_KEY. A group's members go without the outer name, and its kind has just that. */
static void format_name(const char *outer, const char *key, char out[JOURNAL_FIELD_NAME_MAX + 1])
{
    bool is_group = outer && strcmp(outer, "group") == 0;
    if (is_group && strcmp(key, "kind") == 0)
        key = "group";
    if (is_group)
        outer = NULL;
    snprintf(out, JOURNAL_FIELD_NAME_MAX + 1, "LORIS_%s%s%s", outer ? outer : "", outer ? "_" : "",
             key);
    for (char *at = out; *at; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
        else if (!(*at >= 'A' && *at <= 'Z') && !(*at >= '0' && *at <= '9'))
            *at = '_';
    }
}

/* Scalars; on the outermost level the objects follow by themselves. */
static void add_members(struct entry *entry, const char *outer, const json_t *object)
{
    const char *key;
    json_t *value;
    char name[JOURNAL_FIELD_NAME_MAX + 1];
    json_object_foreach((json_t *)object, key, value)
    {
        if (!outer && (json_is_object(value) || strcmp(key, "message") == 0))
            continue;
        if (!has_room(entry))
            continue;
        format_name(outer, key, name);
        append_value(&entry->values, value);
        end_field(entry, name);
    }
}

static void fill(struct entry *entry, const struct line_origin *origin, const char *message_id,
                 const json_t *object)
{
    const char *key;
    json_t *value;
    line_object_message(object, &entry->values);
    end_field(entry, "MESSAGE");
    add_string(entry, "PRIORITY", line_object_severity(object)->syslog);
    add_string(entry, "MESSAGE_ID", message_id);
    add_string(entry, "SYSLOG_IDENTIFIER", "lorisd");
    text_append_format(&entry->values, "%llu", (unsigned long long)origin->seq);
    end_field(entry, "LORIS_SEQ");
    add_string(entry, "LORIS_RUN", origin->run);
    add_members(entry, NULL, object);
    json_object_foreach((json_t *)object, key, value) if (json_is_object(value))
        add_members(entry, key, value);
    if (entry->cut) {
        text_append_format(&entry->values, "%u", entry->cut);
        end_field(entry, "LORIS_CUT");
    }
}

int journal_object_write(struct journal_sink *sink, const struct line_origin *origin,
                         const char *message_id, const char *object, size_t length)
{
    _cleanup_(line_object_free_cleanup) json_t *parsed = line_object_parse(object, length);
    if (!parsed)
        return -EINVAL;
    _cleanup_(entry_done) struct entry entry = {.values.max_bytes = JOURNAL_ENTRY_BYTES_MAX};
    fill(&entry, origin, message_id, parsed);
    struct journal_field fields[JOURNAL_FIELDS_MAX];
    if (entry.values.failed)
        return entry.values.failed;
    for (size_t i = 0; i < entry.count; i++) {
        size_t start = i ? entry.ends[i - 1] : 0;
        fields[i] = (struct journal_field){entry.names[i], entry.values.bytes + start,
                                           entry.ends[i] - start};
    }
    return journal_sink_write(sink, fields, entry.count);
}
