/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/varlink_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

#define BIG_BYTES (100 * 1024)

struct fixture {
    sd_event *event;
    struct varlink_server *server;
    unsigned calls;
    uint64_t closed_id;
    int fd; /* the client's end */
};

static void on_echo(struct varlink_call *call, const json_t *parameters, void *context)
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

static void on_big(struct varlink_call *call, const json_t *parameters, void *context)
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

static void on_huge(struct varlink_call *call, const json_t *parameters, void *context)
{
    static char big[BIG_BYTES];
    (void)parameters;
    (void)context;
    memset(big, 'x', sizeof(big));
    struct json_writer *json = varlink_call_begin_reply(call);
    for (size_t i = 0; i < VARLINK_QUEUE_MAX / sizeof(big) + 1; i++)
        json_string_n(json, "big", big, sizeof(big));
    varlink_call_reply(call);
}

static void on_fail(struct varlink_call *call, const json_t *parameters, void *context)
{
    (void)parameters;
    (void)context;
    struct diag diag;
    diag_set(&diag, EIO, "it \"broke\"");
    diag_hint(&diag, "mend it");
    varlink_call_error(call, "Failed", &diag);
}

static void on_silent(struct varlink_call *call, const json_t *parameters, void *context)
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

static void on_closed(uint64_t id, void *context)
{
    struct fixture *fixture = context;
    fixture->closed_id = id;
}

static int add_client(struct fixture *fixture)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    int r = varlink_server_add_connection(fixture->server, pair[1]);
    assert_true(r == 0 || r == -EUSERS);
    return pair[0];
}

static int set_up(void **state)
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
        .context = fixture,
        .on_connection_closed = on_closed,
    };
    assert_int_equal(varlink_server_new(fixture->event, &config, &fixture->server), 0);
    fixture->fd = add_client(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
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
static void settle(struct fixture *fixture)
{
    while (sd_event_run(fixture->event, 0) > 0)
        ;
}

static void put(int fd, const char *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void ask(struct fixture *fixture, const char *request)
{
    put(fixture->fd, request, strlen(request) + 1);
}

/* In one piece: each send would cost the socket's buffer a page. */
static void ask_often(struct fixture *fixture, const char *request, size_t count)
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
static const char *reply(int fd)
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

static void assert_answer(struct fixture *fixture, const char *request, const char *expected)
{
    ask(fixture, request);
    settle(fixture);
    assert_string_equal(reply(fixture->fd), expected);
}

#define CALL(method) "{\"method\":\"org.test.Fake." method "\"}"

static void says_who_it_is(void **state)
{
    assert_answer(*state, "{\"method\":\"org.varlink.service.GetInfo\"}",
                  "{\"parameters\":{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\",\"url\":"
                  "\"u\",\"interfaces\":[\"org.varlink.service\",\"org.test.Fake\"]}}");
}

static void describes_its_interfaces(void **state)
{
    assert_answer(*state,
                  "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
                  "\"interface\":\"org.test.Fake\"}}",
                  "{\"parameters\":{\"description\":\"interface org.test.Fake\\nmethod Echo() -> "
                  "()\\n\"}}");
    ask(*state, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
                "\"interface\":\"org.varlink.service\"}}");
    settle(*state);
    assert_non_null(strstr(reply(((struct fixture *)*state)->fd), "error ExpectedMore()"));
    assert_answer(*state,
                  "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
                  "\"interface\":\"org.x\"}}",
                  "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{"
                  "\"interface\":\"org.x\"}}");
    assert_answer(*state, "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
                  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{"
                  "\"parameter\":\"interface\"}}");
}

static void names_what_it_does_not_know(void **state)
{
    assert_answer(*state, CALL("Nope"),
                  "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
                  "\"org.test.Fake.Nope\"}}");
    assert_answer(*state, "{\"method\":\"org.varlink.service.Nope\"}",
                  "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
                  "\"org.varlink.service.Nope\"}}");
    assert_answer(*state, "{\"method\":\"org.other.Echo\"}",
                  "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{"
                  "\"interface\":\"org.other\"}}");
}

static void refuses_wrong_types_and_stays(void **state)
{
    static const char *const requests[][2] = {
        {"{}", "method"},
        {"{\"method\":7}", "method"},
        {"{\"method\":\"Echo\"}", "method"},
        {"{\"method\":\"org.test.Fake.\"}", "method"},
        {"{\"method\":\".Echo\"}", "method"},
        {"{\"method\":\"org.test.Fake.Echo\",\"parameters\":[]}", "parameters"},
        {"{\"method\":\"org.test.Fake.Echo\",\"oneway\":1}", "oneway"},
        {"{\"method\":\"org.test.Fake.Echo\",\"more\":\"yes\"}", "more"},
        {"{\"method\":\"org.test.Fake.Echo\",\"upgrade\":true}", "upgrade"},
        {"{\"method\":\"org.test.Fake.Echo\",\"parameters\":{\"number\":\"1\"}}", "number"},
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected),
                 "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{"
                 "\"parameter\":\"%s\"}}",
                 requests[i][1]);
        assert_answer(*state, requests[i][0], expected);
    }
    assert_answer(*state, CALL("Echo"), "{\"parameters\":{\"number\":0}}");
}

static void turns_a_diagnosis_into_an_error(void **state)
{
    assert_answer(*state, CALL("Fail"),
                  "{\"error\":\"org.test.Fake.Failed\",\"parameters\":{\"message\":\"it "
                  "\\\"broke\\\"\",\"hint\":\"mend it\"}}");
}

static void answers_for_a_method_that_forgets_to(void **state)
{
    assert_answer(*state, CALL("Silent"),
                  "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":{"
                  "\"method\":\"org.test.Fake.Silent\"}}");
}

static void answers_pipelined_requests_in_order(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 200; i++) {
        char request[128];
        snprintf(request, sizeof(request),
                 "{\"method\":\"org.test.Fake.Echo\",\"parameters\":{\"number\":%d}}", i);
        ask(fixture, request);
    }
    settle(fixture);
    for (int i = 0; i < 200; i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "{\"parameters\":{\"number\":%d}}", i);
        assert_string_equal(reply(fixture->fd), expected);
    }
}

