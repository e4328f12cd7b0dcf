/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets that are refused one after the other for one reason: said once, the others counted. */
#pragma once

#include <stdbool.h>

#include "base/diag.h"

struct refusals {
    char reason[sizeof(((struct diag *)0)->what)]; /* of the last one that was said */
    unsigned repeated;                             /* refusals since then, for the same reason */
};

/* False: as the one before; true: say it, and before it what `repeated` was, which begins anew. */
bool refusals_is_news(struct refusals *refusals, const char *target, const struct diag *diag,
                      unsigned *ret_repeated);
