/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server of an interface made up for tests, a client of it, and what they say to each other. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "query/varlink_server.h"

#define BIG_BYTES    (100 * 1024)
#define QUEUED_BYTES VARLINK_QUEUE_MIN

struct fixture {
    sd_event *event;
    struct varlink_server *server;
    unsigned calls;
    uint64_t closed_id;
    int fd; /* the client's end */
};

static inline void on_echo(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct fixture *fixture = context;
    fixture->calls++;
    if (json_object_get(parameters, "number") &&
        !json_is_integer(json_object_get(parameters, "number"))) {
        varlink_call_invalid_parameter(call, "number");
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_i64(json, "number", json_integer_value(json_object_get(parameters, "number")));
    varlink_call_reply(call);
}

static inline void on_big(struct varlink_call *call, const json_t *parameters, void *context)
{
    static char big[BIG_BYTES];
    struct fixture *fixture = context;
    (void)parameters;
    fixture->calls++;
    memset(big, 'x', sizeof(big));
    struct json_writer *json = varlink_call_begin_reply(call);
    json_string_n(json, "big", big, sizeof(big));
    varlink_call_reply(call);
}

static inline void on_huge(struct varlink_call *call, const json_t *parameters, void *context)
{
    static char big[BIG_BYTES];
    (void)parameters;
    (void)context;
    memset(big, 'x', sizeof(big));
    struct json_writer *json = varlink_call_begin_reply(call);
    for (size_t i = 0; i < QUEUED_BYTES / sizeof(big) + 1; i++)
        json_string_n(json, "big", big, sizeof(big));
    varlink_call_reply(call);
}

static inline void on_fail(struct varlink_call *call, const json_t *parameters, void *context)
{
    (void)parameters;
    (void)context;
    struct diag diag;
    diag_set(&diag, EIO, "it \"broke\"");
    diag_hint(&diag, "mend it");
    varlink_call_error(call, "Failed", &diag);
}

static inline void on_silent(struct varlink_call *call, const json_t *parameters, void *context)
{
    (void)call;
    (void)parameters;
    (void)context;
}

static const struct varlink_method methods[] = {
    {"Echo", on_echo, false}, {"Big", on_big, false},       {"Huge", on_huge, false},
    {"Fail", on_fail, false}, {"Silent", on_silent, false}, {"Guarded", on_echo, true},
    {NULL, NULL, false},
};

static inline void on_closed(uint64_t id, void *context)
{
    struct fixture *fixture = context;
    fixture->closed_id = id;
}

static inline int add_client(struct fixture *fixture)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    int r = varlink_server_add_connection(fixture->server, pair[1]);
    assert_true(r == 0 || r == -EUSERS);
    return pair[0];
}

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_true(sd_event_new(&fixture->event) >= 0);
    const struct varlink_server_config config = {
        .vendor = "v",
        .product = "p",
        .version = "1",
        .url = "u",
        .interface_name = "org.test.Fake",
        .interface_text = "interface org.test.Fake\nmethod Echo() -> ()\n",
        .methods = methods,
        .max_queued_bytes = QUEUED_BYTES,
        .context = fixture,
        .on_connection_closed = on_closed,
    };
    assert_int_equal(varlink_server_new(fixture->event, &config, &fixture->server), 0);
    fixture->fd = add_client(fixture);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    varlink_server_free(fixture->server);
    sd_event_unref(fixture->event);
    if (fixture->fd >= 0)
        close(fixture->fd);
    free(fixture);
    return 0;
}

/* Until the loop has nothing left to do. */
static inline void settle(struct fixture *fixture)
{
    while (sd_event_run(fixture->event, 0) > 0)
        ;
}

static inline void put(int fd, const char *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static inline void ask(struct fixture *fixture, const char *request)
{
    put(fixture->fd, request, strlen(request) + 1);
}

/* In one piece: each send would cost the socket's buffer a page. */
static inline void ask_often(struct fixture *fixture, const char *request, size_t count)
{
    size_t size = strlen(request) + 1;
    char *requests = malloc(size * count);
    assert_non_null(requests);
    for (size_t i = 0; i < count; i++)
        memcpy(requests + i * size, request, size);
    put(fixture->fd, requests, size * count);
    free(requests);
}

/* One reply as it is on the wire; "" when the server has closed; fails when nothing is there. */
static inline const char *reply(int fd)
{
    static char frame[8192];
    for (size_t length = 0; length < sizeof(frame); length++) {
        ssize_t got = recv(fd, frame + length, 1, 0);
        if (got < 0 && errno == ECONNRESET)
            got = 0;
        assert_true(got >= 0);
        if (got == 0)
            frame[length] = '\0';
        if (frame[length] == '\0')
            return frame;
    }
    fail_msg("a reply without an end");
    return NULL;
}

static inline void assert_answer(struct fixture *fixture, const char *request, const char *expected)
{
    ask(fixture, request);
    settle(fixture);
    assert_string_equal(reply(fixture->fd), expected);
}

#define CALL(method) "{\"method\":\"org.test.Fake." method "\"}"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
