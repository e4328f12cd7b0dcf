/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json_writer.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The comma, where one is due, and the key. */
static void begin_value(struct json_writer *json, const char *key)
{
    if (json->depth > 0) {
        bool *filled = &json->filled[json->depth - 1];
        if (*filled)
            text_append(json->text, ",", 1);
        *filled = true;
    }
    if (key) {
        text_append(json->text, "\"", 1);
        text_append_string(json->text, key);
        text_append(json->text, "\":", 2);
    }
}

static void begin_container(struct json_writer *json, const char *key, const char *bracket)
{
    begin_value(json, key);
    text_append(json->text, bracket, 1);
    if (json->depth == JSON_DEPTH_MAX) {
        if (!json->text->failed)
            json->text->failed = -E2BIG;
        return;
    }
    json->filled[json->depth++] = false;
}

static void end_container(struct json_writer *json, const char *bracket)
{
    if (json->depth > 0)
        json->depth--;
    text_append(json->text, bracket, 1);
}

void json_begin_object(struct json_writer *json, const char *key)
{
    begin_container(json, key, "{");
}

void json_end_object(struct json_writer *json)
{
    end_container(json, "}");
}

void json_begin_array(struct json_writer *json, const char *key)
{
    begin_container(json, key, "[");
}

void json_end_array(struct json_writer *json)
{
    end_container(json, "]");
}

static char short_escape(unsigned char byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return (char)byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* Appends the escape of the character at `at` and returns its bytes; 0 when it stands for itself.
 * RFC 8259 asks for quote, backslash and C0; DEL and C1 are escaped too, because JSON lines end
 * up on terminals. character_bytes is 0 for an invalid byte. */
static size_t append_escape(struct text *text, const char *at, size_t character_bytes)
{
    unsigned char byte = (unsigned char)*at;
    if (character_bytes == 0) {
        text_append_string(text, "\xef\xbf\xbd"); /* U+FFFD */
        return 1;
    }
    char escape = short_escape(byte);
    if (escape) {
        text_append(text, (char[]){'\\', escape}, 2);
        return 1;
    }
    if (byte < 0x20 || byte == 0x7f) {
        text_append_format(text, "\\u%04x", byte);
        return 1;
    }
    if (byte == 0xc2 && (unsigned char)at[1] < 0xa0) { /* U+0080 .. U+009F */
        text_append_format(text, "\\u%04x", (unsigned char)at[1]);
        return 2;
    }
    return 0;
}

void json_string_n(struct json_writer *json, const char *key, const char *value, size_t length)
{
    begin_value(json, key);
    text_append(json->text, "\"", 1);
    size_t plain_from = 0; /* what needs no escape goes in one piece */
    size_t at = 0;
    while (at < length && !json->text->failed) {
        size_t character_bytes = text_utf8_bytes(value + at, length - at);
        bool plain = character_bytes > 1
                         ? (unsigned char)value[at] != 0xc2
                         : character_bytes == 1 && value[at] >= 0x20 && value[at] != 0x7f &&
                               value[at] != '"' && value[at] != '\\';
        if (plain) {
            at += character_bytes;
            continue;
        }
        text_append(json->text, value + plain_from, at - plain_from);
        plain_from = at;
        size_t escaped = append_escape(json->text, value + at, character_bytes);
        at += escaped ? escaped : character_bytes;
        if (escaped)
            plain_from = at;
    }
    text_append(json->text, value + plain_from, at - plain_from);
    text_append(json->text, "\"", 1);
}

void json_string_z(struct json_writer *json, const char *key, const char *value)
{
    if (value)
        json_string_n(json, key, value, strlen(value));
    else
        json_raw(json, key, "null");
}

void json_u64(struct json_writer *json, const char *key, uint64_t value)
{
    begin_value(json, key);
    text_append_format(json->text, "%llu", (unsigned long long)value);
}

void json_i64(struct json_writer *json, const char *key, int64_t value)
{
    begin_value(json, key);
    text_append_format(json->text, "%lld", (long long)value);
}

void json_bool(struct json_writer *json, const char *key, bool value)
{
    json_raw(json, key, value ? "true" : "false");
}

/*
 * Numbers of everyday size, without printf's arbitrary precision, which made half of the time of a
 * large answer. As "%.*g", but for the last digit where the value lies half-way. False: not of
 * everyday size.
 */
#define FORMAT_PLAIN_BYTES 64
static bool format_plain(double value, int digits, char out[FORMAT_PLAIN_BYTES])
{
    enum { POWERS_MAX = 13 };
    static const double powers[POWERS_MAX + 1] = {1e0, 1e1, 1e2, 1e3,  1e4,  1e5,  1e6,
                                                  1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13};
    double size = fabs(value);
    if (value == 0) {
        strcpy(out, "0");
        return true;
    }
    if (digits > 9 || size < 1e-4 || size >= powers[digits])
        return false;
    int decimals = digits - 1;
    for (int i = 1; i < digits && size >= powers[i]; i++)
        decimals--;
    for (double small = 1; size < small && small > 1e-4; small /= 10)
        decimals++;
    if (decimals < 0 || decimals > POWERS_MAX)
        return false;
    uint64_t scaled = (uint64_t)llrint(size * powers[decimals]);
    uint64_t scale = (uint64_t)powers[decimals];
    while (decimals > 0 && scaled % 10 == 0) {
        scaled /= 10;
        scale /= 10;
        decimals--;
    }
    int at = snprintf(out, FORMAT_PLAIN_BYTES - POWERS_MAX - 2, "%s%llu", value < 0 ? "-" : "",
                      (unsigned long long)(scaled / scale));
    if (decimals > 0) {
        out[at] = '.';
        out[at + decimals + 1] = '\0';
        for (uint64_t rest = scaled % scale; decimals > 0; decimals--, rest /= 10)
            out[at + decimals] = (char)('0' + rest % 10);
    }
    return true;
}

void json_double(struct json_writer *json, const char *key, double value, int digits)
{
    if (!isfinite(value)) {
        json_raw(json, key, "null");
        return;
    }
    if (digits < 1)
        digits = 1;
    if (digits > 17)
        digits = 17;
    char number[FORMAT_PLAIN_BYTES];
    if (!format_plain(value, digits, number)) {
        snprintf(number, sizeof(number), "%.*g", digits, value);
        quantity_force_decimal_point(number);
    }
    if (!strpbrk(number, ".e"))
        strcat(number, ".0");
    json_raw(json, key, number);
}

void json_raw(struct json_writer *json, const char *key, const char *value)
{
    begin_value(json, key);
    text_append_string(json->text, value);
}
