/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_value.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/edit_distance.h"
#include "base/quantity.h"
#include "base/text.h"

#define NEAREST_DISTANCE 3
#define SHOWN_BYTES      80 /* of a wrong value */

static const char *kind_name(enum config_yaml_kind kind)
{
    switch (kind) {
    case CONFIG_YAML_SCALAR:
        return "a single value";
    case CONFIG_YAML_LIST:
        return "a list";
    case CONFIG_YAML_MAPPING:
        return "a mapping";
    }
    return "something else";
}

int config_value_error(struct config_reader *reader, const struct config_yaml_node *node,
                       const char *problem, const char *expected)
{
    const char *key = node->key ? node->key : "";
    const char *colon = node->key ? ": " : "";
    int r;
    if (config_yaml_is_null(node))
        r = config_yaml_error(reader->diag, reader->file, node->place, "%.60s%shas no value", key,
                              colon);
    else if (node->kind != CONFIG_YAML_SCALAR)
        r = config_yaml_error(reader->diag, reader->file, node->place, "%.60s%s%s %s", key, colon,
                              kind_name(node->kind), problem);
    else
        r = config_yaml_error(reader->diag, reader->file, node->place, "%.60s%s\"%.*s%s\" %s", key,
                              colon, SHOWN_BYTES, node->text,
                              strlen(node->text) > SHOWN_BYTES ? "..." : "", problem);
    diag_hint(reader->diag, "expected %s", expected);
    return r;
}

int config_value_scalar(struct config_reader *reader, const struct config_yaml_node *node,
                        const char *expected, const char **ret_text)
{
    if (node->kind != CONFIG_YAML_SCALAR || config_yaml_is_null(node))
        return config_value_error(reader, node, "does not belong here", expected);
    *ret_text = node->text;
    return 0;
}

int config_value_none_or_text(struct config_reader *reader, const struct config_yaml_node *node,
                              char *field, size_t max, const char *expected)
{
    const char *text = NULL;
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    if (strlen(text) >= max)
        return config_value_error(reader, node, "is too long", expected);
    if (text[0] == '\0')
        return config_value_error(reader, node, "is empty", expected);
    strcpy(field, strcmp(text, "none") == 0 ? "" : text);
    return 0;
}

int config_value_layout(struct config_reader *reader, const struct config_yaml_node *node,
                        enum line_layout *layout)
{
    const char *text = NULL, *expected = "loris, ecs or otel";
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    if (line_layout_parse(text, layout) < 0)
        return config_value_error(reader, node, "is not a layout of lines", expected);
    return 0;
}

int config_value_none_or_path(struct config_reader *reader, const struct config_yaml_node *node,
                              char *field, size_t max, const char *expected)
{
    bool has_text = node->kind == CONFIG_YAML_SCALAR && !config_yaml_is_null(node);
    if (has_text && node->text[0] != '/' && strcmp(node->text, "none") != 0)
        return config_value_error(reader, node, "is not an absolute path", expected);
    return config_value_none_or_text(reader, node, field, max, expected);
}

int config_value_none_or_lines(struct config_reader *reader, const struct config_yaml_node *node,
                               char *field, size_t max)
{
    static const char expected[] = "an absolute path, \"-\" for stdout, or none";
    if (node->kind == CONFIG_YAML_SCALAR && strcmp(node->text, "-") == 0)
        return config_value_none_or_text(reader, node, field, max, expected);
    return config_value_none_or_path(reader, node, field, max, expected);
}

/* "0.5%", "12 %": at most four decimals, in millionths of the whole. -EINVAL, -ERANGE */
int config_value_parse_percent(const char *text, uint64_t *ret_millionths)
{
    uint64_t whole = 0, part = 0, part_unit = 10000;
    const char *at = text;
    if (*at < '0' || *at > '9')
        return -EINVAL;
    for (; *at >= '0' && *at <= '9'; at++) {
        whole = whole * 10 + (uint64_t)(*at - '0');
        if (whole > 1000000)
            return -ERANGE;
    }
    if (*at == '.') {
        if (at[1] < '0' || at[1] > '9')
            return -EINVAL;
        for (at++; *at >= '0' && *at <= '9'; at++) {
            if (part_unit == 1)
                return -EINVAL;
            part_unit /= 10;
            part += (uint64_t)(*at - '0') * part_unit;
        }
    }
    while (*at == ' ')
        at++;
    if (strcmp(at, "%") != 0)
        return -EINVAL;
    *ret_millionths = whole * 10000 + part;
    return 0;
}

