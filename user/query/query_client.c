/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/query_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/text.h"

#define AGENT_INTERFACE   "org.loris.Agent"
#define CONNECT_TIMEOUT_S 5
#define READ_CHUNK        (64 * 1024)
/* How often a cancellable call looks at its flag: a signal between look and poll costs so much. */
#define CANCEL_LOOK_NS 100000000u
#define NS_PER_MS      1000000u

struct query_client {
    int fd;
    struct text in;
    size_t in_scanned;
    unsigned owed;  /* replies to calls that were given up, still to be skipped */
    bool is_broken; /* our place in the stream is lost */
    bool has_log;   /* the agent on a path has one; a private one says it on our stderr */
};

/* One call's patience. */
struct patience {
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
    const volatile int *cancel;
};

static const struct patience no_patience = {.deadline_ns = 1};

static int open_error(const char *path, int error, struct diag *reterr_diag)
{
    diag_set(reterr_diag, error, "cannot reach the agent on %s: %s", path, strerror(error));
    if (error == ENOENT || error == ECONNREFUSED)
        diag_hint(reterr_diag,
                  "start it (systemctl start loris, or lorisd as root), or name its socket with "
                  "--socket");
    else if (error == EACCES || error == EPERM)
        diag_hint(reterr_diag, "be root or a member of the group loris");
    return -error;
}

static int open_path(const char *socket_path, bool patiently, struct query_client **ret_client,
                     struct diag *reterr_diag)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(socket_path);
    if (length >= sizeof(address.sun_path))
        return diag_set(reterr_diag, ENAMETOOLONG,
                        "the socket path has %zu bytes, %zu are possible: %s", length,
                        sizeof(address.sun_path) - 1, socket_path);
    memcpy(address.sun_path, socket_path, length + 1);
    int type = SOCK_STREAM | SOCK_CLOEXEC | (patiently ? 0 : SOCK_NONBLOCK);
    _cleanup_close_ int fd = socket(AF_UNIX, type, 0);
    if (fd < 0)
        return open_error(socket_path, errno, reterr_diag);
    /* An agent that hangs has a full backlog, in which connect waits. */
    const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
        return open_error(socket_path, errno, reterr_diag);
    int r;
    do
        r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return open_error(socket_path, errno == EAGAIN ? ETIMEDOUT : errno, reterr_diag);
    r = query_client_open_fd(take_fd(&fd), ret_client);
    if (r < 0)
        return open_error(socket_path, -r, reterr_diag);
    (*ret_client)->has_log = true;
    return 0;
}

int query_client_open(const char *socket_path, struct query_client **ret_client,
                      struct diag *reterr_diag)
{
    return open_path(socket_path, true, ret_client, reterr_diag);
}

int query_client_open_now(const char *socket_path, struct query_client **ret_client,
                          struct diag *reterr_diag)
{
    return open_path(socket_path, false, ret_client, reterr_diag);
}

int query_client_open_fd(int fd, struct query_client **ret_client)
{
    _cleanup_close_ int owned_fd = fd;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    struct query_client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->fd = take_fd(&owned_fd);
    client->in.max_bytes = QUERY_REPLY_MAX;
    *ret_client = client;
    return 0;
}

void query_client_free(struct query_client *client)
{
    if (!client)
        return;
    close_fd(&client->fd);
    text_done(&client->in);
    free(client);
}

int query_client_fd(const struct query_client *client)
{
    return client->fd;
}