static void gives_no_reply_to_oneway_calls(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture,
        "{\"method\":\"org.test.Fake.Echo\",\"oneway\":true,\"parameters\":{\"number\":1}}");
    ask(fixture, "{\"method\":\"org.test.Fake.Nope\",\"oneway\":true}");
    assert_answer(fixture, "{\"method\":\"org.test.Fake.Echo\",\"parameters\":{\"number\":2}}",
                  "{\"parameters\":{\"number\":2}}");
    assert_int_equal(fixture->calls, 2);
}

static void takes_a_request_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;
    const char request[] = CALL("Echo");
    for (size_t i = 0; i < sizeof(request); i++) {
        put(fixture->fd, request + i, 1);
        settle(fixture);
    }
    assert_string_equal(reply(fixture->fd), "{\"parameters\":{\"number\":0}}");
}

static void answers_what_was_asked_before_the_client_ended(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, CALL("Echo"));
    ask(fixture, CALL("Echo"));
    put(fixture->fd, "{\"meth", 6); /* half a request is nothing */
    assert_int_equal(shutdown(fixture->fd, SHUT_WR), 0);
    settle(fixture);
    assert_string_equal(reply(fixture->fd), "{\"parameters\":{\"number\":0}}");
    assert_string_equal(reply(fixture->fd), "{\"parameters\":{\"number\":0}}");
    assert_string_equal(reply(fixture->fd), "");
    assert_int_equal(varlink_server_connections(fixture->server), 0);
    assert_int_equal(fixture->closed_id, 1);
}

static void hears_oneway_calls_of_a_client_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        ask(fixture, "{\"method\":\"org.test.Fake.Echo\",\"oneway\":true}");
    close(fixture->fd);
    fixture->fd = -1;
    settle(fixture);
    assert_int_equal(fixture->calls, 3);
    assert_int_equal(varlink_server_connections(fixture->server), 0);
}

