/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/rollup.h"

/* The row that takes the others in: OTHER among the kept ones, else the last kept that is about
 * somebody. */
static size_t find_catcher(const struct rollup *rollup, size_t kept)
{
    for (size_t i = 0; i < kept; i++)
        if (rollup->rows[i].key.level == SERIES_OTHER)
            return i;
    bool is_nobody = rollup->rows[kept - 1].key.level == SERIES_UNATTRIBUTED;
    return is_nobody && kept > 1 ? kept - 2 : kept - 1;
}

int rollup_cut(struct rollup *rollup, size_t max_rows)
{
    if (rollup->row_count <= max_rows || max_rows == 0)
        return 0;
    size_t at = find_catcher(rollup, max_rows);
    struct rollup_row *catcher = &rollup->rows[at];
    for (size_t i = max_rows; i < rollup->row_count; i++) {
        int error = latency_stat_merge(&catcher->stat, &rollup->rows[i].stat);
        if (error)
            return error;
        catcher->estimated |= rollup->rows[i].estimated;
        latency_stat_done(&rollup->rows[i].stat);
    }
    catcher->key.level = SERIES_OTHER;
    catcher->key.who = 0;
    catcher->serial = 0;
    rollup->row_count = max_rows;
    rollup_sort(rollup);
    return 0;
}
