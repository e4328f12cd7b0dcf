/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lorisd of our own on a private socket, which ends when we do, however we do. */
#pragma once

#include <sys/types.h>

#include "query/query_client.h"

struct private_agent;

/* budget: what its probes may cost, as lorisd --budget takes it; NULL: the default. */
int private_agent_start(const char *budget, struct private_agent **ret_agent,
                        struct diag *reterr_diag) _must_check_;
/* Hangs up, and waits until everything it attached is gone. */
void private_agent_stop(struct private_agent *agent);
DEFINE_CLEANUP(struct private_agent *, private_agent_stop);

/* Borrowed. */
struct query_client *private_agent_client(const struct private_agent *agent);
