/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patterns for names, in time that a hostile pattern cannot stretch. */
#pragma once

#include <stdbool.h>

/* `*` any run ('/' is a character like others), `?` one byte, `[a-z]` `[!a-z]` `[[:digit:]]` as
 * fnmatch(3) in the C locale; `[` without its `]` and backslashes stand for themselves. At most
 * O(pattern * string), where fnmatch(3) is exponential in the stars of a hostile pattern. */
bool glob_is(const char *string);
bool glob_matches(const char *pattern, const char *string);
