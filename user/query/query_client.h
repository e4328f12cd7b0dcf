/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client side of the agent's socket: connect, call, time out; used by cli and gateway. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/text.h"

#define QUERY_DEFAULT_SOCKET "/run/loris/loris.sock"
#define QUERY_REPLY_MAX      (256 * 1024 * 1024)

struct query_client;

/* -ECONNREFUSED/-ENOENT (no agent: hint to start it), -EACCES (hint: group loris or root). */
int query_client_open(const char *socket_path, struct query_client **ret_client,
                      struct diag *reterr_diag) _must_check_;
/* The same without waiting; -ETIMEDOUT: the agent has not even taken those before us. */
int query_client_open_now(const char *socket_path, struct query_client **ret_client,
                          struct diag *reterr_diag) _must_check_;
/* Takes a connected socket (the private agent's). */
int query_client_open_fd(int fd, struct query_client **ret_client) _must_check_;
void query_client_free(struct query_client *client);
DEFINE_CLEANUP(struct query_client *, query_client_free);

/*
 * Calls org.loris.Agent.<method>. parameters: borrowed, may be NULL. ret_reply: the reply's
 * parameters, a new reference. timeout_ns 0: none. A signal that arrives does not break the call
 * (EINTR is retried) unless cancel is set non-zero by its handler: then -EINTR. cancel may be NULL.
 * Errors of the agent become the diag; errno: -EPERM for PermissionDenied, -EREMOTEIO otherwise,
 * -ETIMEDOUT, -ECONNRESET (agent gone), -EBADMSG (reply makes no sense).
 */
int query_client_call(struct query_client *client, const char *method, const json_t *parameters,
                      uint64_t timeout_ns, const volatile int *cancel, json_t **ret_reply,
                      struct diag *reterr_diag) _must_check_;
/*
 * The same for a reply whose parameters begin with an array of objects of that name: appends each
 * object to `lines` as the agent wrote it, one a line, unparsed. A large answer costs a tenth of
 * what parsing it does. A reply of another shape is -EBADMSG.
 */
int query_client_call_lines(struct query_client *client, const char *method,
                            const json_t *parameters, const char *array, uint64_t timeout_ns,
                            const volatile int *cancel, struct text *lines,
                            struct diag *reterr_diag) _must_check_;
/*
 * The same in two steps that do not wait: asks; then takes the reply, which is -EAGAIN until it is
 * there (poll query_client_fd), else as query_client_call. One question at a time.
 */
int query_client_ask(struct query_client *client, const char *method, const json_t *parameters,
                     struct diag *reterr_diag) _must_check_;
int query_client_take(struct query_client *client, const char *method, json_t **ret_reply,
                      struct diag *reterr_diag) _must_check_;
int query_client_fd(const struct query_client *client);
