/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: a bounded growing buffer, and names that are not trusted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"
#include "base/quantity.h"

/* A growing byte string; zero-initialise. Appending past max_bytes (0: 64 MiB), or without memory,
 * sets `failed` once and drops what follows, so a writer checks at its end only. */
struct text {
    char *bytes; /* NUL-terminated when length > 0; owned */
    size_t length;
    size_t capacity;
    size_t max_bytes;
    int failed; /* 0, -ENOMEM or -E2BIG */
};

void text_done(struct text *text);
void text_clear(struct text *text); /* keeps the memory, clears `failed` */
void text_append(struct text *text, const char *bytes, size_t length);
void text_append_string(struct text *text, const char *string);
void text_append_format(struct text *text, const char *format, ...) _printf_(2, 3);
#define _cleanup_text_ _cleanup_(text_done)

/* Bytes (1 .. 4) of the well-formed UTF-8 character at `at` (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF); 0 when there is none. left: readable bytes. */
size_t text_utf8_bytes(const char *at, size_t left);

/* Copies a name that is not trusted: stops at NUL or in_bytes, replaces the bytes of control
 * characters (C0, DEL, C1, line separators, bidirectional overrides) and invalid UTF-8 by '?'.
 * out holds at least in_bytes + 1; in == out is allowed. */
void text_sanitize(const char *in, size_t in_bytes, char *out);
/* The same behind what is there. */
void text_append_sanitized(struct text *text, const char *string);
