/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#define FILE_SHOWN_BYTES 160

/* One parse: the containers that are open, outermost first, and what their next child needs. */
struct reading {
    const char *file;
    const char *bytes;
    size_t length;
    struct diag *diag;
    struct config_yaml *yaml;
    struct config_yaml_node *open[CONFIG_YAML_DEPTH_MAX];
    struct config_yaml_node *last_child[CONFIG_YAML_DEPTH_MAX];
    unsigned depth;
    char *key; /* read, its value is still to come; owned */
    struct config_yaml_place key_place;
    bool had_document;
    bool ended;
};

int config_yaml_error(struct diag *diag, const char *file, struct config_yaml_place place,
                      const char *format, ...)
{
    char problem[sizeof(diag->what)];
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof(problem), format, args);
    va_end(args);
    size_t length = strlen(file);
    bool cut = length > FILE_SHOWN_BYTES;
    return diag_set(diag, EINVAL, "%s%s:%u:%u: %s", cut ? "..." : "",
                    cut ? file + length - FILE_SHOWN_BYTES : file, place.line, place.column,
                    problem);
}

static int out_of_memory(struct reading *reading)
{
    return diag_set(reading->diag, ENOMEM, "%.160s: not enough memory to read it", reading->file);
}

static struct config_yaml_place place_of(yaml_mark_t mark)
{
    return (struct config_yaml_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static struct config_yaml_place place_of_offset(const struct reading *reading, size_t offset)
{
    struct config_yaml_place place = {1, 1};
    for (size_t i = 0; i < offset && i < reading->length; i++) {
        if (reading->bytes[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)reading->bytes[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* libyaml says what confused it; people need what they most likely did. */
static void hint_for_syntax(const struct reading *reading, const yaml_parser_t *parser)
{
    size_t at = parser->problem_mark.index; /* in characters: right as long as these are ASCII */
    char found = at < reading->length ? reading->bytes[at] : '\0';
    if (found == '\t')
        diag_hint(reading->diag, "indent with spaces; YAML allows no tabs there");
    else if (found && strchr("@`%*&!|>", found))
        diag_hint(reading->diag, "a text that begins with %c needs quotes", found);
    else if (found == '-')
        diag_hint(reading->diag, "items of one list begin in the same column; a lone - as a text "
                                 "needs quotes: \"-\"");
    else if (found == ':')
        diag_hint(reading->diag, "every line is `key: value`, and keys of one mapping begin in the "
                                 "same column; a text with `: ` in it needs quotes");
    else if (parser->error == YAML_SCANNER_ERROR && parser->context &&
             strstr(parser->context, "simple key"))
        diag_hint(reading->diag, "every line is `key: value` or `- item`, with a space after "
                                 "the : or -");
    else
        diag_hint(reading->diag, "look at the indentation, and for a missing quote, bracket or "
                                 "comma");
}

static int on_syntax_error(struct reading *reading, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return out_of_memory(reading);
    const char *problem = parser->problem ? parser->problem : "not readable";
    if (parser->error == YAML_READER_ERROR) {
        struct config_yaml_place place = place_of_offset(reading, parser->problem_offset);
        int r = config_yaml_error(reading->diag, reading->file, place, "%s", problem);
        diag_hint(reading->diag, "expected UTF-8 text without control characters");
        return r;
    }
    struct config_yaml_place place = place_of(parser->problem_mark);
    int r;
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        r = config_yaml_error(reading->diag, reading->file, place, "%s (%s that began in line %zu)",
                              problem, parser->context, parser->context_mark.line + 1);
    else
        r = config_yaml_error(reading->diag, reading->file, place, "%s", problem);
    hint_for_syntax(reading, parser);
    return r;
}

/* A place past a bound; the bounds are far beyond what people write by hand. */
static int too_many(struct reading *reading, struct config_yaml_place place, const char *of,
                    unsigned limit)
{
    int r = config_yaml_error(reading->diag, reading->file, place, "too many %s", of);
    diag_hint(reading->diag, "at most %u", limit);
    return r;
}

static int check_scalar(struct reading *reading, const yaml_event_t *event)
{
    struct config_yaml_place place = place_of(event->start_mark);
    const unsigned char *text = event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (length >= CONFIG_YAML_SCALAR_BYTES) {
        int r =
            config_yaml_error(reading->diag, reading->file, place, "a text of %zu bytes", length);
        diag_hint(reading->diag, "at most %u bytes", CONFIG_YAML_SCALAR_BYTES - 1);
        return r;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] >= 0x20 && text[i] != 0x7f)
            continue;
        int r = config_yaml_error(reading->diag, reading->file, place,
                                  "line break or control character in a text");
        diag_hint(reading->diag, "expected one line of text");
        return r;
    }
    return 0;
}

/* Anchors and tags make a file mean something else than what it seems to say. */
static int check_plainness(struct reading *reading, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        return 0;
    }
    if (!anchor && !tag)
        return 0;
    struct config_yaml_place place = place_of(event->start_mark);
    int r = anchor ? config_yaml_error(reading->diag, reading->file, place,
                                       "the anchor &%.60s is not allowed", anchor)
                   : config_yaml_error(reading->diag, reading->file, place,
                                       "the tag %.60s is not allowed", tag);
    diag_hint(reading->diag, "write the value out; a text that begins with & or ! needs quotes");
    return r;
}

static struct config_yaml_node *node_new(struct reading *reading)
{
    struct config_yaml_node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->made_before = reading->yaml->newest;
    reading->yaml->newest = node;
    reading->yaml->nodes_count++;
    return node;
}

static int on_key(struct reading *reading, const yaml_event_t *event)
{
    struct config_yaml_place place = place_of(event->start_mark);
    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.length == 0) {
        int r = config_yaml_error(reading->diag, reading->file, place, "a key that is not a word");
        diag_hint(reading->diag, "expected `key: value`");
        return r;
    }
    int r = check_scalar(reading, event);
    if (r < 0)
        return r;
    const char *key = (const char *)event->data.scalar.value;
    const struct config_yaml_node *mapping = reading->open[reading->depth - 1];
    for (const struct config_yaml_node *child = mapping->first_child; child; child = child->next) {
        if (strcmp(child->key, key) != 0)
            continue;
        r = config_yaml_error(reading->diag, reading->file, place, "%.60s is set twice", key);
        diag_hint(reading->diag, "it was set in line %u already; keep one of them",
                  child->key_place.line);
        return r;
    }
    reading->key = strdup(key);
    reading->key_place = place;
    return reading->key ? 0 : out_of_memory(reading);
}

static int link_node(struct reading *reading, struct config_yaml_node *node)
{
    if (reading->depth == 0) {
        reading->yaml->root = node;
        return 0;
    }
    unsigned top = reading->depth - 1;
    struct config_yaml_node *parent = reading->open[top];
    if (parent->kind == CONFIG_YAML_MAPPING && parent->children_count == CONFIG_YAML_KEYS_MAX)
        return too_many(reading, node->key_place, "keys in one mapping", CONFIG_YAML_KEYS_MAX);
    if (parent->children_count == CONFIG_YAML_ENTRIES_MAX)
        return too_many(reading, node->place, "items in one list", CONFIG_YAML_ENTRIES_MAX);
    if (reading->last_child[top])
        reading->last_child[top]->next = node;
    else
        parent->first_child = node;
    reading->last_child[top] = node;
    parent->children_count++;
    return 0;
}

/* A scalar, or the start of a list or mapping. */
static int on_node(struct reading *reading, const yaml_event_t *event)
{
    int r = check_plainness(reading, event);
    if (r < 0)
        return r;
    bool in_mapping =
        reading->depth > 0 && reading->open[reading->depth - 1]->kind == CONFIG_YAML_MAPPING;
    if (in_mapping && !reading->key)
        return on_key(reading, event);

    struct config_yaml_place place = place_of(event->start_mark);
    if (reading->yaml->nodes_count == CONFIG_YAML_NODES_MAX)
        return too_many(reading, place, "values", CONFIG_YAML_NODES_MAX);
    struct config_yaml_node *node = node_new(reading);
    if (!node)
        return out_of_memory(reading);
    node->place = place;
    node->key_place = reading->key ? reading->key_place : place;
    node->key = take_ptr(reading->key);
    r = link_node(reading, node);
    if (r < 0)
        return r;
    if (event->type == YAML_SCALAR_EVENT) {
        r = check_scalar(reading, event);
        if (r < 0)
            return r;
        node->kind = CONFIG_YAML_SCALAR;
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = strdup((const char *)event->data.scalar.value);
        return node->text ? 0 : out_of_memory(reading);
    }
    node->kind = event->type == YAML_SEQUENCE_START_EVENT ? CONFIG_YAML_LIST : CONFIG_YAML_MAPPING;
    if (reading->depth == CONFIG_YAML_DEPTH_MAX)
        return too_many(reading, place, "levels of nesting", CONFIG_YAML_DEPTH_MAX);
    reading->open[reading->depth] = node;
    reading->last_child[reading->depth++] = NULL;
    return 0;
}

static int on_document(struct reading *reading, const yaml_event_t *event)
{
    struct config_yaml_place place = place_of(event->start_mark);
    if (event->data.document_start.version_directive ||
        event->data.document_start.tag_directives.start !=
            event->data.document_start.tag_directives.end) {
        int r = config_yaml_error(reading->diag, reading->file, place,
                                  "directives (%%YAML, %%TAG) are not allowed");
        diag_hint(reading->diag, "remove the lines that begin with %%");
        return r;
    }
    if (reading->had_document) {
        int r =
            config_yaml_error(reading->diag, reading->file, place, "a second document begins here");
        diag_hint(reading->diag, "one file is one document; remove the --- or use conf.d");
        return r;
    }
    reading->had_document = true;
    return 0;
}

static int on_event(struct reading *reading, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(reading, event);
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_node(reading, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reading->depth--;
        return 0;
    case YAML_ALIAS_EVENT: {
        int r = config_yaml_error(reading->diag, reading->file, place_of(event->start_mark),
                                  "the alias *%.60s is not allowed", event->data.alias.anchor);
        diag_hint(reading->diag, "write the value out; a text that begins with * needs quotes");
        return r;
    }
    case YAML_STREAM_END_EVENT:
        reading->ended = true;
        return 0;
    default:
        return 0;
    }
}

static int read_events(struct reading *reading, yaml_parser_t *parser)
{
    /* set, not guessed: else a byte order mark could switch to UTF-16, which positions ignore */
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)reading->bytes, reading->length);
    int r = 0;
    while (r == 0 && !reading->ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return on_syntax_error(reading, parser);
        r = on_event(reading, &event);
        yaml_event_delete(&event);
    }
    return r;
}

