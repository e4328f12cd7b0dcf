/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What alert rules see of heap: targets: live bytes, live blocks and their growth. */
#pragma once

#include "agent/agent.h"
#include "alert/alert_book.h"

/* Tells the book every row that the rule, of a metric of heaps, looks at. Behind heap_upkeep.
 * -ENOMEM: not all of them. */
int alert_heap_observe(struct agent *agent, const struct alert_rule *rule, struct alert_book *book,
                       size_t index) _must_check_;
