/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/varlink_server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "query/socket_path.h"
#include "query/varlink_call.h"
#include "query/varlink_connection.h"

/* Connections that only root may use, so that others cannot lock it out. */
#define RESERVED_FOR_ROOT 8
/* How long accept rests when the process has no descriptor or memory left for a client. */
#define ACCEPT_REST_USEC 1000000u

struct varlink_server {
    struct varlink_server_config config;
    sd_event *event;
    struct varlink_connection_owner owner;
    struct varlink_connection *connections[VARLINK_CONNECTIONS_MAX];
    size_t connection_count;
    uint64_t last_connection_id;
    size_t in_bytes_total;
    size_t out_bytes_total;
    struct socket_path *path;
    sd_event_source *listener;
    sd_event_source *accept_rest; /* armed only while accept rests */
};

static void on_frame(struct varlink_connection *connection, char *frame, size_t length,
                     void *context)
{
    struct varlink_server *server = context;
    varlink_call_dispatch(&server->config, connection, frame, length);
}

static void on_end(struct varlink_connection *connection, void *context)
{
    struct varlink_server *server = context;
    uint64_t id = varlink_connection_id(connection);
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i] != connection)
            continue;
        server->connections[i] = server->connections[--server->connection_count];
        break;
    }
    varlink_connection_free(connection);
    if (server->config.on_connection_closed)
        server->config.on_connection_closed(id, server->config.context);
}

static size_t queued_bytes_max(size_t wanted)
{
    if (wanted == 0 || wanted > VARLINK_QUEUE_MAX)
        return VARLINK_QUEUE_MAX;
    return wanted < VARLINK_QUEUE_MIN ? VARLINK_QUEUE_MIN : wanted;
}

int varlink_server_new(sd_event *event, const struct varlink_server_config *config,
                       struct varlink_server **ret_server)
{
    struct varlink_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->config = *config;
    server->config.max_queued_bytes = queued_bytes_max(config->max_queued_bytes);
    server->event = sd_event_ref(event);
    server->owner = (struct varlink_connection_owner){
        .event = event,
        .on_frame = on_frame,
        .on_end = on_end,
        .context = server,
        .in_bytes_total = &server->in_bytes_total,
        .out_bytes_total = &server->out_bytes_total,
        .in_bytes_max = server->config.max_queued_bytes / 2,
        .out_bytes_max = server->config.max_queued_bytes,
    };
    *ret_server = server;
    return 0;
}

void varlink_server_free(struct varlink_server *server)
{
    if (!server)
        return;
    sd_event_source_disable_unref(server->listener);
    sd_event_source_disable_unref(server->accept_rest);
    for (size_t i = 0; i < server->connection_count; i++)
        varlink_connection_free(server->connections[i]);
    socket_path_close(server->path);
    sd_event_unref(server->event);
    free(server);
}

size_t varlink_server_connections(const struct varlink_server *server)
{
    return server->connection_count;
}

size_t varlink_server_queued_bytes(const struct varlink_server *server)
{
    return server->out_bytes_total;
}

/* Says why before it hangs up, so that the client need not guess. */
static void refuse_connection(const struct varlink_server *server, int fd)
{
    char frame[512];
    int length = snprintf(frame, sizeof(frame),
                          "{\"error\":\"%s.Failed\",\"parameters\":{\"message\":"
                          "\"the agent serves %d clients and takes no more\"}}",
                          server->config.interface_name, VARLINK_CONNECTIONS_MAX);
    if (length > 0 && (size_t)length < sizeof(frame) &&
        send(fd, frame, (size_t)length + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* it will see the end of the stream instead */
}

static bool has_room_for(const struct varlink_server *server, int fd)
{
    struct ucred peer;
    socklen_t peer_size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) < 0)
        return false;
    size_t limit = VARLINK_CONNECTIONS_MAX - (peer.uid == 0 ? 0 : RESERVED_FOR_ROOT);
    return server->connection_count < limit;
}

int varlink_server_add_connection(struct varlink_server *server, int fd)
{
    if (!has_room_for(server, fd)) {
        refuse_connection(server, fd);
        close(fd);
        return -EUSERS;
    }
    struct varlink_connection *connection;
    int r = varlink_connection_new(fd, server->last_connection_id + 1, &server->owner, &connection);
    if (r < 0)
        return r;
    server->last_connection_id++;
    server->connections[server->connection_count++] = connection;
    return 0;
}

static int on_accept_rested(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct varlink_server *server = userdata;
    (void)source;
    (void)usec;
    return sd_event_source_set_enabled(server->listener, SD_EVENT_ON);
}

/* Without descriptors the listener stays readable: looking away for a while is what keeps a
 * level-triggered loop from spinning. Clients wait in the backlog meanwhile. */
static int rest_from_accept(struct varlink_server *server)
{
    int r = sd_event_source_set_time_relative(server->accept_rest, ACCEPT_REST_USEC);
    if (r >= 0)
        r = sd_event_source_set_enabled(server->accept_rest, SD_EVENT_ONESHOT);
    if (r >= 0)
        r = sd_event_source_set_enabled(server->listener, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct varlink_server *server = userdata;
    (void)source;
    (void)revents;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return 0;
        return rest_from_accept(server);
    }
    int r = varlink_server_add_connection(server, client);
    return r < 0 && r != -EUSERS ? rest_from_accept(server) : 0;
}

static int add_listener(struct varlink_server *server)
{
    int r = sd_event_add_io(server->event, &server->listener, socket_path_fd(server->path), EPOLLIN,
                            on_connect, server);
    if (r >= 0)
        r = sd_event_add_time_relative(server->event, &server->accept_rest, CLOCK_MONOTONIC,
                                       ACCEPT_REST_USEC, 0, on_accept_rested, server);
    if (r >= 0)
        r = sd_event_source_set_enabled(server->accept_rest, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

int varlink_server_listen(struct varlink_server *server, const char *path, gid_t gid,
                          struct diag *reterr_diag)
{
    if (server->path)
        return diag_set(reterr_diag, EALREADY, "the server listens already");
    int r = socket_path_listen(path, gid, &server->path, reterr_diag);
    if (r < 0)
        return r;
    r = add_listener(server);
    if (r < 0) {
        server->listener = sd_event_source_disable_unref(server->listener);
        server->accept_rest = sd_event_source_disable_unref(server->accept_rest);
        socket_path_close(take_ptr(server->path));
        return diag_set(reterr_diag, -r, "cannot watch the socket %s: %s", path, strerror(-r));
    }
    return 0;
}
