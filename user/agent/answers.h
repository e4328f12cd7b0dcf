/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods of org.loris.Agent. */
#pragma once

#include "agent/agent.h"

void answer_stats(struct varlink_call *call, const json_t *parameters, void *context);
void answer_set_mark(struct varlink_call *call, const json_t *parameters, void *context);
void answer_status(struct varlink_call *call, const json_t *parameters, void *context);
void answer_open_calls(struct varlink_call *call, const json_t *parameters, void *context);
void answer_reload(struct varlink_call *call, const json_t *parameters, void *context);
/* "health" and "reasons"; returns how many reasons there are. */
unsigned answer_write_health(const struct agent *agent, struct json_writer *json);
/* The object "placement". */
void answer_write_placement(struct json_writer *json, const struct placement *placement);
void answer_list(struct varlink_call *call, const json_t *parameters, void *context);
void answer_attach(struct varlink_call *call, const json_t *parameters, void *context);
void answer_doctor(struct varlink_call *call, const json_t *parameters, void *context);
void answer_detach(struct varlink_call *call, const json_t *parameters, void *context);
void answer_alerts(struct varlink_call *call, const json_t *parameters, void *context);
void answer_check(struct varlink_call *call, const json_t *parameters, void *context);
void answer_heap(struct varlink_call *call, const json_t *parameters, void *context);
void answer_kmem(struct varlink_call *call, const json_t *parameters, void *context);

/* Reads an optional parameter; absent keeps the default. False: it has the wrong type or range,
 * and the call was answered. Strings are borrowed from the parameters. */
bool answer_string(struct varlink_call *call, const json_t *parameters, const char *name,
                   const char **value);
bool answer_bool(struct varlink_call *call, const json_t *parameters, const char *name,
                 bool *value);
bool answer_u64(struct varlink_call *call, const json_t *parameters, const char *name,
                uint64_t *value);
