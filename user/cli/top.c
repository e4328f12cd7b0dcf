/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris top: a live table from the running agent; survives its restart. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/series_view.h"
#include "cli/top_keys.h"
#include "cli/top_once.h"
#include "cli/top_screen.h"
#include "cli/top_source.h"
#include "cli/top_terminal.h"

#define NS_PER_MS      1000000u
#define INTERVAL_LEAST (100 * (uint64_t)NS_PER_MS)

struct top {
    struct top_model model;
    struct top_source source;
    struct top_grid *shown; /* what is on the screen; NULL: nothing yet */
};

/* --- one table ------------------------------------------------------------------------------- */

static int print_once(const struct invocation *invocation, const struct top_model *model,
                      json_t *reply)
{
    struct output output;
    _cleanup_text_ struct text out = {0};
    int r = top_once_arrange(reply, model->levels[0].filter, model->sort);
    if (r < 0) {
        message_say("no memory for the answer");
        return EXIT_CODE_FAILED;
    }
    r = output_open(NULL, &output);
    if (r == 0 && invocation->json) {
        series_view_json(reply, &out);
    } else if (r == 0) {
        struct series_view view = {
            .width = output_width(&output),
            .emphasise = output.has_colour,
            .without_who = model->levels[0].by == TOP_BY_NONE,
        };
        series_view_print(reply, &view, &out);
    }
    return output_exit_code(r == 0 ? output_write(&output, &out) : r);
}

static int run_once(const struct invocation *invocation, const struct top_model *model)
{
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    _cleanup_json_ json_t *question = top_model_question(model);
    _cleanup_json_ json_t *reply = NULL;
    if (!question) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    int code = agent_access_open(invocation, &client);
    if (code == 0)
        code = agent_access_call(client, "Stats", question, &reply);
    return code != 0 ? code : print_once(invocation, model, reply);
}

/* --- live ------------------------------------------------------------------------------------ */

/* What has not changed is not drawn. */
static int draw(struct top *top)
{
    unsigned width, height;
    top_terminal_size(&width, &height);
    _cleanup_(top_grid_free_cleanup) struct top_grid *grid = NULL;
    int r = top_grid_new(width, height, top_terminal_is_utf8(), &grid);
    if (r < 0)
        return r;
    top_screen_draw(&top->model, grid);
    if (top->shown && top_grid_equal(top->shown, grid))
        return 0;
    top_terminal_show(grid);
    top_grid_free(top->shown);
    top->shown = take_ptr(grid);
    return 0;
}

static void repaint(struct top *top)
{
    top_terminal_repaint();
    top_grid_free(top->shown);
    top->shown = NULL;
}

/* True: the user is done. */
static bool take_keys(struct top *top)
{
    unsigned width, height;
    top_terminal_size(&width, &height);
    for (unsigned key = top_terminal_key(); key != TOP_KEY_NONE; key = top_terminal_key()) {
        unsigned effect = top_keys_press(&top->model, key, top_screen_rows(height));
        if (effect & TOP_QUIT)
            return true;
        if (effect & TOP_ASK)
            top_source_ask_anew(&top->source);
        if (effect & TOP_REPAINT)
            repaint(top);
        if (effect & TOP_NO_MEMORY)
            snprintf(top->model.said, sizeof(top->model.said), "no memory for that");
    }
    return false;
}

static void take_signals(struct top *top)
{
    interrupt_drain();
    if (interrupt_take(SIGTSTP))
        top_terminal_suspend();
    if (interrupt_take(SIGCONT))
        repaint(top);
}

static int milliseconds_until(uint64_t due_ns)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (due_ns <= now_ns)
        return 0;
    uint64_t left_ms = (due_ns - now_ns) / NS_PER_MS + 1;
    return left_ms > INT_MAX ? -1 : (int)left_ms;
}

/* Until a key, an answer, a signal, or the next thing to do. True: done. */
static bool wait_for_something(struct top *top)
{
    struct pollfd ready[] = {
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = top_terminal_fd(), .events = POLLIN},
        {.fd = top_source_fd(&top->source), .events = POLLIN},
    };
    int timeout_ms = milliseconds_until(top_source_due_ns(&top->source, &top->model));
    if (poll(ready, sizeof(ready) / sizeof(ready[0]), timeout_ms) <= 0)
        return *interrupt_flag();
    if (ready[0].revents)
        take_signals(top);
    if (*interrupt_flag() || (ready[1].revents & (POLLHUP | POLLERR | POLLNVAL)))
        return true;
    return take_keys(top);
}

static int run_loop(struct top *top)
{
    int r;
    do {
        top_source_step(&top->source, &top->model, clock_now_ns(CLOCK_MONOTONIC),
                        clock_now_ns(CLOCK_REALTIME));
        r = draw(top);
    } while (r == 0 && !wait_for_something(top));
    return r;
}

static int run_live(const struct invocation *invocation, struct top *top)
{
    struct diag diag;
    int r = interrupt_install();
    if (r < 0)
        diag_set(&diag, -r, "cannot handle signals: %s", strerror(-r));
    if (r == 0)
        r = top_source_open(&top->source, invocation->socket_path, &diag);
    if (r == 0)
        r = top_terminal_open(&diag);
    if (r == 0) {
        r = run_loop(top);
        top_terminal_close();
        if (r < 0)
            diag_set(&diag, -r, "cannot draw: %s", strerror(-r));
    }
    top_source_done(&top->source);
    top_grid_free(top->shown);
    if (r < 0)
        message_diag(&diag);
    return message_exit_code(r);
}

static int read_options(const struct invocation *invocation, struct top_model *model)
{
    const char *by = invocation_value(invocation, OPTION_BY);
    const char *sort = invocation_value(invocation, OPTION_SORT);
    const char *filter = invocation_value(invocation, OPTION_FILTER);
    bool once = invocation_has(invocation, OPTION_ONCE);
    if (invocation->json && !once)
        return message_usage(invocation->command, "--json goes with --once; see also loris stats");
    if (once && invocation_value(invocation, OPTION_INTERVAL))
        return message_usage(invocation->command, "--once and --interval exclude each other");
    if (filter && strlen(filter) >= TOP_FILTER_BYTES)
        return message_usage(invocation->command, "--filter has %zu bytes, %d are possible",
                             strlen(filter), TOP_FILTER_BYTES - 1);
    top_model_init(model, invocation->argument_count ? invocation->arguments[0] : NULL,
                   top_by_find(by ? by : "none"));
    if (sort)
        model->sort = top_sort_find(sort);
    if (filter)
        strcpy(model->levels[0].filter, filter);
    return agent_access_duration(invocation, OPTION_INTERVAL, "interval", INTERVAL_LEAST,
                                 &model->interval_ns);
}

int command_top(const struct invocation *invocation)
{
    struct top top = {0};
    int code = read_options(invocation, &top.model);
    if (code == 0)
        code = invocation_has(invocation, OPTION_ONCE) ? run_once(invocation, &top.model)
                                                       : run_live(invocation, &top);
    top_model_done(&top.model);
    return code;
}
