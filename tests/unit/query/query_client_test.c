/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/query_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

/* The agent's end is played by hand: its answers wait in the socket before the question comes. */
struct fixture {
    struct query_client *client;
    int agent;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fixture->agent = pair[1];
    assert_int_equal(query_client_open_fd(pair[0], &fixture->client), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    query_client_free(fixture->client);
    if (fixture->agent >= 0)
        close(fixture->agent);
    free(fixture);
    return 0;
}

static void answer(struct fixture *fixture, const char *frame)
{
    assert_int_equal(send(fixture->agent, frame, strlen(frame) + 1, 0), (ssize_t)strlen(frame) + 1);
}

static void hang_up(struct fixture *fixture)
{
    close(fixture->agent);
    fixture->agent = -1;
}

static void writes_the_request_and_returns_the_parameters(void **state)
{
    struct fixture *fixture = *state;
    json_t *parameters = json_pack("{s:s}", "by", "none"), *reply = NULL;
    struct diag diag;
    answer(fixture, "{\"parameters\":{\"truncated\":3}}");
    assert_int_equal(
        query_client_call(fixture->client, "Stats", parameters, 0, NULL, &reply, &diag), 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "truncated")), 3);
    json_decref(reply);
    json_decref(parameters);
    char request[256];
    const char expected[] =
        "{\"method\":\"org.loris.Agent.Stats\",\"parameters\":{\"by\":\"none\"}}";
    assert_int_equal(recv(fixture->agent, request, sizeof(request), 0), sizeof(expected));
    assert_string_equal(request, expected);
}

static void takes_absent_parameters_for_none(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    answer(fixture, "{}");
    assert_int_equal(query_client_call(fixture->client, "SetMark", NULL, 0, NULL, &reply, &diag),
                     0);
    assert_true(json_is_object(reply));
    json_decref(reply);
}

static void turns_errors_into_a_diagnosis(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    static const struct {
        const char *frame, *what, *hint;
        int number;
    } errors[] = {
        {"{\"error\":\"org.loris.Agent.TargetFailed\",\"parameters\":{\"message\":\"no \\u001bf\","
         "\"hint\":\"try g\"}}",
         "no ?f", "try g", EREMOTEIO},
        {"{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}",
         "Attach needs root", "run it as root (sudo)", EPERM},
        {"{\"error\":\"org.loris.Agent.PermissionDenied\",\"parameters\":{\"message\":\"not "
         "you\"}}",
         "not you", "run it as root (sudo)", EPERM},
        {"{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"by\"}"
         "}",
         "the agent does not accept the by of Attach", "", EREMOTEIO},
        {"{\"error\":\"org.varlink.service.MethodNotFound\"}",
         "the agent answers org.varlink.service.MethodNotFound to Attach",
         "agent and command are of different versions", EREMOTEIO},
        {"{\"error\":\"x\",\"parameters\":{\"message\":7,\"hint\":[]}}",
         "the agent answers x to Attach", "", EREMOTEIO},
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        answer(fixture, errors[i].frame);
        assert_int_equal(query_client_call(fixture->client, "Attach", NULL, 0, NULL, &reply, &diag),
                         -errors[i].number);
        assert_string_equal(diag.what, errors[i].what);
        assert_string_equal(diag.hint, errors[i].hint);
        assert_null(reply);
    }
}

static void refuses_answers_that_make_no_sense(void **state)
{
    static const char *const frames[] = {"", "x", "[]", "{\"error\":7}", "{\"parameters\":[]}"};
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        tear_down(state);
        set_up(state);
        struct fixture *fixture = *state;
        json_t *reply = NULL;
        struct diag diag;
        answer(fixture, frames[i]);
        assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 0, NULL, &reply, &diag),
                         -EBADMSG);
    }
}

static void says_when_the_agent_hangs_up(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    assert_int_equal(send(fixture->agent, "{\"para", 6, 0), 6);
    hang_up(fixture);
    for (int i = 0; i < 2; i++)
        assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 0, NULL, &reply, &diag),
                         -ECONNRESET);
}

static void hears_why_an_agent_hung_up(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    answer(fixture, "{\"error\":\"org.loris.Agent.Failed\",\"parameters\":{\"message\":\"full\"}}");
    hang_up(fixture);
    assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 0, NULL, &reply, &diag),
                     -EREMOTEIO);
    assert_string_equal(diag.what, "full");
}

