/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/line_object.h"

#include <string.h>

static const struct line_severity information = {"info", 9, "6"};
static const struct line_severity warning = {"warning", 13, "4"};
static const struct line_severity critical = {"critical", 18, "2"};

json_t *line_object_parse(const char *object, size_t length)
{
    _cleanup_(line_object_free_cleanup) json_t *parsed =
        json_loadb(object, length, JSON_ALLOW_NUL, NULL);
    if (!line_object_string(parsed, "schema")[0] || !line_object_string(parsed, "time")[0])
        return NULL;
    return take_ptr(parsed);
}

const char *line_object_string(const json_t *object, const char *key)
{
    const char *string = json_string_value(json_object_get(object, key));
    return string ? string : "";
}

void line_object_kind(const json_t *object, struct text *out)
{
    const char *schema = line_object_string(object, "schema");
    text_append(out, schema, strcspn(schema, "/"));
}

const struct line_severity *line_object_severity(const json_t *object)
{
    const char *severity = line_object_string(object, "severity");
    const char *state = line_object_string(object, "state");
    if (strcmp(state, "unknown") == 0)
        return &warning;
    if (state[0] && strcmp(state, "firing") != 0)
        return &information;
    if (strcmp(severity, "critical") == 0)
        return &critical;
    return strcmp(severity, "warning") == 0 ? &warning : &information;
}

static void append_duration(struct text *out, const json_t *object, const char *key,
                            const char *label)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return;
    char duration[16];
    format_duration((uint64_t)json_integer_value(value), duration);
    text_append_format(out, ", %s %s", label, duration);
}

/* "redis-server[71]", "nginx.service"; nothing when the line is about everybody. */
static void append_group(struct text *out, const json_t *group)
{
    const char *comm = line_object_string(group, "comm");
    const json_t *pid = json_object_get(group, "pid");
    const char *name = comm[0] ? comm : line_object_string(group, "unit");
    if (!name[0])
        name = line_object_string(group, "kind");
    if (name[0])
        text_append_format(out, " %s", name);
    if (pid)
        text_append_format(out, "[%lld]", (long long)json_integer_value(pid));
}

void line_object_message(const json_t *object, struct text *out)
{
    const char *message = line_object_string(object, "message");
    const json_t *count = json_object_get(object, "count");
    if (message[0]) {
        text_append_string(out, message);
        return;
    }
    const char *probe = line_object_string(object, "probe");
    size_t names = out->length;
    text_append_string(out, probe[0] ? probe : line_object_string(object, "schema"));
    append_group(out, json_object_get(object, "group"));
    if (!out->failed) /* strangers choose names, and this goes to terminals */
        text_sanitize(out->bytes + names, out->length - names, out->bytes + names);
    if (!json_is_integer(count))
        return;
    char rate[16];
    format_count(json_number_value(json_object_get(object, "rate_per_s")), rate);
    text_append_format(out, ": %lld calls, %s/s", (long long)json_integer_value(count), rate);
    append_duration(out, object, "p50_ns", "p50");
    append_duration(out, object, "p99_ns", "p99");
    append_duration(out, object, "max_ns", "max");
    long long errors = json_integer_value(json_object_get(object, "errors"));
    if (errors > 0)
        text_append_format(out, ", %lld errors", errors);
}

/* --- lines that would be too long ------------------------------------------------------------ */

static void note_cut(json_t *cut, const char *outer, const char *key)
{
    json_t *name = outer ? json_sprintf("%s.%s", outer, key) : json_string(key);
    for (size_t i = 0; name && i < json_array_size(cut); i++)
        if (json_equal(json_array_get(cut, i), name)) {
            json_decref(name);
            return;
        }
    json_array_append_new(cut, name);
}

/* The most bytes, limit at most, that do not end within a character. */
static size_t whole_characters(const char *string, size_t length, size_t limit)
{
    if (length <= limit)
        return length;
    while (limit > 0 && ((unsigned char)string[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

static void cut_members(json_t *object, const char *outer, size_t string_max, json_t *cut)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value)
    {
        if (value == cut)
            continue;
        if (json_is_string(value)) {
            size_t length = json_string_length(value);
            size_t kept = whole_characters(json_string_value(value), length, string_max);
            if (kept < length) {
                note_cut(cut, outer, key);
                json_object_set_new(object, key, json_stringn(json_string_value(value), kept));
            }
        } else if (json_is_array(value) || (outer && json_is_object(value))) {
            note_cut(cut, outer, key);
            json_object_del(object, key);
        }
    }
}

static void cut_all_levels(json_t *object, size_t string_max, json_t *cut)
{
    const char *key;
    json_t *value;
    cut_members(object, NULL, string_max, cut);
    json_object_foreach(object, key, value) if (json_is_object(value))
        cut_members(value, key, string_max, cut);
}

/* Whatever it was, this is short. */
static void leave_the_head(json_t *object, json_t *cut)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value)
    {
        if (value != cut && strcmp(key, "schema") != 0 && strcmp(key, "time") != 0)
            json_object_del(object, key);
    }
    json_array_clear(cut);
    json_array_append_new(cut, json_string("*"));
}

bool line_object_cut(json_t *object, unsigned step)
{
    static const size_t string_max[] = {1024, 256, 64};
    enum { STEPS = sizeof(string_max) / sizeof(string_max[0]) };
    json_t *cut = json_object_get(object, "cut");
    if (!cut && json_object_set_new(object, "cut", json_array()) == 0)
        cut = json_object_get(object, "cut");
    if (!cut || step > STEPS)
        return false;
    if (step < STEPS)
        cut_all_levels(object, string_max[step], cut);
    else
        leave_the_head(object, cut);
    return true;
}
