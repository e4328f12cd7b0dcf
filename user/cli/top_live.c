/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_live.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "cli/interrupt.h"
#include "cli/top_keys.h"
#include "cli/top_screen.h"
#include "cli/top_terminal.h"

#define NS_PER_MS 1000000u

struct top_live {
    struct top_model *model;
    struct top_source *source;
    struct top_grid *shown; /* what is on the screen; NULL: nothing of ours */
};

/* What has not changed is not drawn. */
static int draw(struct top_live *live)
{
    unsigned width, height;
    top_terminal_size(&width, &height);
    _cleanup_(top_grid_free_cleanup) struct top_grid *grid = NULL;
    int r = top_grid_new(width, height, top_terminal_is_utf8(), &grid);
    if (r < 0)
        return r;
    top_screen_draw(live->model, grid);
    if (live->shown && top_grid_equal(live->shown, grid))
        return 0;
    top_terminal_show(grid);
    top_grid_free(live->shown);
    live->shown = take_ptr(grid);
    return 0;
}

static void repaint(struct top_live *live)
{
    top_terminal_repaint();
    top_grid_free(live->shown);
    live->shown = NULL;
}

/* True: the user is done. */
static bool take_keys(struct top_live *live)
{
    unsigned width, height;
    top_terminal_size(&width, &height);
    for (unsigned key = top_terminal_key(); key != TOP_KEY_NONE; key = top_terminal_key()) {
        unsigned effect = top_keys_press(live->model, key, top_screen_rows(height));
        if (effect & TOP_QUIT)
            return true;
        if (effect & TOP_ASK)
            top_source_ask_anew(live->source);
        if (effect & TOP_REPAINT)
            repaint(live);
        if (effect & TOP_NO_MEMORY)
            snprintf(live->model->said, sizeof(live->model->said), "no memory for that");
    }
    return false;
}

static void take_signals(struct top_live *live)
{
    interrupt_drain();
    if (interrupt_take(SIGTSTP))
        top_terminal_suspend();
    if (interrupt_take(SIGCONT))
        repaint(live);
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
static bool wait_for_something(struct top_live *live)
{
    struct pollfd ready[] = {
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = top_terminal_fd(), .events = POLLIN},
        {.fd = top_source_fd(live->source), .events = POLLIN},
    };
    int timeout_ms = milliseconds_until(top_source_due_ns(live->source, live->model));
    if (poll(ready, sizeof(ready) / sizeof(ready[0]), timeout_ms) <= 0)
        return *interrupt_flag();
    if (ready[0].revents)
        take_signals(live);
    if (*interrupt_flag() || (ready[1].revents & (POLLHUP | POLLERR | POLLNVAL)))
        return true;
    return take_keys(live);
}

static int run_loop(struct top_live *live, struct diag *reterr_diag)
{
    for (;;) {
        top_source_step(live->source, live->model, clock_now_ns(CLOCK_MONOTONIC),
                        clock_now_ns(CLOCK_REALTIME));
        if (top_source_is_over(live->source))
            return diag_set(reterr_diag, ECONNRESET, "%s", live->model->said);
        int r = draw(live);
        if (r < 0)
            return diag_set(reterr_diag, -r, "cannot draw: %s", strerror(-r));
        if (wait_for_something(live))
            return 0;
    }
}

int top_live_run(struct top_model *model, struct top_source *source, struct diag *reterr_diag)
{
    struct top_live live = {.model = model, .source = source};
    int r = top_terminal_open(reterr_diag);
    if (r < 0)
        return r;
    r = run_loop(&live, reterr_diag);
    top_terminal_close();
    top_grid_free(live.shown);
    return r;
}
