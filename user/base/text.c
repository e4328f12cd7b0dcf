/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define TEXT_MAX_BYTES_DEFAULT ((size_t)64 << 20)
#define TEXT_FIRST_CAPACITY    128

void text_done(struct text *text)
{
    free(text->bytes);
    *text = (struct text){.max_bytes = text->max_bytes};
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->failed = 0;
    if (text->bytes)
        text->bytes[0] = '\0';
}

/* Makes room for `more` bytes and the NUL; false when it cannot and has said so in `failed`. */
static bool reserve(struct text *text, size_t more)
{
    if (text->failed)
        return false;
    size_t max_bytes = text->max_bytes ? text->max_bytes : TEXT_MAX_BYTES_DEFAULT;
    if (text->length > max_bytes || more > max_bytes - text->length) {
        text->failed = -E2BIG;
        return false;
    }
    size_t wanted = text->length + more + 1;
    if (wanted <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : TEXT_FIRST_CAPACITY;
    while (capacity < wanted)
        capacity = capacity > max_bytes / 2 ? max_bytes + 1 : capacity * 2;
    char *bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->failed = -ENOMEM;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
    if (length == 0 || !reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_append_format(struct text *text, const char *format, ...)
{
    if (text->failed)
        return;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = text->capacity > text->length ? text->capacity - text->length : 0;
    int length = vsnprintf(room ? text->bytes + text->length : NULL, room, format, args);
    va_end(args);
    if (length < 0) {
        text->failed = -EINVAL;
    } else if (length > 0 && reserve(text, (size_t)length)) {
        if ((size_t)length >= room)
            vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    if (text->failed && text->bytes && text->capacity > text->length)
        text->bytes[text->length] = '\0'; /* what was refused leaves no trace */
    va_end(again);
}

static bool in_class(const char *name, size_t length, unsigned char byte)
{
    bool lower = byte >= 'a' && byte <= 'z';
    bool upper = byte >= 'A' && byte <= 'Z';
    bool digit = byte >= '0' && byte <= '9';
    bool graph = byte > 0x20 && byte < 0x7f;
    bool hex_letter = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
    const struct {
        const char *name;
        bool member;
    } classes[] = {
        {"alnum", lower || upper || digit},
        {"alpha", lower || upper},
        {"blank", byte == ' ' || byte == '\t'},
        {"cntrl", byte < 0x20 || byte == 0x7f},
        {"digit", digit},
        {"graph", graph},
        {"lower", lower},
        {"print", graph || byte == ' '},
        {"punct", graph && !(lower || upper || digit)},
        {"space", byte == ' ' || (byte >= '\t' && byte <= '\r')},
        {"upper", upper},
        {"xdigit", digit || hex_letter},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strlen(classes[i].name) == length && memcmp(classes[i].name, name, length) == 0)
            return classes[i].member;
    return false;
}

/* Whether the bracket expression at `at` (on its '[') holds `byte`; ret_end: behind its ']', or
 * NULL when it has none and the '[' is an ordinary character. */
static bool bracket_matches(const char *at, unsigned char byte, const char **ret_end)
{
    *ret_end = NULL;
    at++;
    bool negated = *at == '!' || *at == '^';
    if (negated)
        at++;
    bool found = false;
    for (bool first = true; first || *at != ']'; first = false) {
        if (*at == '\0')
            return false;
        const char *class_end = at[0] == '[' && at[1] == ':' ? strstr(at + 2, ":]") : NULL;
        if (class_end) {
            found |= in_class(at + 2, (size_t)(class_end - at - 2), byte);
            at = class_end + 2;
            continue;
        }
        unsigned char low = (unsigned char)*at, high = low;
        at++;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            high = (unsigned char)at[1];
            at += 2;
        }
        found |= byte >= low && byte <= high;
    }
    *ret_end = at + 1;
    return found != negated;
}

bool glob_is(const char *string)
{
    return strpbrk(string, "*?[") != NULL;
}

/* Only the last star ever needs another try: what an earlier one took can be given to it. */
bool glob_matches(const char *pattern, const char *string)
{
    const char *after_star = NULL, *retry_from = NULL;
    for (;;) {
        if (*pattern == '*') {
            after_star = ++pattern;
            retry_from = string;
            continue;
        }
        if (*string == '\0')
            return *pattern == '\0';
        bool same = *pattern == *string;
        const char *next = *pattern ? pattern + 1 : pattern;
        if (*pattern == '?')
            same = true;
        if (*pattern == '[') {
            const char *end;
            bool inside = bracket_matches(pattern, (unsigned char)*string, &end);
            if (end) {
                same = inside;
                next = end;
            }
        }
        if (same) {
            pattern = next;
            string++;
        } else if (after_star) {
            pattern = after_star;
            string = ++retry_from;
        } else {
            return false;
        }
    }
}

/* Ukkonen 1985: only the diagonals within `limit` of the main one can stay below it. */
unsigned edit_distance(const char *left, const char *right, unsigned limit)
{
    if (limit > EDIT_DISTANCE_LIMIT_MAX)
        limit = EDIT_DISTANCE_LIMIT_MAX;
    const unsigned beyond = limit + 1;
    size_t left_length = strlen(left), right_length = strlen(right);
    size_t gap =
        left_length > right_length ? left_length - right_length : right_length - left_length;
    if (gap > limit)
        return beyond;
    /* cost[d]: distance of left[0 .. row) and right[0 .. row + d - limit), one spare at the end */
    unsigned cost[2 * EDIT_DISTANCE_LIMIT_MAX + 2];
    const unsigned diagonals = 2 * limit + 1;
    for (unsigned d = 0; d <= diagonals; d++)
        cost[d] = d >= limit && d < diagonals ? d - limit : beyond;
    for (size_t row = 1; row <= left_length; row++) {
        unsigned best = beyond;
        for (unsigned d = 0; d < diagonals; d++) {
            if (row + d < limit || row + d - limit > right_length) {
                cost[d] = beyond;
                continue;
            }
            size_t column = row + d - limit;
            unsigned value = beyond;
            if (column > 0)
                value = cost[d] + (left[row - 1] != right[column - 1]);
            if (cost[d + 1] + 1 < value)
                value = cost[d + 1] + 1;
            if (d > 0 && column > 0 && cost[d - 1] + 1 < value)
                value = cost[d - 1] + 1;
            cost[d] = value < beyond ? value : beyond;
            if (cost[d] < best)
                best = cost[d];
        }
        if (best == beyond)
            return beyond;
    }
    return cost[right_length + limit - left_length];
}

static unsigned utf8_tail(const unsigned char *at, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return count + 1;
}

size_t text_utf8_bytes(const char *at, size_t left)
{
    const unsigned char *byte = (const unsigned char *)at;
    if (left == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xc2 && byte[0] <= 0xdf && left >= 2)
        return utf8_tail(byte, 1);
    if ((byte[0] & 0xf0) == 0xe0 && left >= 3) {
        bool overlong = byte[0] == 0xe0 && byte[1] < 0xa0;
        bool surrogate = byte[0] == 0xed && byte[1] > 0x9f;
        return overlong || surrogate ? 0 : utf8_tail(byte, 2);
    }
    if (byte[0] >= 0xf0 && byte[0] <= 0xf4 && left >= 4) {
        bool overlong = byte[0] == 0xf0 && byte[1] < 0x90;
        bool beyond = byte[0] == 0xf4 && byte[1] > 0x8f;
        return overlong || beyond ? 0 : utf8_tail(byte, 3);
    }
    return 0;
}

/* Whether a terminal or a log reader would act on the character instead of showing it. */
static bool is_control(const unsigned char *at, size_t bytes)
{
    if (bytes == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    if (bytes == 2)
        return at[0] == 0xc2 && at[1] < 0xa0; /* C1 */
    if (bytes == 3 && at[0] == 0xe2)          /* U+2028 .. U+202E, U+2066 .. U+2069 */
        return (at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) ||
               (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9);
    return false;
}

void text_sanitize(const char *in, size_t in_bytes, char *out)
{
    size_t length = strnlen(in, in_bytes);
    size_t at = 0;
    while (at < length) {
        size_t bytes = text_utf8_bytes(in + at, length - at);
        bool keep = bytes > 0 && !is_control((const unsigned char *)in + at, bytes);
        if (bytes == 0)
            bytes = 1;
        if (keep)
            memmove(out + at, in + at, bytes);
        else
            memset(out + at, '?', bytes);
        at += bytes;
    }
    out[length] = '\0';
}
