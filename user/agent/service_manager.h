/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent tells the service manager (sd_notify(3)): when it is ready, reloads and stops, how
 * it is, and that it still works. Without one, and for NULL, nothing is said. */
#pragma once

#include "base/diag.h"

struct agent;
struct service_manager;

/*
 * Where a watchdog is asked for, it is told "alive" three times in its period, when the drain got
 * on since the last time. That timer is the one thing that wakes an agent with nothing attached:
 * otherwise nobody would notice that its loop hangs. NULL when there is no service manager.
 */
int service_manager_new(struct agent *agent, struct service_manager **ret_manager) _must_check_;
void service_manager_free(struct service_manager *manager);
DEFINE_CLEANUP(struct service_manager *, service_manager_free);

void service_manager_ready(struct service_manager *manager);
void service_manager_reloading(struct service_manager *manager);
/* Successful or not: reload_failure of the agent is in the status until a reload succeeds. */
void service_manager_reloaded(struct service_manager *manager);
void service_manager_stopping(struct service_manager *manager);
/* A target was attached or detached: during a start or reload, asks for time for the next one;
 * otherwise says that it still works, for there may be many. */
void service_manager_step(struct service_manager *manager);
/* Says how it is, if that changed and was not said just now. Cheap enough for once a second. */
void service_manager_upkeep(struct service_manager *manager);
