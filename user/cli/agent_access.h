/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reaching the agent and asking it, with messages and exit codes. */
#pragma once

#include "cli/invocation.h"
#include "query/query_client.h"

/* An agent that does not answer within so long has a problem of its own. */
#define AGENT_CALL_TIMEOUT_NS   (30 * (uint64_t)1000000000)
#define AGENT_ATTACH_TIMEOUT_NS (300 * (uint64_t)1000000000)

/* The running agent. Exit code; says what is wrong. */
int agent_access_open(const struct invocation *invocation, struct query_client **ret_client);
/* One call. Exit code; says what is wrong. */
int agent_access_call(struct query_client *client, const char *method, const json_t *parameters,
                      json_t **ret_reply);
/* One call whose reply has an array: to stdout, an element a line, as the agent wrote them. Exit
 * code; says what is wrong. */
int agent_access_print_lines(struct query_client *client, const char *method, const char *array,
                             const json_t *parameters);

/* A number from 1 up given to an option; exit code, absent leaves *value as it is. */
int agent_access_number(const struct invocation *invocation, enum option_id id, const char *name,
                        uint64_t *value);
/* A duration of at least least_ns given to an option; the same. */
int agent_access_duration(const struct invocation *invocation, enum option_id id, const char *name,
                          uint64_t least_ns, uint64_t *value_ns);
