/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/top_model.c"
#include "cli/top_row.c"
#include "cli/top_source.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define S NS_PER_S

/* The agent's end is played by hand; time is what the test says. */
struct fixture {
    struct top_source source;
    struct top_model model;
    char folder[64], path[80];
    int listener, agent;
};

static void listen_again(struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fixture->path);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
}

static void accept_one(struct fixture *fixture)
{
    fixture->agent = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fixture->agent >= 0);
}

static void end_agent(struct fixture *fixture)
{
    close(fixture->agent);
    close(fixture->listener);
    unlink(fixture->path);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct diag diag;
    strcpy(fixture->folder, "/tmp/loris-top-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/s", fixture->folder);
    listen_again(fixture);
    top_model_init(&fixture->model, NULL, TOP_BY_NONE);
    assert_int_equal(top_source_open(&fixture->source, fixture->path, &diag), 0);
    accept_one(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    top_source_done(&fixture->source);
    top_model_done(&fixture->model);
    end_agent(fixture);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

/* The method that was asked for, "" when there was none. */
static const char *asked(struct fixture *fixture)
{
    static char request[4096];
    ssize_t got = recv(fixture->agent, request, sizeof(request) - 1, 0);
    request[got > 0 ? got : 0] = '\0';
    return strstr(request, "Agent.Stats\"")    ? "Stats"
           : strstr(request, "Agent.Status\"") ? "Status"
                                               : request;
}

static void say(struct fixture *fixture, const char *frame)
{
    assert_int_equal(send(fixture->agent, frame, strlen(frame) + 1, 0), strlen(frame) + 1);
}

static void say_stats(struct fixture *fixture, const char *probe)
{
    char frame[256];
    snprintf(frame, sizeof(frame), "{\"parameters\":{\"series\":[{\"probe\":\"%s\"}]}}", probe);
    say(fixture, frame);
}

static bool step(struct fixture *fixture, uint64_t now_ns)
{
    return top_source_step(&fixture->source, &fixture->model, now_ns, 0);
}

static const char *first_probe(struct fixture *fixture)
{
    const struct top_level *level = top_model_level(&fixture->model);
    return level->shown_count ? level->shown[0]->probe : "";
}

/* One refresh, which begins at now_ns. */
static void refresh(struct fixture *fixture, uint64_t now_ns, const char *probe)
{
    step(fixture, now_ns);
    assert_string_equal(asked(fixture), "Stats");
    say_stats(fixture, probe);
    assert_true(step(fixture, now_ns));
    assert_string_equal(first_probe(fixture), probe);
    assert_string_equal(asked(fixture), "Status");
    say(fixture, "{\"parameters\":{\"health\":\"ok\"}}");
    assert_true(step(fixture, now_ns));
}

static void asks_once_an_interval(void **state)
{
    struct fixture *fixture = *state;
    refresh(fixture, 10 * S, "a");
    assert_string_equal(fixture->model.agent.health, "ok");
    assert_int_equal(top_source_fd(&fixture->source), -1);
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), 11 * S);
    assert_false(step(fixture, 11 * S - 1));
    assert_string_equal(asked(fixture), "");
    refresh(fixture, 11 * S, "b");
    fixture->model.interval_ns = 5 * S;
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), 16 * S);
}

static void asks_nothing_while_paused_unless_the_question_changes(void **state)
{
    struct fixture *fixture = *state;
    refresh(fixture, 10 * S, "a");
    fixture->model.is_paused = true;
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), UINT64_MAX);
    assert_false(step(fixture, 1000 * S));
    assert_string_equal(asked(fixture), "");
    top_source_ask_anew(&fixture->source);
    refresh(fixture, 1000 * S, "b");
    assert_false(step(fixture, 2000 * S));
    assert_string_equal(asked(fixture), "");
}

static void passes_over_the_answer_to_a_question_of_before(void **state)
{
    struct fixture *fixture = *state;
    step(fixture, 10 * S);
    assert_string_equal(asked(fixture), "Stats");
    top_source_ask_anew(&fixture->source);
    assert_false(step(fixture, 10 * S));
    assert_string_equal(asked(fixture), ""); /* one question at a time */
    say_stats(fixture, "old");
    step(fixture, 10 * S);
    assert_string_equal(first_probe(fixture), "");
    assert_string_equal(asked(fixture), "Stats");
    say_stats(fixture, "new");
    step(fixture, 10 * S);
    assert_string_equal(first_probe(fixture), "new");
}

