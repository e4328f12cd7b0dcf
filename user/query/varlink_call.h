/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One varlink call: request parsing, dispatch, replies, org.varlink.service. */
#pragma once

#include "query/varlink_connection.h"
#include "query/varlink_server.h"

#define VARLINK_VALUES_MAX  32768 /* values in one request: parsing costs about 300 bytes each */
#define VARLINK_NESTING_MAX 32

/* Answers one frame, whatever it holds: a method's reply, an error, or an error and the end of the
 * connection when it is no varlink at all. */
void varlink_call_dispatch(const struct varlink_server_config *config,
                           struct varlink_connection *connection, const char *frame, size_t length);
