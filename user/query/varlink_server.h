/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A varlink service on a unix socket: framing, limits, org.varlink.service; no domain knowledge. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/diag.h"
#include "base/json_writer.h"

/* Largest request. */
#define VARLINK_FRAME_MAX (1024 * 1024)
/* Bytes of replies that wait, at most, of all clients together, whatever the server was told. */
#define VARLINK_QUEUE_MAX (64 * 1024 * 1024)
/* The least that it can be told: one request of the largest size, and as much again. */
#define VARLINK_QUEUE_MIN (4 * 1024 * 1024)
/* An error finds room even when others leave none. */
#define VARLINK_ERROR_BYTES (8 * 1024)
/* A client that reads nothing for so long is cut off. */
#define VARLINK_STALL_S 30
/* The last eight are for root: others cannot lock it out. */
#define VARLINK_CONNECTIONS_MAX 128

struct varlink_call;

/* Handles one call. Must answer exactly once: reply or error. parameters: a JSON object, borrowed.
 */
typedef void (*varlink_method_fn)(struct varlink_call *call, const json_t *parameters,
                                  void *context);

struct varlink_method {
    const char *name; /* "Stats", within the interface */
    varlink_method_fn on_call;
    bool needs_root; /* uid 0 or the server's own, by SO_PEERCRED; else PermissionDenied */
};

struct varlink_server_config {
    const char *vendor, *product, *version, *url;
    const char *interface_name;           /* "org.loris.Agent" */
    const char *interface_text;           /* the .varlink file */
    const struct varlink_method *methods; /* ends with a NULL name */
    /* Replies that wait for all clients together; one may have it all. Unfinished requests may
     * take half as much. VARLINK_QUEUE_MIN .. VARLINK_QUEUE_MAX; 0: the most. */
    size_t max_queued_bytes;
    void *context;
    void (*on_connection_closed)(uint64_t connection_id, void *context); /* may be NULL */
};

struct varlink_server;

int varlink_server_new(sd_event *event, const struct varlink_server_config *config,
                       struct varlink_server **ret_server) _must_check_;
void varlink_server_free(struct varlink_server *server);
DEFINE_CLEANUP(struct varlink_server *, varlink_server_free);

/* Listens on path: refuses a live socket (-EADDRINUSE "another agent answers on ..."), replaces a
 * dead one, refuses what is not a socket and too long paths. gid (gid_t)-1: none; mode 0660. The
 * lock is `path`.lock, held with flock(2) for the life of the server. Removes both at free. */
int varlink_server_listen(struct varlink_server *server, const char *path, gid_t gid,
                          struct diag *reterr_diag) _must_check_;
/* Serves one connected stream socket; takes the fd. */
int varlink_server_add_connection(struct varlink_server *server, int fd) _must_check_;
size_t varlink_server_connections(const struct varlink_server *server);
/* Bytes of replies that wait for their clients. */
size_t varlink_server_queued_bytes(const struct varlink_server *server);

uid_t varlink_call_uid(const struct varlink_call *call);
uint64_t varlink_call_connection(const struct varlink_call *call); /* never reused */
/* Writer positioned inside the open parameters object of the reply; finish with
 * varlink_call_reply. */
struct json_writer *varlink_call_begin_reply(struct varlink_call *call);
void varlink_call_reply(struct varlink_call *call);
/* error_name within the interface: "Failed"; message and, when not empty, hint become parameters.
 */
void varlink_call_error(struct varlink_call *call, const char *error_name, const struct diag *diag);
/* org.varlink.service.InvalidParameter */
void varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter);
