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

void text_append_sanitized(struct text *text, const char *string)
{
    size_t from = text->length;
    text_append_string(text, string);
    if (text->length > from)
        text_sanitize(text->bytes + from, text->length - from, text->bytes + from);
}
