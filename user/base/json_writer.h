/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes JSON into a text buffer, keeping commas, nesting and escapes right. */
#pragma once

#include "base/text.h"

#define JSON_DEPTH_MAX 32

/* Zero-initialise with .text set. Errors stay in text->failed. Keys are literals of ours and are
 * not escaped; string values are, and invalid UTF-8 becomes U+FFFD. key is NULL inside arrays. */
struct json_writer {
    struct text *text;
    unsigned depth;
    bool filled[JSON_DEPTH_MAX];
};

void json_begin_object(struct json_writer *json, const char *key);
void json_end_object(struct json_writer *json);
void json_begin_array(struct json_writer *json, const char *key);
void json_end_array(struct json_writer *json);
/* NUL-terminated, NULL writes null. Not json_string: jansson has that, and would call ours. */
void json_string_z(struct json_writer *json, const char *key, const char *value);
void json_string_n(struct json_writer *json, const char *key, const char *value, size_t length);
void json_u64(struct json_writer *json, const char *key, uint64_t value);
void json_i64(struct json_writer *json, const char *key, int64_t value);
void json_bool(struct json_writer *json, const char *key, bool value);
/* Finite numbers only (others become null); digits: significant digits, 1 .. 17. Always with a
 * fraction or an exponent: who infers types from the first line must not see an integer. */
void json_double(struct json_writer *json, const char *key, double value, int digits);
/* value is complete, valid JSON */
void json_raw(struct json_writer *json, const char *key, const char *value);
