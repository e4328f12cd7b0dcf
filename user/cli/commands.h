/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry points of the commands; each returns an exit code and has said why when it is not fine. */
#pragma once

#include "cli/exit_code.h"
#include "cli/invocation.h"

int command_watch(const struct invocation *invocation);
int command_stats(const struct invocation *invocation);
int command_status(const struct invocation *invocation);
int command_doctor(const struct invocation *invocation);
int command_list(const struct invocation *invocation);
int command_heap(const struct invocation *invocation);
int command_top(const struct invocation *invocation);
int command_alerts(const struct invocation *invocation);
int command_check(const struct invocation *invocation);
int command_reload(const struct invocation *invocation);
int command_check_config(const struct invocation *invocation);
int command_completion(const struct invocation *invocation);
int command_show_help(const struct invocation *invocation);
int command_version(const struct invocation *invocation);
