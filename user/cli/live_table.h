/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of series that refreshes each second until somebody ends it. */
#pragma once

#include "cli/output.h"
#include "cli/series_view.h"
#include "query/query_client.h"

struct live_table {
    const char *title;
    const char *socket_path; /* where to come back to; NULL: `borrowed` is all there is */
    struct query_client *borrowed;
    struct query_client *own;
    const char *probe; /* glob, NULL: all */
    const char *by;
    enum series_order order;
    struct output *output;
};

/* Until q, Ctrl-C, or the reader leaves. Exit code. Interrupts must be installed. */
int live_table_run(struct live_table *live);
/* One table, without waiting. Exit code. */
int live_table_once(struct live_table *live);
void live_table_done(struct live_table *live);