static int parse_quantity(const struct config_key *key, const char *text, uint64_t *ret_value)
{
    if (key->automatic && strcmp(text, "auto") == 0) {
        *ret_value = 0;
        return 0;
    }
    int r;
    switch (key->kind) {
    case CONFIG_VALUE_BYTES:
    case CONFIG_VALUE_BYTES_POWER:
        r = parse_bytes(text, ret_value);
        break;
    case CONFIG_VALUE_DURATION:
        r = parse_duration_ns(text, ret_value);
        break;
    case CONFIG_VALUE_PERCENT:
        r = config_value_parse_percent(text, ret_value);
        break;
    default:
        r = parse_u64(text, ret_value);
        break;
    }
    if (r == 0 && (*ret_value < key->min || *ret_value > key->max))
        r = -ERANGE;
    return r;
}

static int read_quantity(struct config_reader *reader, const struct config_key *key,
                         const struct config_yaml_node *node, const char *text, void *field)
{
    if (key->unlimited && strcmp(text, "none") == 0) {
        *(double *)field = INFINITY;
        return 0;
    }
    uint64_t value = 0;
    int r = parse_quantity(key, text, &value);
    if (r == -ERANGE)
        return config_value_error(reader, node, "is out of range", key->expected);
    if (r < 0)
        return config_value_error(reader, node, "is not understood", key->expected);
    switch (key->kind) {
    case CONFIG_VALUE_BYTES_POWER:
        if (value & (value - 1))
            return config_value_error(reader, node, "is not a power of two", key->expected);
        *(uint32_t *)field = (uint32_t)value;
        return 0;
    case CONFIG_VALUE_COUNT:
        *(uint32_t *)field = (uint32_t)value;
        return 0;
    case CONFIG_VALUE_PERCENT:
        *(double *)field = (double)value / 1e6;
        return 0;
    default:
        *(uint64_t *)field = value;
        return 0;
    }
}

static int read_text(struct config_reader *reader, const struct config_key *key,
                     const struct config_yaml_node *node, const char *text, char *field)
{
    size_t length = strlen(text);
    if (length == 0)
        return config_value_error(reader, node, "is empty", key->expected);
    if (length >= key->max)
        return config_value_error(reader, node, "is too long", key->expected);
    if (key->kind == CONFIG_VALUE_PATH && text[0] != '/')
        return config_value_error(reader, node, "is not an absolute path", key->expected);
    memcpy(field, text, length + 1);
    return 0;
}

static int read_value(struct config_reader *reader, const struct config_key *key,
                      const struct config_yaml_node *node, void *into)
{
    if (key->kind == CONFIG_VALUE_CUSTOM)
        return key->read(reader, node, into);
    const char *text = NULL;
    int r = config_value_scalar(reader, node, key->expected, &text);
    if (r < 0)
        return r;
    char *field = (char *)into + key->offset;
    switch (key->kind) {
    case CONFIG_VALUE_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return config_value_error(reader, node, "is neither true nor false", "true or false");
        *(bool *)field = text[0] == 't';
        return 0;
    case CONFIG_VALUE_TEXT:
    case CONFIG_VALUE_PATH:
        return read_text(reader, key, node, text, field);
    default:
        return read_quantity(reader, key, node, text, field);
    }
}

static int unknown_key(struct config_reader *reader, const struct config_yaml_node *node,
                       const struct config_key *keys)
{
    const char *nearest = NULL;
    unsigned nearest_distance = NEAREST_DISTANCE + 1;
    _cleanup_text_ struct text known = {.max_bytes = sizeof(reader->diag->hint)};
    for (const struct config_key *key = keys; key->name; key++) {
        unsigned distance = edit_distance(node->key, key->name, NEAREST_DISTANCE);
        /* "by" is three edits away from any word of three letters */
        if (distance < nearest_distance && distance < strlen(key->name)) {
            nearest = key->name;
            nearest_distance = distance;
        }
        text_append_format(&known, "%s%s", key == keys ? "" : ", ", key->name);
    }
    int r = config_yaml_error(reader->diag, reader->file, node->key_place, "unknown key %.60s",
                              node->key);
    if (nearest)
        diag_hint(reader->diag, "did you mean %s?", nearest);
    else if (!known.failed)
        diag_hint(reader->diag, "known here: %s", known.bytes);
    return r;
}

int config_value_read_mapping(struct config_reader *reader, const struct config_yaml_node *node,
                              const struct config_key *keys, void *into)
{
    if (node->kind != CONFIG_YAML_MAPPING) {
        char expected[96];
        snprintf(expected, sizeof(expected), "a mapping with keys such as `%s: ` (mind the space)",
                 keys[0].name);
        return config_value_error(reader, node, "does not belong here", expected);
    }
    for (const struct config_yaml_node *child = node->first_child; child; child = child->next) {
        const struct config_key *key = keys;
        while (key->name && strcmp(key->name, child->key) != 0)
            key++;
        int r = key->name ? read_value(reader, key, child, into) : unknown_key(reader, child, keys);
        if (r < 0)
            return r;
    }
    return 0;
}
