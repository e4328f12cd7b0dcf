/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/json_field.h"

#include <errno.h>
#include <string.h>

/* Digits that every double written with as many survives. */
#define SAFE_DIGITS 15

bool json_field_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

uint64_t json_field_u64(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

double json_field_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool json_field_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

const char *json_field_string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

void json_field_dump(const json_t *value, struct text *out)
{
    char *line =
        json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(SAFE_DIGITS));
    if (!line) {
        if (!out->failed)
            out->failed = -ENOMEM;
        return;
    }
    text_append_string(out, line);
    text_append(out, "\n", 1);
    free(line);
}

bool json_field_set_string(json_t *object, const char *key, const char *value)
{
    if (!value)
        return object != NULL;
    json_t *string = json_stringn(value, strlen(value));
    /* a command line need not be UTF-8, JSON must: the agent then finds no such name */
    if (!string) {
        size_t length = strlen(value);
        _cleanup_free_ char *clean = malloc(length + 1);
        if (!clean)
            return false;
        text_sanitize(value, length, clean);
        string = json_stringn(clean, strlen(clean));
    }
    return json_object_set_new(object, key, string) == 0;
}

bool json_field_set_u64(json_t *object, const char *key, uint64_t value)
{
    if (value > INT64_MAX)
        value = INT64_MAX;
    return json_object_set_new(object, key, json_integer((json_int_t)value)) == 0;
}

bool json_field_set_bool(json_t *object, const char *key, bool value)
{
    return json_object_set_new(object, key, json_boolean(value)) == 0;
}
