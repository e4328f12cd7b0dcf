/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: a bounded growing buffer, globs, edit distance, quantities as people read and write them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"

/* A growing byte string. Appending past max_bytes (0: 64 MiB), or without memory, sets `failed`
 * once and drops what follows, so a writer checks at its end only. */
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

/* `*` any run, `?` one character, `[...]` as fnmatch(3); no escapes into directories. */
bool glob_is(const char *string);
bool glob_matches(const char *pattern, const char *string);

/* Levenshtein distance, cut off above `limit` (then limit + 1). O(length of both). */
unsigned edit_distance(const char *left, const char *right, unsigned limit);

/* Checked parsing; the whole string must be used. -EINVAL (form), -ERANGE (value). */
int parse_u64(const char *string, uint64_t *ret_value) _must_check_;
/* "250ms", "10s", "1.5m", "2h"; units ns us ms s m h d; a bare number is refused. */
int parse_duration_ns(const char *string, uint64_t *ret_ns) _must_check_;
/* "64MiB", "100MB", "4096"; units B kB KiB MB MiB GB GiB. */
int parse_bytes(const char *string, uint64_t *ret_bytes) _must_check_;

/* "1.23 ms", "87 ns", "12.3 s"; at most 8 characters. */
void format_duration(uint64_t ns, char out[16]);
/* "1.2 MiB" */
void format_bytes(uint64_t bytes, char out[16]);
/* "12.3 k", "2.10 M"; at most 7 characters. */
void format_count(double count, char out[16]);

/* Copies a name that is not trusted: stops at NUL or in_bytes, replaces control and invalid UTF-8
 * bytes by '?'. out holds at least in_bytes + 1. */
void text_sanitize(const char *in, size_t in_bytes, char *out);
