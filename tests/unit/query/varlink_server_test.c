/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "../support/failing_alloc.h"
#include "varlink_fixture.h"

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

static void says_when_an_answer_is_too_large(void **state)
{
    assert_answer(
        *state, CALL("Huge"),
        "{\"error\":\"org.test.Fake.Failed\",\"parameters\":{\"message\":\"the answer is "
        "larger than 4 MiB\",\"hint\":\"ask for less, with a narrower pattern or a limit, or allow "
        "the agent a larger memory_budget\"}}");
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
        TEST(says_when_an_answer_is_too_large),
        TEST(serves_no_more_than_the_maximum),
        TEST(keeps_guarded_methods_for_root),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
