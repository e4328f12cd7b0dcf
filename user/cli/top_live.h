/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live view: model, source and terminal, until its user ends it. */
#pragma once

#include "cli/top_source.h"

/* Until q or a signal that asks for an end. Interrupts must be installed. -ENOTTY, -ENOTSUP: there
 * is no terminal that could show it; -ECONNRESET: a borrowed agent is gone. */
int top_live_run(struct top_model *model, struct top_source *source,
                 struct diag *reterr_diag) _must_check_;
