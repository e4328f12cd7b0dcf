/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One evaluation: puts every rule's question to the series, and what it finds into the book. */
#pragma once

#include "agent/agent.h"
#include "agent/alert_self.h"
#include "alert/alert_book.h"

/* Rules that ask the same stand together, so that they share one answer. */
void alert_look_sort(const struct alert_rule **rules, size_t count);

/* rules: sorted, as in the book; those of self are among them (NULL: none are). Drains first. */
void alert_look(struct agent *agent, struct alert_book *book, const struct alert_rule *const *rules,
                size_t count, struct alert_self *self);
