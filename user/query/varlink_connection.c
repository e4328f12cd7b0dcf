/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/varlink_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "query/varlink_server.h"

#define READ_CHUNK          (4 * 1024)    /* what a client sends ahead waits in the kernel */
#define WRITE_BITE          (1024 * 1024) /* most bytes written in one wake-up */
#define KEPT_CAPACITY       (4 * 1024)    /* larger buffers are given back when empty */
#define STALL_USEC          ((uint64_t)VARLINK_STALL_S * 1000000u)
#define TIMER_ACCURACY_USEC 250000u

struct varlink_connection {
    const struct varlink_connection_owner *owner;
    uint64_t id;
    int fd;
    uid_t uid;
    struct text in;
    size_t in_start;   /* first byte not yet handled */
    size_t in_scanned; /* no NUL before this offset, so that slow senders cost nothing extra */
    size_t in_counted; /* our part of *in_bytes_total */
    struct text out;
    size_t out_start;
    size_t out_counted;
    bool in_ended; /* the client sends no more, or we listen no more */
    bool over;     /* to be freed by the owner */
    sd_event_source *io;
    sd_event_source *more;  /* there while one more request waits in `in` for its turn */
    sd_event_source *stall; /* armed only while replies wait */
};

static void account(size_t *total, size_t *counted, size_t now)
{
    *total += now - *counted;
    *counted = now;
}

static size_t queued_bytes(const struct varlink_connection *connection)
{
    return connection->out.length - connection->out_start;
}

/* Nothing of the connection fires afterwards; connection_update reports the end. */
static void connection_over(struct varlink_connection *connection)
{
    connection->over = true;
    connection->io = sd_event_source_disable_unref(connection->io);
    connection->more = sd_event_source_disable_unref(connection->more);
    connection->stall = sd_event_source_disable_unref(connection->stall);
}

static bool frame_is_ready(struct varlink_connection *connection)
{
    size_t from = connection->in_scanned > connection->in_start ? connection->in_scanned
                                                                : connection->in_start;
    if (from >= connection->in.length)
        return false;
    char *end = memchr(connection->in.bytes + from, '\0', connection->in.length - from);
    connection->in_scanned = end ? (size_t)(end - connection->in.bytes) : connection->in.length;
    return end != NULL;
}

static bool is_paused(const struct varlink_connection *connection)
{
    return queued_bytes(connection) > 0;
}

static void give_back(struct text *text, size_t *start)
{
    if (*start < text->length)
        return;
    *start = 0;
    if (text->capacity > KEPT_CAPACITY) {
        size_t max_bytes = text->max_bytes;
        text_done(text);
        *text = (struct text){.max_bytes = max_bytes};
    } else {
        text_clear(text);
    }
}

/* The client took something: its thirty seconds begin anew. */
static int restart_stall_clock(struct varlink_connection *connection)
{
    int r = sd_event_source_set_time_relative(connection->stall, STALL_USEC);
    return r < 0 ? r : sd_event_source_set_enabled(connection->stall, SD_EVENT_ONESHOT);
}

static int on_more(sd_event_source *source, void *userdata);

static int update_sources(struct varlink_connection *connection, bool ready, size_t queued)
{
    uint32_t events = 0;
    if (!connection->in_ended && !ready && !is_paused(connection))
        events |= EPOLLIN;
    if (queued > 0)
        events |= EPOLLOUT;
    int r = sd_event_source_set_io_events(connection->io, events);
    if (r < 0)
        return r;
    /* A new source each time: sd-event runs what waits longest first, and a defer source that is
     * only switched on again keeps its age for ever, so that nobody else would have a turn. */
    if (ready && !is_paused(connection) && !connection->more)
        r = sd_event_add_defer(connection->owner->event, &connection->more, on_more, connection);
    if (r < 0)
        return r;
    if (queued == 0)
        return sd_event_source_set_enabled(connection->stall, SD_EVENT_OFF);
    int armed = SD_EVENT_OFF;
    r = sd_event_source_get_enabled(connection->stall, &armed);
    return r < 0 || armed != SD_EVENT_OFF ? r : restart_stall_clock(connection);
}

/* The last step of every wake-up: chooses what to wait for, or reports that all is over, after
 * which the connection is gone. */
static int connection_update(struct varlink_connection *connection)
{
    if (!connection->over) {
        size_t queued = queued_bytes(connection);
        bool ready = frame_is_ready(connection);
        if ((connection->in_ended && !ready && queued == 0) ||
            update_sources(connection, ready, queued) < 0)
            connection_over(connection);
    }
    if (connection->over)
        connection->owner->on_end(connection, connection->owner->context);
    return 0;
}