static void says_how_long_the_agent_has_been_silent(void **state)
{
    struct fixture *fixture = *state;
    step(fixture, 10 * S);
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), 12 * S);
    assert_false(step(fixture, 12 * S - 1));
    assert_true(step(fixture, 12 * S));
    assert_int_equal(fixture->model.link, TOP_SLOW);
    assert_string_equal(fixture->model.said, "the agent has not answered for 2 s");
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), 13 * S);
    assert_false(step(fixture, 12 * S + 1));
    assert_true(step(fixture, 13 * S));
    say_stats(fixture, "late");
    assert_true(step(fixture, 13 * S));
    assert_int_equal(fixture->model.link, TOP_CONNECTED);
    assert_string_equal(fixture->model.said, "");
    assert_string_equal(first_probe(fixture), "late");
}

static void tries_a_new_connection_when_it_was_silent_too_long(void **state)
{
    struct fixture *fixture = *state;
    step(fixture, 10 * S);
    assert_true(step(fixture, 40 * S));
    assert_int_equal(fixture->model.link, TOP_GONE);
    step(fixture, 41 * S);
    close(fixture->agent);
    accept_one(fixture);
    step(fixture, 41 * S);
    assert_string_equal(asked(fixture), "Stats");
}

static void comes_back_when_the_agent_does(void **state)
{
    struct fixture *fixture = *state;
    refresh(fixture, 10 * S, "a");
    end_agent(fixture);
    step(fixture, 11 * S);
    assert_true(step(fixture, 11 * S)); /* asked, and nobody is there */
    assert_int_equal(fixture->model.link, TOP_GONE);
    assert_non_null(strstr(fixture->model.said, "agent gone, trying again"));
    assert_string_equal(first_probe(fixture), "a");
    assert_true(step(fixture, 12 * S));
    assert_non_null(strstr(fixture->model.said, "No such file"));
    assert_int_equal(top_source_due_ns(&fixture->source, &fixture->model), 12 * S + RETRY_NS);
    listen_again(fixture);
    step(fixture, 13 * S);
    accept_one(fixture);
    assert_string_equal(asked(fixture), "Stats");
    say_stats(fixture, "b");
    step(fixture, 13 * S);
    assert_int_equal(fixture->model.link, TOP_CONNECTED);
    assert_string_equal(fixture->model.said, "");
    assert_string_equal(first_probe(fixture), "b");
}

static void says_what_the_agent_refuses_and_asks_again(void **state)
{
    struct fixture *fixture = *state;
    step(fixture, 10 * S);
    assert_string_equal(asked(fixture), "Stats");
    say(fixture, "{\"error\":\"org.loris.Agent.Failed\",\"parameters\":{\"message\":\"no room\"}}");
    assert_true(step(fixture, 10 * S));
    assert_int_equal(fixture->model.link, TOP_CONNECTED);
    assert_string_equal(fixture->model.said, "no room");
    refresh(fixture, 11 * S, "a");
    assert_string_equal(fixture->model.said, "");
}

static void a_borrowed_agent_that_ends_is_the_end(void **state)
{
    (void)state;
    int pair[2];
    struct query_client *client = NULL;
    struct top_source source;
    struct top_model model;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(query_client_open_fd(pair[0], &client), 0);
    top_model_init(&model, NULL, TOP_BY_NONE);
    top_source_borrow(&source, client);
    top_source_step(&source, &model, S, 0);
    assert_false(top_source_is_over(&source));
    close(pair[1]);
    assert_true(top_source_step(&source, &model, S, 0));
    assert_true(top_source_is_over(&source));
    assert_false(top_source_step(&source, &model, 9 * S, 0));
    query_client_free(client);
    top_model_done(&model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_once_an_interval),
        TEST(asks_nothing_while_paused_unless_the_question_changes),
        TEST(passes_over_the_answer_to_a_question_of_before),
        TEST(says_how_long_the_agent_has_been_silent),
        TEST(tries_a_new_connection_when_it_was_silent_too_long),
        TEST(comes_back_when_the_agent_does),
        TEST(says_what_the_agent_refuses_and_asks_again),
        cmocka_unit_test(a_borrowed_agent_that_ends_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
