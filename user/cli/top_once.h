/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One answer of Stats, filtered and ordered as `loris top` does it. */
#pragma once

#include "cli/top_row.h"

/* filter: "" keeps everything. Changes the reply's array of series. 0 or -ENOMEM. */
int top_once_arrange(json_t *reply, const char *filter, enum top_sort sort) _must_check_;
