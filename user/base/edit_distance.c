/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/edit_distance.h"

#include <stddef.h>
#include <string.h>

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