int config_yaml_parse(const char *file, const char *bytes, size_t length,
                      struct config_yaml **ret_yaml, struct diag *reterr_diag)
{
    if (length > CONFIG_YAML_BYTES_MAX) {
        int r = diag_set(reterr_diag, EINVAL, "%.160s: %zu bytes are too many for a configuration",
                         file, length);
        diag_hint(reterr_diag, "at most %u bytes", CONFIG_YAML_BYTES_MAX);
        return r;
    }
    _cleanup_(config_yaml_free_cleanup) struct config_yaml *yaml = calloc(1, sizeof(*yaml));
    struct reading reading = {
        .file = file, .bytes = bytes, .length = length, .diag = reterr_diag, .yaml = yaml};
    yaml_parser_t parser;
    if (!yaml || !yaml_parser_initialize(&parser))
        return out_of_memory(&reading);
    int r = read_events(&reading, &parser);
    yaml_parser_delete(&parser);
    free(reading.key);
    if (r < 0)
        return r;
    *ret_yaml = take_ptr(yaml);
    return 0;
}

void config_yaml_free(struct config_yaml *yaml)
{
    if (!yaml)
        return;
    struct config_yaml_node *node = yaml->newest;
    while (node) {
        struct config_yaml_node *before = node->made_before;
        free(node->key);
        free(node->text);
        free(node);
        node = before;
    }
    free(yaml);
}

bool config_yaml_is_null(const struct config_yaml_node *node)
{
    return node->kind == CONFIG_YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}
