/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client of the varlink server: frames in, queued replies out, back-pressure and stalls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"

struct varlink_connection;

/* What the connection needs from its server; called from the event loop only. */
struct varlink_connection_owner {
    sd_event *event;
    /* Answers one frame (NUL-terminated, length without the NUL) through _send and _end. */
    void (*on_frame)(struct varlink_connection *connection, char *frame, size_t length,
                     void *context);
    /* The connection is over and the owner frees it. Called once, as the last thing it does. */
    void (*on_end)(struct varlink_connection *connection, void *context);
    void *context;
    size_t *in_bytes_total; /* what all connections hold, and the most they may */
    size_t *out_bytes_total;
    size_t in_bytes_max;
    size_t out_bytes_max;
};

/* Takes fd (a connected stream socket, any blocking mode). owner is borrowed. */
int varlink_connection_new(int fd, uint64_t id, const struct varlink_connection_owner *owner,
                           struct varlink_connection **ret_connection) _must_check_;
void varlink_connection_free(struct varlink_connection *connection);
DEFINE_CLEANUP(struct varlink_connection *, varlink_connection_free);

uint64_t varlink_connection_id(const struct varlink_connection *connection);
uid_t varlink_connection_uid(const struct varlink_connection *connection);

/* Bytes that a reply may have now, its NUL included: the others' replies wait as well. There is
 * always room for an error (VARLINK_ERROR_BYTES). */
size_t varlink_connection_room(const struct varlink_connection *connection);
/* Queues the one reply to a request, its NUL included; takes the bytes out of frame. The next
 * request waits until it is sent: a client that asks and never reads costs us one reply. When
 * there is no room the client is cut off: it never sees half an answer. */
void varlink_connection_send(struct varlink_connection *connection, struct text *frame);
/* No more requests are read; what is queued is still delivered. */
void varlink_connection_end(struct varlink_connection *connection);
