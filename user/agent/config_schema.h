/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which keys a configuration may have: sets the fields of struct config from one file's tree. */
#pragma once

#include "agent/config.h"
#include "agent/config_yaml.h"

/* Overrides what the tree sets and adds its targets. file: index into config->files, also the name
 * in messages. After an error the configuration is half changed: throw it away. */
int config_schema_apply(struct config *config, uint32_t file, const struct config_yaml *yaml,
                        struct diag *reterr_diag) _must_check_;
