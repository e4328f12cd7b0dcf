/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "varlink_fixture.h"

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
    /* one reply waits here and a few in the socket: the rest is not even computed */
    assert_true(fixture->calls >= 1 && fixture->calls < 6);
    assert_true(varlink_server_queued_bytes(fixture->server) <= BIG_BYTES + 100);
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

/* Replies until `count` clients that read nothing have made the server hold all it may. */
static void fill_the_queue(struct fixture *fixture, int *fds, size_t count)
{
    char requests[100 * sizeof(CALL("Big"))];
    for (size_t i = 0; i < 100; i++)
        memcpy(requests + i * sizeof(CALL("Big")), CALL("Big"), sizeof(CALL("Big")));
    for (size_t i = 0; i < count; i++) {
        fds[i] = add_client(fixture);
        put(fds[i], requests, sizeof(requests));
    }
    settle(fixture);
}

static void holds_no_more_than_it_was_told_for_clients_that_never_read(void **state)
{
    struct fixture *fixture = *state;
    int fds[60];
    fill_the_queue(fixture, fds, 60);
    size_t queued = varlink_server_queued_bytes(fixture->server);
    assert_true(queued > QUEUED_BYTES - 2 * BIG_BYTES);
    assert_true(queued <= QUEUED_BYTES + 60 * VARLINK_ERROR_BYTES);
    assert_int_equal(varlink_server_connections(fixture->server), 61);
    for (size_t i = 0; i < 60; i++)
        close(fds[i]);
    settle(fixture);
    assert_int_equal(varlink_server_connections(fixture->server), 1);
    assert_int_equal(varlink_server_queued_bytes(fixture->server), 0);
}

static void says_that_others_hold_the_room_and_goes_on_once_they_are_gone(void **state)
{
    struct fixture *fixture = *state;
    int fds[60];
    fill_the_queue(fixture, fds, 60);
    assert_answer(
        fixture, CALL("Big"),
        "{\"error\":\"org.test.Fake.Failed\",\"parameters\":{\"message\":\"other clients "
        "do not read the answers they asked for\",\"hint\":\"try again: in 30 seconds they "
        "are cut off\"}}");
    assert_answer(fixture, CALL("Echo"), "{\"parameters\":{\"number\":0}}");
    for (size_t i = 0; i < 60; i++)
        close(fds[i]);
    settle(fixture);
    unsigned calls = fixture->calls;
    ask(fixture, CALL("Big"));
    settle(fixture);
    assert_int_equal(fixture->calls, calls + 1);
    char begin[16];
    assert_int_equal(recv(fixture->fd, begin, sizeof(begin), 0), sizeof(begin));
    assert_memory_equal(begin, "{\"parameters\":{", sizeof(begin) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_a_request_byte_by_byte),
        TEST(answers_what_was_asked_before_the_client_ended),
        TEST(hears_oneway_calls_of_a_client_that_is_gone),
        TEST(hangs_up_on_what_is_not_varlink),
        TEST(hangs_up_on_a_request_without_an_end),
        TEST(takes_a_request_of_the_largest_size),
        TEST(makes_a_client_that_never_reads_wait),
        TEST(holds_no_more_than_it_was_told_for_clients_that_never_read),
        TEST(says_that_others_hold_the_room_and_goes_on_once_they_are_gone),
        TEST(lets_other_clients_in_between_pipelined_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
