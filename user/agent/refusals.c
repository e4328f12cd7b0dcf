/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/refusals.h"

#include <string.h>

/* What a refusal says beyond its target. */
static const char *reason_of(const char *target, const char *what)
{
    size_t length = strlen(target);
    return strncmp(what, target, length) == 0 && what[length] == ':' ? what + length : what;
}

bool refusals_is_news(struct refusals *refusals, const char *target, const struct diag *diag,
                      unsigned *ret_repeated)
{
    const char *reason = reason_of(target, diag->what);
    *ret_repeated = 0;
    if (strcmp(refusals->reason, reason) == 0) {
        refusals->repeated++;
        return false;
    }
    *ret_repeated = refusals->repeated;
    refusals->repeated = 0;
    strcpy(refusals->reason, reason);
    return true;
}
