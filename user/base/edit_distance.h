/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far apart two names are, for suggestions. */
#pragma once

/* Levenshtein distance in bytes, cut off above `limit` (then limit + 1), which is at most
 * EDIT_DISTANCE_LIMIT_MAX. O(limit * length). */
#define EDIT_DISTANCE_LIMIT_MAX 32
unsigned edit_distance(const char *left, const char *right, unsigned limit);