static void hangs_up_on_what_is_not_varlink(void **state)
{
    struct fixture *fixture = *state;
    char nested[4096];
    memset(nested, '[', sizeof(nested) - 1);
    nested[sizeof(nested) - 1] = '\0';
    static char many[2 * 65536 + 2] = "[";
    for (size_t i = 1; i + 2 < sizeof(many); i += 2)
        memcpy(many + i, "0,", 2);
    const char *const garbage[] = {
        "",
        "GET / HTTP/1.1\r\n\r\n",
        "{",
        "[]",
        "7",
        "null",
        "\"method\"",
        "{\"method\":1e999}",
        "{\"method\":123456789012345678901234567890}",
        "{\"method\":\"\xff\xfe\"}",
        "{\"method\":\"\\ud800\"}",
        "{\"method\":\"a.b\",\"method\":\"a.c\"}",
        "{\"a\":\"\\",
        nested,
        many,
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        close(fixture->fd);
        fixture->fd = add_client(fixture);
        ask(fixture, garbage[i]);
        ask(fixture, CALL("Echo"));
        settle(fixture);
        assert_string_equal(reply(fixture->fd),
                            "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{"
                            "\"parameter\":\"request\"}}");
        assert_string_equal(reply(fixture->fd), "");
    }
    assert_int_equal(fixture->calls, 0);
    assert_int_equal(varlink_server_connections(fixture->server), 0);
}

