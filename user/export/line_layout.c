/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/line_layout.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/json_writer.h"
#include "export/line_object.h"

#define KEY_BYTES 128

static const char *const names[] = {
    [LINE_LAYOUT_LORIS] = "loris",
    [LINE_LAYOUT_ECS] = "ecs",
    [LINE_LAYOUT_OTEL] = "otel",
};

int line_layout_parse(const char *word, enum line_layout *ret_layout)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], word) == 0) {
            *ret_layout = (enum line_layout)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *line_layout_name(enum line_layout layout)
{
    return names[layout];
}

/* --- values ---------------------------------------------------------------------------------- */

/* "BEFORE.KEY"; keys of labels are the operator's, and the writer escapes none. */
static void format_key(const char *before, const char *key, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "%s%s%s", before ? before : "", before ? "." : "", key);
    for (char *at = out; *at; at++)
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
            *at = '_';
}

/* What is nested deeper than members' members is copied as it is. */
static void write_value(struct json_writer *json, const char *key, const json_t *value)
{
    if (json_is_string(value)) {
        json_string_n(json, key, json_string_value(value), json_string_length(value));
    } else if (json_is_integer(value)) {
        json_i64(json, key, json_integer_value(value));
    } else if (json_is_real(value)) {
        json_double(json, key, json_real_value(value), 15);
    } else {
        _cleanup_free_ char *dump = json_dumps(
            value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
        json_raw(json, key, dump ? dump : "null");
        if (!dump && !json->text->failed)
            json->text->failed = -ENOMEM;
    }
}

static bool is_one_of(const char *key, const char *const *keys)
{
    while (*keys && strcmp(*keys, key) != 0)
        keys++;
    return *keys != NULL;
}

static const char *const nothing[] = {NULL};

/* All but those that have gone elsewhere, as an object of their own. */
static void write_object(struct json_writer *json, const char *name, const json_t *object,
                         const char *const *moved)
{
    const char *key;
    json_t *value;
    char clean[KEY_BYTES];
    json_begin_object(json, name);
    json_object_foreach((json_t *)object, key, value)
    {
        if (is_one_of(key, moved))
            continue;
        format_key(NULL, key, clean);
        write_value(json, clean, value);
    }
    json_end_object(json);
}

/* What `append` says of the object. */
static void write_said(struct json_writer *json, const char *key, const json_t *object,
                       void (*append)(const json_t *object, struct text *out))
{
    _cleanup_text_ struct text said = {0};
    append(object, &said);
    json_string_n(json, key, said.bytes ? said.bytes : "", said.length);
    if (said.failed && !json->text->failed)
        json->text->failed = said.failed;
}

/* The members of an object of ours, within an object that is open. */
static void write_members(struct json_writer *json, const json_t *object, const char *const *moved,
                          const char *const *moved_of_group)
{
    const char *key;
    json_t *value;
    char clean[KEY_BYTES];
    json_object_foreach((json_t *)object, key, value)
    {
        if (is_one_of(key, moved))
            continue;
        format_key(NULL, key, clean);
        if (json_is_object(value))
            write_object(json, clean, value, strcmp(key, "group") == 0 ? moved_of_group : nothing);
        else
            write_value(json, clean, value);
    }
}

static void write_loris(struct json_writer *json, const struct line_origin *origin,
                        const json_t *object)
{
    json_begin_object(json, NULL);
    write_members(json, object, nothing, nothing);
    json_u64(json, "seq", origin->seq);
    json_string_z(json, "run", origin->run);
    json_end_object(json);
}

/* --- ecs ------------------------------------------------------------------------------------- */

static void write_ecs_event(struct json_writer *json, const struct line_origin *origin,
                            const json_t *object)
{
    const json_t *window_s = json_object_get(object, "window_s");
    bool is_alert = strncmp(line_object_string(object, "schema"), "loris.alert/", 12) == 0;
    json_begin_object(json, "event");
    json_string_z(json, "kind", is_alert ? "alert" : "metric");
    json_string_z(json, "module", "loris");
    write_said(json, "dataset", object, line_object_kind);
    json_u64(json, "sequence", origin->seq);
    if (!is_alert && json_is_number(window_s) && json_number_value(window_s) >= 0)
        json_u64(json, "duration", (uint64_t)(json_number_value(window_s) * 1e9 + 0.5));
    json_end_object(json);
}

/* The unit of systemd is the service; without one (a cgroup's path is none), the program. */
static void write_ecs_subject(struct json_writer *json, const json_t *object)
{
    static const char suffix[] = ".service";
    const json_t *group = json_object_get(object, "group");
    const json_t *pid = json_object_get(group, "pid");
    const char *comm = line_object_string(group, "comm");
    const char *unit = line_object_string(group, "unit");
    size_t length = unit[0] == '/' ? 0 : strlen(unit);
    if (length > strlen(suffix) && strcmp(unit + length - strlen(suffix), suffix) == 0)
        length -= strlen(suffix);
    if (length > 0 || comm[0]) {
        json_begin_object(json, "service");
        json_string_n(json, "name", length > 0 ? unit : comm, length > 0 ? length : strlen(comm));
        json_end_object(json);
    }
    if (pid || comm[0]) {
        json_begin_object(json, "process");
        if (pid)
            write_value(json, "pid", pid);
        if (comm[0])
            json_string_z(json, "name", comm);
        json_end_object(json);
    }
}

static void write_ecs(struct json_writer *json, const struct line_origin *origin,
                      const json_t *object)
{
    static const char *const moved[] = {"time", "message", "labels", NULL};
    static const char *const moved_of_group[] = {"pid", "comm", NULL};
    json_begin_object(json, NULL);
    json_string_z(json, "@timestamp", line_object_string(object, "time"));
    json_begin_object(json, "ecs");
    json_string_z(json, "version", LINE_LAYOUT_ECS_VERSION);
    json_end_object(json);
    write_said(json, "message", object, line_object_message);
    json_begin_object(json, "log");
    json_string_z(json, "level", line_object_severity(object)->name);
    json_end_object(json);
    write_ecs_event(json, origin, object);
    json_begin_object(json, "agent");
    json_string_z(json, "type", "loris");
    json_string_z(json, "version", origin->version);
    json_string_z(json, "ephemeral_id", origin->run);
    json_end_object(json);
    json_begin_object(json, "host");
    json_string_z(json, "hostname", origin->host);
    json_end_object(json);
    write_ecs_subject(json, object);
    if (line_object_string(object, "alert")[0]) {
        json_begin_object(json, "rule");
        json_string_z(json, "name", line_object_string(object, "alert"));
        json_end_object(json);
    }
    if (json_is_object(json_object_get(object, "labels")))
        write_object(json, "labels", json_object_get(object, "labels"), nothing);
    json_begin_object(json, "loris");
    write_members(json, object, moved, moved_of_group);
    json_end_object(json);
    json_end_object(json);
}

/* --- otel ------------------------------------------------------------------------------------ */

/* Names of the semantic conventions where there is one. */
static const char *otel_name(const char *outer, const char *key)
{
    if (outer && strcmp(outer, "group") == 0 && strcmp(key, "pid") == 0)
        return "process.pid";
    if (outer && strcmp(outer, "group") == 0 && strcmp(key, "comm") == 0)
        return "process.executable.name";
    return NULL;
}

static void write_otel_members(struct json_writer *json, const char *outer, const json_t *object)
{
    static const char *const moved[] = {"time", "message", NULL};
    const char *key;
    json_t *value;
    char before[KEY_BYTES] = "loris", clean[KEY_BYTES];
    if (outer)
        format_key("loris", outer, before);
    json_object_foreach((json_t *)object, key, value)
    {
        const char *name = otel_name(outer, key);
        if ((!outer && is_one_of(key, moved)) || (!outer && json_is_object(value)))
            continue;
        format_key(before, key, clean);
        write_value(json, name ? name : clean, value);
    }
}

static void write_otel_attributes(struct json_writer *json, const struct line_origin *origin,
                                  const json_t *object)
{
    const char *key;
    json_t *value;
    json_begin_object(json, "Attributes");
    write_otel_members(json, NULL, object);
    json_object_foreach((json_t *)object, key, value) if (json_is_object(value))
        write_otel_members(json, key, value);
    json_u64(json, "loris.seq", origin->seq);
    json_end_object(json);
}

static void write_otel(struct json_writer *json, const struct line_origin *origin,
                       const json_t *object)
{
    const struct line_severity *severity = line_object_severity(object);
    json_begin_object(json, NULL);
    json_string_z(json, "Timestamp", line_object_string(object, "time"));
    json_string_z(json, "ObservedTimestamp", line_object_string(object, "time"));
    json_string_z(json, "SeverityText", severity->name);
    json_u64(json, "SeverityNumber", severity->otel);
    write_said(json, "EventName", object, line_object_kind);
    write_said(json, "Body", object, line_object_message);
    json_begin_object(json, "Resource");
    json_string_z(json, "service.name", "loris");
    json_string_z(json, "service.version", origin->version);
    json_string_z(json, "service.instance.id", origin->run);
    json_string_z(json, "host.name", origin->host);
    json_end_object(json);
    json_begin_object(json, "InstrumentationScope");
    json_string_z(json, "Name", "loris");
    json_string_z(json, "Version", origin->version);
    json_end_object(json);
    write_otel_attributes(json, origin, object);
    json_end_object(json);
}

/* --- lines ----------------------------------------------------------------------------------- */

/* -EMSGSIZE: too long; nothing is appended then or when it fails. */
static int append_line(struct text *lines, enum line_layout layout,
                       const struct line_origin *origin, const json_t *object)
{
    _cleanup_text_ struct text line = {.max_bytes = 64 * LINE_LAYOUT_BYTES_MAX};
    struct json_writer json = {.text = &line};
    if (layout == LINE_LAYOUT_ECS)
        write_ecs(&json, origin, object);
    else if (layout == LINE_LAYOUT_OTEL)
        write_otel(&json, origin, object);
    else
        write_loris(&json, origin, object);
    text_append(&line, "\n", 1);
    if (line.failed == -E2BIG || line.length > LINE_LAYOUT_BYTES_MAX)
        return -EMSGSIZE;
    if (!line.failed)
        text_append(lines, line.bytes, line.length);
    return line.failed ? line.failed : lines->failed;
}

/* The usual case: the object's text stays as it is. */
static bool append_as_it_is(struct text *lines, const struct line_origin *origin,
                            const char *object, size_t length)
{
    char tail[128];
    int tail_bytes = snprintf(tail, sizeof(tail), ",\"seq\":%llu,\"run\":\"%s\"}\n",
                              (unsigned long long)origin->seq, origin->run);
    if (tail_bytes < 0 || (size_t)tail_bytes >= sizeof(tail) || length < 3 ||
        object[length - 1] != '}' || length - 1 + (size_t)tail_bytes > LINE_LAYOUT_BYTES_MAX)
        return false;
    text_append(lines, object, length - 1);
    text_append(lines, tail, (size_t)tail_bytes);
    return true;
}

int line_layout_write(struct text *lines, enum line_layout layout, const struct line_origin *origin,
                      const char *object, size_t length)
{
    size_t before = lines->length;
    if (layout == LINE_LAYOUT_LORIS && append_as_it_is(lines, origin, object, length)) {
        if (lines->failed)
            lines->length = before;
        return lines->failed;
    }
    _cleanup_(line_object_free_cleanup) json_t *parsed = line_object_parse(object, length);
    if (!parsed)
        return -EINVAL;
    int r = append_line(lines, layout, origin, parsed);
    for (unsigned step = 0; r == -EMSGSIZE && line_object_cut(parsed, step); step++)
        r = append_line(lines, layout, origin, parsed);
    if (r < 0)
        lines->length = before;
    return r;
}
