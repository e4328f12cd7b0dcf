/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's own rules: what it watches about itself, and what it sees there. */
#pragma once

#include "agent/agent.h"
#include "alert/alert_book.h"

struct alert_self;

/* The rules for this configuration. */
int alert_self_new(const struct config *config, struct alert_self **ret_self) _must_check_;
void alert_self_free(struct alert_self *self);
DEFINE_CLEANUP(struct alert_self *, alert_self_free);
size_t alert_self_rules(const struct alert_self *self);
const struct alert_rule *alert_self_rule(const struct alert_self *self, size_t nth);

/* Reads the agent's figures, once an evaluation. */
void alert_self_look(struct alert_self *self, struct agent *agent);
/* Tells the book, whose rule `index` is one of these, what was seen. */
void alert_self_observe(const struct alert_self *self, const struct alert_rule *rule,
                        struct alert_book *book, size_t index);
/* What was counted up to now is nobody's news. */
void alert_self_begin(struct alert_self *self, struct agent *agent);
/* What a new configuration's rules need to know of the past. */
void alert_self_inherit(struct alert_self *self, const struct alert_self *before);
