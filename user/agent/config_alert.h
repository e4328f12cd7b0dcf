/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads `alerting:` and `alerts:`: how rules are looked at and who is told, and the rules. */
#pragma once

#include "agent/config.h"
#include "agent/config_value.h"

/* Both as `read` of a table's key; the reader's context is a struct config_target_origin. */
int config_alert_read_settings(struct config_reader *reader, const struct config_yaml_node *node,
                               void *into) _must_check_;
int config_alert_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                           void *into) _must_check_;

/* What can be said once every file was read: windows that the tables do not reach back for. */
int config_alert_check(const struct config *config, struct diag *reterr_diag) _must_check_;
