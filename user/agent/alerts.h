/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evaluates the alert rules every interval, tells of what changed, keeps the state. */
#pragma once

#include "agent/agent.h"
#include "agent/alert_history.h"
#include "alert/alert_book.h"
#include "export/alert_json.h"

struct alerts;
struct line_output;

/* Takes the configuration's rules, restores what was saved, begins to look. */
int alerts_start(struct agent *agent, struct diag *reterr_diag) _must_check_;
/* Saves the state. */
void alerts_stop(struct agent *agent);
/* Something is watched: there is something to look at again. */
void alerts_wake(struct agent *agent);

/* A new configuration in two steps: what can fail, and the change. Between them others may fail,
 * and it is called off. */
int alerts_reload_begin(struct agent *agent, const struct config *fresh,
                        struct diag *reterr_diag) _must_check_;
void alerts_reload_cancel(struct agent *agent);
void alerts_reload_finish(struct agent *agent, struct config *fresh);
/* After a rotation; says what fails. */
void alerts_reopen(struct agent *agent);

/* For answers. NULL: a private agent has no alerts. */
const struct alert_book *alerts_book(const struct agent *agent);
const struct alert_history *alerts_history(const struct agent *agent);
struct alert_clock alerts_clock(const struct agent *agent);
/* NULL: alerts go nowhere. */
const struct line_output *alerts_output(const struct agent *agent);
