/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/watchdog.h"

bool watchdog_sees_progress(const struct watchdog_look *before, const struct watchdog_look *now,
                            uint64_t now_ns)
{
    if (!before->draining || !now->draining)
        return true;
    if (now_ns < now->complete_ns + now->interval_ns + WATCHDOG_GRACE_NS)
        return true;
    return now->passes != before->passes && now->records != before->records;
}
