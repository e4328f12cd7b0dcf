/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is told of alerts: a file of JSON lines, and journald with fields of its own. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/config.h"
#include "export/alert_json.h"

/* One for each kind, in packaging/loris.catalog. */
#define ALERT_MESSAGE_ID_FIRING    "c941837eee354fe8b93acd1400d19ff8"
#define ALERT_MESSAGE_ID_RESOLVED  "691812f4af984baa8d952fc22b3d4eaa"
#define ALERT_MESSAGE_ID_UNKNOWN   "a1d045117414407d9697cdc64ae98749"
#define ALERT_MESSAGE_ID_HELD_BACK "da35ccc442f042f593a0b94383f54870"

struct alert_sinks;

int alert_sinks_open(sd_event *event, const struct config_alerting *alerting,
                     struct alert_sinks **ret_sinks, struct diag *reterr_diag) _must_check_;
void alert_sinks_close(struct alert_sinks *sinks);
DEFINE_CLEANUP(struct alert_sinks *, alert_sinks_close);
/* After a rotation. -errno: the open file stays. */
int alert_sinks_reopen(struct alert_sinks *sinks) _must_check_;

/* Tells everybody once. How many could not be told; they are not tried again. Where there is
 * nobody to tell, or nobody could be told, it is a line of the agent's log. */
unsigned alert_sinks_tell(struct alert_sinks *sinks, const struct alert_notice *notice,
                          const struct alert_clock *clock);