static void skips_the_late_answer_to_a_call_given_up(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    const volatile int cancelled = 1;
    assert_int_equal(
        query_client_call(fixture->client, "Attach", NULL, 0, &cancelled, &reply, &diag), -EINTR);
    assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 1, NULL, &reply, &diag),
                     -ETIMEDOUT);
    answer(fixture, "{\"parameters\":{\"call\":1}}");
    answer(fixture, "{\"parameters\":{\"call\":2}}");
    answer(fixture, "{\"parameters\":{\"call\":3}}");
    assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 0, NULL, &reply, &diag), 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "call")), 3);
    json_decref(reply);
}

static void asks_now_and_takes_the_reply_when_it_is_there(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply = NULL;
    struct diag diag;
    assert_int_equal(query_client_call(fixture->client, "Stats", NULL, 1, NULL, &reply, &diag),
                     -ETIMEDOUT);
    assert_int_equal(query_client_ask(fixture->client, "Status", NULL, &diag), 0);
    assert_int_equal(query_client_take(fixture->client, "Status", &reply, &diag), -EAGAIN);
    answer(fixture, "{\"parameters\":{\"call\":1}}"); /* the one given up */
    assert_int_equal(query_client_take(fixture->client, "Status", &reply, &diag), -EAGAIN);
    static const char half[] = "{\"parameters\":{\"ca";
    assert_int_equal(send(fixture->agent, half, strlen(half), 0), strlen(half));
    assert_int_equal(query_client_take(fixture->client, "Status", &reply, &diag), -EAGAIN);
    answer(fixture, "ll\":2}}");
    assert_int_equal(query_client_take(fixture->client, "Status", &reply, &diag), 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "call")), 2);
    json_decref(reply);
    assert_int_equal(query_client_ask(fixture->client, "Status", NULL, &diag), 0);
    hang_up(fixture);
    assert_int_equal(query_client_take(fixture->client, "Status", &reply, &diag), -ECONNRESET);
    assert_int_equal(query_client_ask(fixture->client, "Status", NULL, &diag), -ECONNRESET);
}

/* An agent that reads nothing must not hold up who asks. */
static void gives_up_at_once_when_the_question_finds_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct diag diag;
    char bytes[4096] = {0};
    while (send(query_client_fd(fixture->client), bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(query_client_ask(fixture->client, "Status", NULL, &diag), -ETIMEDOUT);
    assert_int_equal(query_client_ask(fixture->client, "Status", NULL, &diag), -ECONNRESET);
}

static void says_that_no_agent_is_there(void **state)
{
    (void)state;
    struct query_client *client = NULL;
    struct diag diag;
    assert_int_equal(query_client_open("/tmp/no-such-folder/s", &client, &diag), -ENOENT);
    assert_non_null(strstr(diag.hint, "systemctl start loris"));
    char path[300];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(query_client_open(path, &client, &diag), -ENAMETOOLONG);
}

static void call_once(void *context)
{
    (void)context;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    static const char frame[] = "{\"parameters\":{\"series\":[{\"probe\":\"a\",\"count\":1.5}]}}";
    assert_int_equal(send(pair[1], frame, sizeof(frame), 0), sizeof(frame));
    struct query_client *client = NULL;
    json_t *parameters = json_pack("{s:s}", "by", "none"), *reply = NULL;
    struct diag diag;
    if (query_client_open_fd(pair[0], &client) == 0) {
        int r = query_client_call(client, "Stats", parameters, 0, NULL, &reply, &diag);
        assert_true((r == 0) == (reply != NULL));
    }
    json_decref(reply);
    json_decref(parameters);
    query_client_free(client);
    close(pair[1]);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(call_once, NULL), 10, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_request_and_returns_the_parameters),
        TEST(takes_absent_parameters_for_none),
        TEST(turns_errors_into_a_diagnosis),
        TEST(refuses_answers_that_make_no_sense),
        TEST(says_when_the_agent_hangs_up),
        TEST(hears_why_an_agent_hung_up),
        TEST(skips_the_late_answer_to_a_call_given_up),
        TEST(asks_now_and_takes_the_reply_when_it_is_there),
        TEST(gives_up_at_once_when_the_question_finds_no_room),
        TEST(says_that_no_agent_is_there),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