static void connection_flush(struct varlink_connection *connection)
{
    size_t bite = 0;
    while (!connection->over && queued_bytes(connection) > 0 && bite < WRITE_BITE) {
        size_t length = queued_bytes(connection);
        if (length > WRITE_BITE - bite)
            length = WRITE_BITE - bite;
        ssize_t sent = send(connection->fd, connection->out.bytes + connection->out_start, length,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
            break;
        if (sent < 0) {
            connection_over(connection);
            return;
        }
        connection->out_start += (size_t)sent;
        bite += (size_t)sent;
    }
    give_back(&connection->out, &connection->out_start);
    account(connection->owner->out_bytes_total, &connection->out_counted, connection->out.length);
    if (bite > 0 && queued_bytes(connection) > 0 && restart_stall_clock(connection) < 0)
        connection_over(connection);
}

size_t varlink_connection_room(const struct varlink_connection *connection)
{
    const struct varlink_connection_owner *owner = connection->owner;
    size_t others = *owner->out_bytes_total - connection->out_counted;
    size_t room = others < owner->out_bytes_max ? owner->out_bytes_max - others : 0;
    return room > VARLINK_ERROR_BYTES ? room : VARLINK_ERROR_BYTES;
}

void varlink_connection_send(struct varlink_connection *connection, struct text *frame)
{
    if (connection->over)
        return;
    if (frame->failed || queued_bytes(connection) > 0 ||
        frame->length > varlink_connection_room(connection)) {
        connection_over(connection);
        return;
    }
    /* Hand the buffer over, without what it has grown too large. */
    char *fitting = realloc(frame->bytes, frame->length + 1);
    if (fitting) {
        frame->bytes = fitting;
        frame->capacity = frame->length + 1;
    }
    text_done(&connection->out);
    connection->out = *frame;
    connection->out_start = 0;
    *frame = (struct text){.max_bytes = frame->max_bytes};
    account(connection->owner->out_bytes_total, &connection->out_counted, connection->out.length);
}

void varlink_connection_end(struct varlink_connection *connection)
{
    connection->in_ended = true;
    connection->in_start = connection->in_scanned = connection->in.length;
}

/* Handles at most one request: the next one waits for the other clients' turn. */
static void handle_one_frame(struct varlink_connection *connection)
{
    if (connection->over || is_paused(connection) || !frame_is_ready(connection))
        return;
    char *frame = connection->in.bytes + connection->in_start;
    size_t length = connection->in_scanned - connection->in_start;
    connection->in_start = ++connection->in_scanned;
    if (length > VARLINK_FRAME_MAX)
        connection_over(connection);
    else
        connection->owner->on_frame(connection, frame, length, connection->owner->context);
    give_back(&connection->in, &connection->in_start);
    if (connection->in_start == 0 && connection->in.length == 0)
        connection->in_scanned = 0;
    account(connection->owner->in_bytes_total, &connection->in_counted, connection->in.length);
}

static void read_some(struct varlink_connection *connection)
{
    char chunk[READ_CHUNK];
    ssize_t got = recv(connection->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        /* Orderly end: what was asked is still answered. Half a request is nothing. */
        connection->in_ended = true;
        if (got < 0)
            connection_over(connection);
        return;
    }
    if (connection->in_start > 0) {
        memmove(connection->in.bytes, connection->in.bytes + connection->in_start,
                connection->in.length - connection->in_start);
        connection->in.length -= connection->in_start;
        connection->in_scanned -= connection->in_start;
        connection->in_start = 0;
    }
    text_append(&connection->in, chunk, (size_t)got);
    account(connection->owner->in_bytes_total, &connection->in_counted, connection->in.length);
    if (connection->in.failed ||
        *connection->owner->in_bytes_total > connection->owner->in_bytes_max ||
        (!frame_is_ready(connection) && connection->in.length > VARLINK_FRAME_MAX))
        connection_over(connection);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct varlink_connection *connection = userdata;
    (void)source;
    (void)fd;
    /* EPOLLHUP and EPOLLERR come unasked and must lead somewhere: to the end of the stream when
     * nothing is left to read, to EPIPE when there is something to write. */
    bool hung_up = revents & (EPOLLHUP | EPOLLERR);
    if ((revents & EPOLLIN) || (hung_up && !frame_is_ready(connection)))
        read_some(connection);
    handle_one_frame(connection);
    if (!connection->over)
        connection_flush(connection);
    return connection_update(connection);
}

static int on_more(sd_event_source *source, void *userdata)
{
    struct varlink_connection *connection = userdata;
    (void)source;
    connection->more = sd_event_source_disable_unref(connection->more);
    handle_one_frame(connection);
    if (!connection->over)
        connection_flush(connection);
    return connection_update(connection);
}

static int on_stall(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    connection_over(userdata);
    return connection_update(userdata);
}

static int add_sources(struct varlink_connection *connection)
{
    sd_event *event = connection->owner->event;
    int r = sd_event_add_io(event, &connection->io, connection->fd, EPOLLIN, on_io, connection);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &connection->stall, CLOCK_MONOTONIC, STALL_USEC,
                                       TIMER_ACCURACY_USEC, on_stall, connection);
    if (r >= 0)
        r = sd_event_source_set_enabled(connection->stall, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

int varlink_connection_new(int fd, uint64_t id, const struct varlink_connection_owner *owner,
                           struct varlink_connection **ret_connection)
{
    _cleanup_close_ int owned_fd = fd;
    struct ucred peer;
    socklen_t peer_size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    _cleanup_(varlink_connection_free_cleanup) struct varlink_connection *connection =
        calloc(1, sizeof(*connection));
    if (!connection)
        return -ENOMEM;
    connection->owner = owner;
    connection->id = id;
    connection->uid = peer.uid;
    connection->fd = take_fd(&owned_fd);
    connection->in.max_bytes = VARLINK_FRAME_MAX + 2 * READ_CHUNK;
    int r = add_sources(connection);
    if (r < 0)
        return r;
    *ret_connection = take_ptr(connection);
    return 0;
}

void varlink_connection_free(struct varlink_connection *connection)
{
    if (!connection)
        return;
    sd_event_source_disable_unref(connection->io);
    sd_event_source_disable_unref(connection->more);
    sd_event_source_disable_unref(connection->stall);
    account(connection->owner->in_bytes_total, &connection->in_counted, 0);
    account(connection->owner->out_bytes_total, &connection->out_counted, 0);
    text_done(&connection->in);
    text_done(&connection->out);
    close_fd(&connection->fd);
    free(connection);
}

uint64_t varlink_connection_id(const struct varlink_connection *connection)
{
    return connection->id;
}

uid_t varlink_connection_uid(const struct varlink_connection *connection)
{
    return connection->uid;
}
