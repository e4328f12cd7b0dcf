/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/live_table.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/terminal.h"

#define NS_PER_S      (uint64_t)1000000000
#define NS_PER_MS     1000000u
#define CALL_PATIENCE (5 * NS_PER_S)
#define SERIES_MAX    10000 /* rows to sort among; the agent gives the busiest */
#define FRAME_LINES   4     /* title, column titles, footer, and the line below it */

static const char *order_name(enum series_order order)
{
    switch (order) {
    case SERIES_BY_P99:
        return "p99";
    case SERIES_BY_TIME:
        return "total time";
    case SERIES_BY_COUNT:
        return "count";
    case SERIES_AS_GIVEN:
        break;
    }
    return "calls";
}

static int connect_again(struct live_table *live, struct diag *reterr_diag)
{
    if (live->borrowed || live->own)
        return 0;
    return query_client_open(live->socket_path, &live->own, reterr_diag);
}

static int fetch(struct live_table *live, json_t **ret_reply, struct diag *reterr_diag)
{
    _cleanup_json_ json_t *parameters = json_object();
    if (!json_field_set_string(parameters, "probe", live->probe) ||
        !json_field_set_string(parameters, "by", live->by) ||
        !json_field_set_u64(parameters, "limit", SERIES_MAX))
        return diag_set(reterr_diag, ENOMEM, "no memory for the question");
    int r = connect_again(live, reterr_diag);
    if (r < 0)
        return r;
    r = query_client_call(live->borrowed ? live->borrowed : live->own, "Stats", parameters,
                          CALL_PATIENCE, interrupt_flag(), ret_reply, reterr_diag);
    if (r < 0 && r != -EREMOTEIO && r != -EPERM && r != -EINTR) {
        query_client_free(live->own); /* come back on a new connection */
        live->own = NULL;
    }
    return r;
}

static void print_title(const struct live_table *live, struct text *out)
{
    char now[32];
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), now);
    text_append_format(out, "%s  %.8sZ  by %s, sorted by %s", live->title,
                       now + strlen("YYYY-MM-DDT"), live->by, order_name(live->order));
    if (live->output->is_terminal)
        text_append_string(out, "  [q quit, sort p t c]");
    text_append(out, "\n", 1);
}

static void print_reply(const struct live_table *live, const json_t *reply, size_t rows_max,
                        struct text *out)
{
    struct series_view view = {
        .width = output_width(live->output),
        .rows_max = rows_max,
        .emphasise = live->output->has_colour,
        .without_who = strcmp(live->by, "none") == 0,
        .order = live->order,
    };
    series_view_print(reply, &view, out);
}

/* Lines cut at the screen's edge (ASCII, apart from the table, which fits), the rest blanked. */
static void fit_to_screen(const struct text *lines, unsigned width, unsigned height,
                          struct text *out)
{
    const char *at = lines->bytes ? lines->bytes : "";
    text_append_string(out, "\033[H");
    for (unsigned line = 0; *at && line + 1 < height; line++) {
        size_t length = strcspn(at, "\n");
        bool is_plain = strcspn(at, "\033") >= length && (line == 0 || !at[length + 1]);
        text_append(out, at, is_plain && length > width ? width : length);
        text_append_string(out, "\033[K\n");
        at += length + (at[length] == '\n');
    }
    text_append_string(out, "\033[J");
}

static int draw(struct live_table *live, const json_t *reply, const struct diag *diag)
{
    _cleanup_text_ struct text lines = {0};
    _cleanup_text_ struct text screen = {0};
    unsigned height = output_height(live->output);
    bool is_screen = live->output->is_terminal;
    print_title(live, &lines);
    if (diag)
        text_append_format(&lines, "%s; trying again\n", diag->what);
    else
        print_reply(live, reply,
                    is_screen && height > FRAME_LINES + 1 ? height - FRAME_LINES : is_screen,
                    &lines);
    if (!is_screen)
        return output_write(live->output, &lines);
    fit_to_screen(&lines, output_width(live->output), height, &screen);
    if (lines.failed)
        screen.failed = lines.failed;
    return output_write(live->output, &screen);
}

/* True: the user is done. */
static bool take_keys(struct live_table *live, bool *changed)
{
    for (int key = terminal_key(); key != 0; key = terminal_key()) {
        *changed = true;
        if (key == 'q' || key == 'Q')
            return true;
        if (key == 'p')
            live->order = SERIES_BY_P99;
        else if (key == 't')
            live->order = SERIES_BY_TIME;
        else if (key == 'c')
            live->order = SERIES_BY_COUNT;
    }
    return false;
}

/* Waits for the next second. True: done. *redraw: a key or a new size of the terminal. */
static bool wait_until(struct live_table *live, uint64_t until_ns, bool *redraw)
{
    for (;;) {
        uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (*interrupt_flag())
            return true;
        if (now_ns >= until_ns)
            return false;
        struct pollfd ready[] = {
            {.fd = interrupt_fd(), .events = POLLIN},
            {.fd = terminal_keys_fd(), .events = POLLIN},
            {.fd = live->output->fd},
        };
        int timeout_ms = (int)((until_ns - now_ns) / NS_PER_MS) + 1;
        if (poll(ready, sizeof(ready) / sizeof(ready[0]), timeout_ms) <= 0)
            continue;
        interrupt_drain();
        *redraw = ready[0].revents != 0;
        if (ready[2].revents & (POLLERR | POLLHUP))
            return true; /* the reader left */
        if ((ready[1].revents & (POLLHUP | POLLERR)) || take_keys(live, redraw))
            return true;
        if (*redraw)
            return *interrupt_flag();
    }
}

/* Shows one answer until the second is over. True: done; *code says how. */
static bool show_for_a_second(struct live_table *live, int *code)
{
    struct diag diag = {0};
    _cleanup_json_ json_t *reply = NULL;
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + NS_PER_S;
    int r = fetch(live, &reply, &diag);
    if (r == -EINTR)
        return true;
    if (r < 0 && (live->borrowed || r == -EPERM || r == -EACCES || r == -EREMOTEIO)) {
        terminal_leave();
        message_diag(&diag); /* waiting would not help */
        *code = message_exit_code(r);
        return true;
    }
    bool redraw;
    do {
        redraw = false;
        int written = draw(live, reply, r < 0 ? &diag : NULL);
        if (written < 0) {
            terminal_leave();
            *code = output_exit_code(written);
            return true;
        }
        if (wait_until(live, until_ns, &redraw))
            return true;
    } while (redraw);
    return false;
}

int live_table_run(struct live_table *live)
{
    int code = EXIT_CODE_FINE;
    if (live->output->is_terminal)
        terminal_enter(live->output);
    while (!show_for_a_second(live, &code))
        ;
    terminal_leave();
    return code;
}

int live_table_once(struct live_table *live)
{
    struct diag diag;
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_text_ struct text out = {0};
    int r = fetch(live, &reply, &diag);
    if (r < 0) {
        message_diag(&diag);
        return message_exit_code(r);
    }
    print_reply(live, reply, 0, &out);
    return output_exit_code(output_write(live->output, &out));
}

void live_table_done(struct live_table *live)
{
    query_client_free(live->own);
    live->own = NULL;
}
