/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preset:NAME where a client gives targets: Attach, Detach and List of what a preset names. */
#pragma once

#include "agent/agent.h"

/* The name in "preset:NAME", NULL for any other target. */
const char *answer_preset_of(const char *text);

/* As targets_attach(). The asker's error rule, way to attach and sample go before the preset's;
 * what is watched already stays as it is. Fails only when nothing of it could be attached. */
int answer_preset_attach(struct agent *agent, const struct config_target *asked,
                         struct attach_report *report, struct diag *reterr_diag) _must_check_;

/* Detaches what the configuration does not ask for; adds to *count. */
int answer_preset_detach(struct agent *agent, const char *text, uint64_t *count,
                         struct diag *reterr_diag) _must_check_;

/* Answers List: a glob gives the presets with their descriptions, a name what is in that one. */
void answer_preset_list(struct varlink_call *call, struct agent *agent, const char *pattern,
                        uint64_t limit);