static void hangs_up_on_a_request_without_an_end(void **state)
{
    struct fixture *fixture = *state;
    static char chunk[64 * 1024];
    memset(chunk, ' ', sizeof(chunk));
    size_t sent = 0;
    while (varlink_server_connections(fixture->server) > 0 && sent < 4 * VARLINK_FRAME_MAX) {
        ssize_t n = send(fixture->fd, chunk, sizeof(chunk), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        settle(fixture);
    }
    assert_int_equal(varlink_server_connections(fixture->server), 0);
    assert_true(sent >= VARLINK_FRAME_MAX);
}

static void takes_a_request_of_the_largest_size(void **state)
{
    struct fixture *fixture = *state;
    char *request = malloc(VARLINK_FRAME_MAX + 1);
    assert_non_null(request);
    memset(request, ' ', VARLINK_FRAME_MAX);
    memcpy(request, CALL("Echo"), strlen(CALL("Echo")));
    request[VARLINK_FRAME_MAX] = '\0';
    for (size_t sent = 0; sent < VARLINK_FRAME_MAX + 1;) {
        ssize_t n = send(fixture->fd, request + sent, VARLINK_FRAME_MAX + 1 - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        settle(fixture);
    }
    free(request);
    assert_string_equal(reply(fixture->fd), "{\"parameters\":{\"number\":0}}");
}

static void makes_a_client_that_never_reads_wait(void **state)
{
    struct fixture *fixture = *state;
    ask_often(fixture, CALL("Big"), 500);
    settle(fixture);
    /* about 1 MiB waits here and a little in the socket: the rest is not even computed */
    assert_true(fixture->calls >= 10 && fixture->calls < 30);
    /* and it all comes once it reads */
    char chunk[65536];
    size_t replies = 0;
    while (replies < 500) {
        ssize_t got = recv(fixture->fd, chunk, sizeof(chunk), 0);
        for (ssize_t i = 0; i < got; i++)
            replies += chunk[i] == '\0';
        settle(fixture);
    }
    assert_int_equal(fixture->calls, 500);
    assert_int_equal(varlink_server_connections(fixture->server), 1);
}

static void lets_other_clients_in_between_pipelined_requests(void **state)
{
    struct fixture *fixture = *state;
    int other = add_client(fixture);
    ask_often(fixture, CALL("Echo"), 500);
    assert_true(sd_event_run(fixture->event, 0) > 0);
    put(other, CALL("Echo"), sizeof(CALL("Echo")));
    char byte;
    while (recv(other, &byte, 1, MSG_PEEK) < 0)
        assert_true(sd_event_run(fixture->event, 0) > 0);
    assert_true(fixture->calls < 20);
    close(other);
}

static void says_when_an_answer_is_too_large(void **state)
{
    assert_answer(
        *state, CALL("Huge"),
        "{\"error\":\"org.test.Fake.Failed\",\"parameters\":{\"message\":\"the answer is "
        "larger than 64 MiB\",\"hint\":\"ask for less: a narrower pattern or a limit\"}}");
}

static void serves_no_more_than_the_maximum(void **state)
{
    struct fixture *fixture = *state;
    int fds[VARLINK_CONNECTIONS_MAX];
    size_t count = 0;
    while (count < VARLINK_CONNECTIONS_MAX)
        fds[count++] = add_client(fixture);
    size_t most = geteuid() == 0 ? VARLINK_CONNECTIONS_MAX : VARLINK_CONNECTIONS_MAX - 8;
    assert_int_equal(varlink_server_connections(fixture->server), most);
    assert_non_null(strstr(reply(fds[count - 1]), "takes no more"));
    assert_string_equal(reply(fds[count - 1]), "");
    close(fds[0]);
    settle(fixture);
    assert_int_equal(varlink_server_connections(fixture->server), most - 1);
    fds[0] = add_client(fixture);
    assert_int_equal(varlink_server_connections(fixture->server), most);
    while (count > 0)
        close(fds[--count]);
}

static void keeps_guarded_methods_for_root(void **state)
{
    struct fixture *fixture = *state;
    uid_t uid = geteuid();
    if (uid == 0)
        assert_int_equal(seteuid(65534), 0);
    int stranger = add_client(fixture);
    if (uid == 0)
        assert_int_equal(seteuid(0), 0);
    put(stranger, CALL("Guarded"), sizeof(CALL("Guarded")));
    settle(fixture);
    assert_string_equal(reply(stranger),
                        "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}");
    close(stranger);
    if (uid == 0)
        assert_answer(fixture, CALL("Guarded"), "{\"parameters\":{\"number\":0}}");
}

/* A whole life: a client comes, asks, reads and goes. Whatever fails, the loop settles. */
static void serve_one_client(void *context)
{
    struct fixture *fixture = context;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return;
    static const char requests[] = CALL("Echo") "\0" CALL("Fail") "\0" CALL(
        "Nope") "\0"
                "{\"method\":\"org.varlink.service.GetInfo\"}";
    int r = varlink_server_add_connection(fixture->server, pair[1]);
    assert_true(r == 0 || r == -ENOMEM);
    if (r == 0)
        put(pair[0], requests, sizeof(requests));
    settle(fixture);
    char replies[4096];
    assert_true(recv(pair[0], replies, sizeof(replies), 0) < (ssize_t)sizeof(replies));
    close(pair[0]);
    settle(fixture);
    assert_int_equal(varlink_server_connections(fixture->server), 1);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(serve_one_client, *state), 20, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_who_it_is),
        TEST(describes_its_interfaces),
        TEST(names_what_it_does_not_know),
        TEST(refuses_wrong_types_and_stays),
        TEST(turns_a_diagnosis_into_an_error),
        TEST(answers_for_a_method_that_forgets_to),
        TEST(answers_pipelined_requests_in_order),
        TEST(gives_no_reply_to_oneway_calls),
        TEST(takes_a_request_byte_by_byte),
        TEST(answers_what_was_asked_before_the_client_ended),
        TEST(hears_oneway_calls_of_a_client_that_is_gone),
        TEST(hangs_up_on_what_is_not_varlink),
        TEST(hangs_up_on_a_request_without_an_end),
        TEST(takes_a_request_of_the_largest_size),
        TEST(makes_a_client_that_never_reads_wait),
        TEST(lets_other_clients_in_between_pipelined_requests),
        TEST(says_when_an_answer_is_too_large),
        TEST(serves_no_more_than_the_maximum),
        TEST(keeps_guarded_methods_for_root),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
