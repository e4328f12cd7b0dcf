/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading answers defensively: what is absent or of a wrong type reads as nothing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

bool json_field_has(const json_t *object, const char *key);
uint64_t json_field_u64(const json_t *object, const char *key);       /* 0 */
double json_field_number(const json_t *object, const char *key);      /* 0.0; integers too */
bool json_field_bool(const json_t *object, const char *key);          /* false */
const char *json_field_string(const json_t *object, const char *key); /* "" */

/* One line, key order kept, numbers as short as the agent wrote them. */
void json_field_dump(const json_t *value, struct text *out);

/* Building parameters; false: no memory. A NULL value adds nothing. */
bool json_field_set_string(json_t *object, const char *key, const char *value);
bool json_field_set_u64(json_t *object, const char *key, uint64_t value);
bool json_field_set_bool(json_t *object, const char *key, bool value);

static inline void json_decref_cleanup(json_t **value)
{
    json_decref(*value);
}
#define _cleanup_json_ _cleanup_(json_decref_cleanup)
