/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_once.h"

#include <errno.h>

#include "cli/json_field.h"

struct arranged {
    struct top_row *row;
    json_t *series; /* borrowed */
};

static int compare(const void *left_at, const void *right_at, void *context)
{
    const struct arranged *left = left_at, *right = right_at;
    return top_row_rank(left->row, right->row, *(const enum top_sort *)context);
}

static int append_in_order(json_t *series, const struct arranged *arranged, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_array_append(series, arranged[i].series) < 0)
            return -ENOMEM;
    return 0;
}

int top_once_arrange(json_t *reply, const char *filter, enum top_sort sort)
{
    const json_t *given = json_object_get(reply, "series");
    size_t given_count = json_array_size(given), count = 0;
    _cleanup_free_ struct arranged *arranged = calloc(given_count + 1, sizeof(*arranged));
    _cleanup_json_ json_t *series = json_array();
    int r = arranged && series ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < given_count; i++) {
        struct top_row *row = NULL;
        json_t *one = json_array_get(given, i);
        r = top_row_new(one, &row);
        if (r == 0 && top_row_matches(row, filter))
            arranged[count++] = (struct arranged){row, one};
        else
            top_row_free(row);
    }
    if (r == 0)
        qsort_r(arranged, count, sizeof(*arranged), compare, &sort);
    if (r == 0)
        r = append_in_order(series, arranged, count);
    for (size_t i = 0; i < count; i++)
        top_row_free(arranged[i].row);
    if (r == 0 && json_object_set(reply, "series", series) < 0)
        r = -ENOMEM;
    return r;
}