/* 0 when the socket is ready (or at its end), -ETIMEDOUT, -EINTR when cancelled, -errno. */
static int wait_for(const struct query_client *client, short events,
                    const struct patience *patience)
{
    for (;;) {
        if (patience->cancel && *patience->cancel)
            return -EINTR;
        uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (patience->deadline_ns && now_ns >= patience->deadline_ns)
            return -ETIMEDOUT;
        uint64_t wait_ns = patience->deadline_ns ? patience->deadline_ns - now_ns : UINT64_MAX;
        if (patience->cancel && wait_ns > CANCEL_LOOK_NS)
            wait_ns = CANCEL_LOOK_NS;
        int wait_ms = -1;
        if (wait_ns != UINT64_MAX)
            wait_ms = wait_ns / NS_PER_MS >= INT_MAX ? INT_MAX : (int)(wait_ns / NS_PER_MS) + 1;
        struct pollfd ready = {.fd = client->fd, .events = events};
        int r = poll(&ready, 1, wait_ms);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

/* -EPIPE: the agent hung up; it may have said why before. */
static int send_all(const struct query_client *client, const char *bytes, size_t length,
                    const struct patience *patience)
{
    while (length > 0) {
        ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN) {
            int r = wait_for(client, POLLOUT, patience);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Waits until `in` holds a whole frame; ret_length: without its NUL. */
static int read_frame(struct query_client *client, const struct patience *patience,
                      size_t *ret_length)
{
    char chunk[READ_CHUNK];
    for (;;) {
        size_t unseen = client->in.length - client->in_scanned;
        const char *end =
            unseen ? memchr(client->in.bytes + client->in_scanned, '\0', unseen) : NULL;
        if (end) {
            *ret_length = (size_t)(end - client->in.bytes);
            return 0;
        }
        client->in_scanned = client->in.length;
        ssize_t got = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (got > 0) {
            text_append(&client->in, chunk, (size_t)got);
            if (client->in.failed)
                return client->in.failed;
        } else if (got == 0) {
            return -ECONNRESET;
        } else if (errno == EAGAIN) {
            int r = wait_for(client, POLLIN, patience);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

static void drop_frame(struct query_client *client, size_t length)
{
    size_t used = length + 1;
    size_t left = client->in.length - used;
    if (left > 0) {
        memmove(client->in.bytes, client->in.bytes + used, left);
        client->in.length = left;
    } else {
        text_done(&client->in); /* answers can be large: give the memory back */
        client->in = (struct text){.max_bytes = QUERY_REPLY_MAX};
    }
    client->in_scanned = 0;
}

static int write_request(const char *method, const json_t *parameters, struct text *text)
{
    char *dumped = NULL;
    if (parameters) {
        dumped = json_dumps(parameters, JSON_COMPACT);
        if (!dumped)
            return -EINVAL;
    }
    text_append_string(text, "{\"method\":\"" AGENT_INTERFACE ".");
    text_append_string(text, method);
    text_append_string(text, "\",\"parameters\":");
    text_append_string(text, dumped ? dumped : "{}");
    text_append(text, "}", 2);
    free(dumped);
    return text->failed;
}

static bool ends_with(const char *string, const char *end)
{
    size_t length = strlen(string), end_length = strlen(end);
    return length >= end_length && strcmp(string + length - end_length, end) == 0;
}

/* Everything in a diag passes through one line of a terminal: diag_set cuts and escapes. */
static int agent_error(const char *method, const char *error, const json_t *parameters,
                       struct diag *reterr_diag)
{
    bool is_denied = ends_with(error, ".PermissionDenied");
    int number = is_denied ? EPERM : EREMOTEIO;
    const char *message = json_string_value(json_object_get(parameters, "message"));
    const char *hint = json_string_value(json_object_get(parameters, "hint"));
    const char *parameter = json_string_value(json_object_get(parameters, "parameter"));
    if (message)
        diag_set(reterr_diag, number, "%s", message);
    else if (is_denied)
        diag_set(reterr_diag, number, "%s needs root", method);
    else if (ends_with(error, ".InvalidParameter"))
        diag_set(reterr_diag, number, "the agent does not accept the %s of %s",
                 parameter ? parameter : "parameters", method);
    else
        diag_set(reterr_diag, number, "the agent answers %s to %s", error, method);
    if (hint)
        diag_hint(reterr_diag, "%s", hint);
    else if (is_denied)
        diag_hint(reterr_diag, "run it as root (sudo)");
    else if (ends_with(error, ".MethodNotFound") || ends_with(error, ".InterfaceNotFound"))
        diag_hint(reterr_diag, "agent and command are of different versions");
    return -number;
}

static int parse_reply(const char *method, const char *frame, size_t length, json_t **ret_reply,
                       struct diag *reterr_diag)
{
    json_t *reply = json_loadb(frame, length, 0, NULL);
    const json_t *error = json_object_get(reply, "error");
    json_t *parameters = json_object_get(reply, "parameters");
    int r = 0;
    if (!json_is_object(reply) || (error && !json_is_string(error)) ||
        (parameters && !json_is_object(parameters) && !json_is_null(parameters)))
        r = diag_set(reterr_diag, EBADMSG, "the agent's answer to %s makes no sense", method);
    else if (error)
        r = agent_error(method, json_string_value(error), parameters, reterr_diag);
    else
        *ret_reply = json_is_object(parameters) ? json_incref(parameters) : json_object();
    json_decref(reply);
    if (r == 0 && !*ret_reply)
        r = diag_set(reterr_diag, ENOMEM, "no memory for the agent's answer");
    return r;
}

static int call_error(const struct query_client *client, const char *method, int error,
                      struct diag *reterr_diag)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE:
        diag_set(reterr_diag, ECONNRESET, "the agent hung up before it answered %s", method);
        if (client->has_log)
            diag_hint(reterr_diag, "its log says why (journalctl -u loris)");
        return -ECONNRESET;
    case ETIMEDOUT:
        return diag_set(reterr_diag, error, "the agent did not answer %s in time", method);
    case EINTR:
        return diag_set(reterr_diag, error, "%s was interrupted", method);
    case E2BIG:
        return diag_set(reterr_diag, EBADMSG, "the agent's answer to %s is too large", method);
    default:
        return diag_set(reterr_diag, error, "cannot call %s: %s", method, strerror(error));
    }
}

static int send_request(struct query_client *client, const char *method, const json_t *parameters,
                        const struct patience *patience)
{
    if (client->is_broken)
        return -ECONNRESET;
    _cleanup_text_ struct text request = {0};
    int r = write_request(method, parameters, &request);
    if (r < 0)
        return r;
    r = send_all(client, request.bytes, request.length, patience);
    if (r < 0 && r != -EPIPE) {
        client->is_broken = true; /* perhaps half a request is out */
        return r;
    }
    client->owed = r == -EPIPE ? 1 : client->owed + 1; /* it hung up: what it said comes next */
    return 0;
}

/* Skips what was owed for earlier calls, leaves the reply's frame in `in`. */
static int receive_reply(struct query_client *client, const struct patience *patience,
                         size_t *ret_length)
{
    for (;;) {
        int r = read_frame(client, patience, ret_length);
        if (r < 0) {
            /* Whoever gave up or was interrupted may call again: the late reply will be skipped. */
            client->is_broken |= r != -ETIMEDOUT && r != -EINTR;
            return r;
        }
        if (--client->owed == 0)
            return 0;
        drop_frame(client, *ret_length);
    }
}

/* Sends and receives; the frame of *ret_length bytes is then at the front of client->in. */
static int exchange(struct query_client *client, const char *method, const json_t *parameters,
                    uint64_t timeout_ns, const volatile int *cancel, size_t *ret_length,
                    struct diag *reterr_diag)
{
    struct patience patience = {.cancel = cancel};
    if (timeout_ns)
        patience.deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + timeout_ns;
    int r = send_request(client, method, parameters, &patience);
    if (r == 0)
        r = receive_reply(client, &patience, ret_length);
    return r < 0 ? call_error(client, method, -r, reterr_diag) : 0;
}

static int end_call(struct query_client *client, size_t length, int r)
{
    drop_frame(client, length);
    client->is_broken |= r == -EBADMSG;
    return r;
}

static int take_reply(struct query_client *client, const char *method, size_t length,
                      json_t **ret_reply, struct diag *reterr_diag)
{
    json_t *reply = NULL;
    int r = parse_reply(method, client->in.bytes, length, &reply, reterr_diag);
    if (r == 0)
        *ret_reply = reply;
    return end_call(client, length, r);
}

int query_client_call(struct query_client *client, const char *method, const json_t *parameters,
                      uint64_t timeout_ns, const volatile int *cancel, json_t **ret_reply,
                      struct diag *reterr_diag)
{
    size_t length = 0;
    int r = exchange(client, method, parameters, timeout_ns, cancel, &length, reterr_diag);
    return r < 0 ? r : take_reply(client, method, length, ret_reply, reterr_diag);
}

int query_client_ask(struct query_client *client, const char *method, const json_t *parameters,
                     struct diag *reterr_diag)
{
    int r = send_request(client, method, parameters, &no_patience);
    return r < 0 ? call_error(client, method, -r, reterr_diag) : 0;
}

int query_client_take(struct query_client *client, const char *method, json_t **ret_reply,
                      struct diag *reterr_diag)
{
    assert(client->owed > 0);
    size_t length = 0;
    int r = receive_reply(client, &no_patience, &length);
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    return r < 0 ? call_error(client, method, -r, reterr_diag)
                 : take_reply(client, method, length, ret_reply, reterr_diag);
}

/* The length of the JSON object at the front, 0 when it does not end. */
static size_t object_length(const char *bytes, size_t length)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t at = 0; at < length; at++) {
        if (in_string && bytes[at] == '\\')
            at++;
        else if (bytes[at] == '"')
            in_string = !in_string;
        else if (!in_string && bytes[at] == '{')
            depth++;
        else if (!in_string && bytes[at] == '}' && --depth == 0)
            return at + 1;
    }
    return 0;
}

static int split_array(const char *bytes, size_t length, struct text *lines)
{
    size_t at = 0;
    while (at < length && bytes[at] == '{') {
        size_t object = object_length(bytes + at, length - at);
        if (object == 0)
            return -EBADMSG;
        text_append(lines, bytes + at, object);
        text_append(lines, "\n", 1);
        at += object;
        if (at < length && bytes[at] == ',')
            at++;
    }
    return at < length && bytes[at] == ']' ? lines->failed : -EBADMSG;
}

int query_client_call_lines(struct query_client *client, const char *method,
                            const json_t *parameters, const char *array, uint64_t timeout_ns,
                            const volatile int *cancel, struct text *lines,
                            struct diag *reterr_diag)
{
    char front[64];
    size_t length = 0;
    int r = exchange(client, method, parameters, timeout_ns, cancel, &length, reterr_diag);
    if (r < 0)
        return r;
    int front_length = snprintf(front, sizeof(front), "{\"parameters\":{\"%s\":[", array);
    if (length > (size_t)front_length && memcmp(client->in.bytes, front, front_length) == 0) {
        r = split_array(client->in.bytes + front_length, length - (size_t)front_length, lines);
    } else { /* an error, or not what was asked for */
        json_t *reply = NULL;
        r = parse_reply(method, client->in.bytes, length, &reply, reterr_diag);
        json_decref(reply);
        r = r < 0 ? r : -EBADMSG;
    }
    if (r == -EBADMSG)
        diag_set(reterr_diag, EBADMSG, "the agent's answer to %s makes no sense", method);
    return end_call(client, length, r);
}
