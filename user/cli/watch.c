/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris watch: measures now, through a private agent that lives as long as the watch. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "cli/agent_access.h"
#include "cli/command_child.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/private_agent.h"
#include "cli/series_view.h"
#include "cli/top_live.h"
#include "cli/watch_plan.h"

#define NS_PER_MS     1000000u
#define WAIT_MAX_MS   60000
#define HOT_WAIT_MS   100
#define HOT_LINES_MAX 8

struct watch {
    const struct invocation *invocation;
    struct watch_plan plan;
    struct output output;
    struct private_agent *agent;
    struct query_client *client; /* the agent's, borrowed */
    struct command_child *child; /* NULL: none, or it has ended */
    uint64_t start_ns;           /* CLOCK_MONOTONIC */
    uint64_t mark_ns;            /* when the interval began */
    bool agent_is_gone;
    json_t *hot; /* what the agent found before it measured; owned */
};

static int attach(struct watch *watch)
{
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    struct diag diag;
    if (json_object_set(parameters, "targets", watch->plan.targets) < 0 ||
        json_object_set(parameters, "filter", watch->plan.filter) < 0 ||
        !json_field_set_bool(parameters, "look", watch->child == NULL)) {
        message_say("no memory for the targets");
        return EXIT_CODE_FAILED;
    }
    int r = query_client_call(watch->client, "Attach", parameters, AGENT_ATTACH_TIMEOUT_NS,
                              interrupt_flag(), &reply, &diag);
    if (r == -EINTR) {
        message_say("interrupted before anything was attached");
        return EXIT_CODE_FAILED;
    }
    if (r < 0) {
        message_diag(&diag);
        return r == -EPERM ? EXIT_CODE_NOT_PERMITTED : EXIT_CODE_FAILED;
    }
    const json_t *results = json_object_get(reply, "results");
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *messages = json_object_get(json_array_get(results, i), "messages");
        for (size_t j = 0; j < json_array_size(messages); j++) {
            const char *line = json_string_value(json_array_get(messages, j));
            if (line)
                message_say("%s", line);
        }
    }
    watch->hot = json_incref(json_object_get(reply, "hot"));
    uint64_t attached = json_field_u64(reply, "attached");
    if (attached == 0) {
        message_say("nothing could be attached");
        return EXIT_CODE_FAILED;
    }
    if (isatty(STDERR_FILENO))
        message_say("watching %llu %s; Ctrl-C ends it", (unsigned long long)attached,
                    attached == 1 ? "function" : "functions");
    return 0;
}

static int set_mark(struct watch *watch)
{
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    watch->mark_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (!json_field_set_string(parameters, "by", watch->plan.by)) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    return agent_access_call(watch->client, "SetMark", parameters, &reply);
}

static int ask_stats(struct watch *watch, bool is_final, json_t **ret_reply)
{
    const struct watch_plan *plan = &watch->plan;
    _cleanup_json_ json_t *parameters = json_object();
    bool complete = json_field_set_string(parameters, "by", plan->by) &&
                    (!plan->limit || json_field_set_u64(parameters, "limit", plan->limit));
    if (is_final)
        complete = complete && json_field_set_u64(parameters, "window_ns", 0) &&
                   json_field_set_bool(parameters, "final", true);
    else
        complete = complete && json_field_set_bool(parameters, "since_mark", true);
    if (!complete) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    return agent_access_call(watch->client, "Stats", parameters, ret_reply);
}

static int print_stats(struct watch *watch, const json_t *reply, const char *title)
{
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    struct series_view view = {
        .width = output_width(&watch->output),
        .emphasise = watch->output.has_colour,
        .without_who = strcmp(watch->plan.by, "none") == 0,
    };
    if (watch->invocation->json) {
        series_view_json(reply, &out);
    } else {
        if (watch->plan.interval_ns) {
            char at[16];
            format_duration(clock_now_ns(CLOCK_MONOTONIC) - watch->start_ns, at);
            text_append_format(&out, "%s %s\n", title, at);
        }
        series_view_print(reply, &view, &out);
        if (watch->plan.interval_ns)
            text_append(&out, "\n", 1);
    }
    return output_exit_code(output_write(&watch->output, &out));
}

/* is_tail: the last one. Where it is cut short it is worth a table only when it holds calls. */
static int print_interval(struct watch *watch, bool is_tail)
{
    _cleanup_json_ json_t *reply = NULL;
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    uint64_t length_ns = now_ns - watch->mark_ns;
    watch->mark_ns = now_ns; /* the agent sets its mark anew with each answer */
    int code = ask_stats(watch, false, &reply);
    bool is_stub = is_tail && length_ns < watch->plan.interval_ns / 2;
    if (code != 0 || (is_stub && series_view_calls(reply) == 0))
        return code;
    return print_stats(watch, reply, "at");
}

static int print_totals(struct watch *watch)
{
    if (watch->agent_is_gone || watch->output.is_closed)
        return 0;
    int code = watch->plan.interval_ns ? print_interval(watch, true) : 0;
    if (code != 0 || watch->output.is_closed)
        return code;
    _cleanup_json_ json_t *reply = NULL;
    code = ask_stats(watch, true, &reply);
    return code != 0 ? code : print_stats(watch, reply, "total of");
}

/* What woke us up. */
struct wake {
    bool agent_gone, reader_gone, child_ended;
};

static struct wake wait_until(const struct watch *watch, uint64_t until_ns)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    int timeout_ms = -1;
    if (until_ns != UINT64_MAX) {
        uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
        timeout_ms = left_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left_ms;
    }
    struct pollfd ready[] = {
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = query_client_fd(watch->client), .events = POLLIN},
        {.fd = watch->output.fd}, /* asks for errors only: a pipe whose reader left */
        {.fd = watch->child ? command_child_fd(watch->child) : -1, .events = POLLIN},
    };
    if (poll(ready, sizeof(ready) / sizeof(ready[0]), timeout_ms) <= 0)
        return (struct wake){0};
    interrupt_drain();
    return (struct wake){
        .agent_gone = ready[1].revents != 0, /* it never speaks unasked */
        .reader_gone = ready[2].revents & (POLLERR | POLLHUP),
        .child_ended = ready[3].revents != 0,
    };
}

/* The command hears of the end: the terminal tells it of Ctrl-C itself. True: wait for it. */
static bool end_child(struct watch *watch, bool is_timeout)
{
    if (!watch->child)
        return false;
    int number = is_timeout ? SIGTERM : interrupt_signal();
    if (number == SIGINT && interrupt_is_ignored_by_children())
        number = SIGTERM;
    if (is_timeout || number != SIGINT || interrupt_is_directed())
        command_child_signal(watch->child, number);
    return true;
}

static void report_child(struct watch *watch)
{
    command_child_report(watch->child, clock_now_ns(CLOCK_MONOTONIC));
    command_child_free(watch->child);
    watch->child = NULL;
}

/* Until the duration, the command, the reader or the user ends it. Exit code. */
static int watch_until_end(struct watch *watch)
{
    const struct watch_plan *plan = &watch->plan;
    bool has_child = watch->child != NULL;
    bool is_ending = false;
    uint64_t end_ns = plan->duration_ns ? watch->start_ns + plan->duration_ns : UINT64_MAX;
    uint64_t tick_ns = plan->interval_ns ? watch->start_ns + plan->interval_ns : UINT64_MAX;
    for (;;) {
        uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        bool is_timeout = now_ns >= end_ns;
        if (!is_ending && (is_timeout || *interrupt_flag())) {
            is_ending = true;
            if (!end_child(watch, is_timeout))
                return 0;
        }
        if (now_ns >= tick_ns && tick_ns < end_ns && !is_ending) {
            int code = print_interval(watch, false);
            if (code != 0 || watch->output.is_closed)
                return code;
            while (tick_ns <= now_ns)
                tick_ns += plan->interval_ns;
        }
        uint64_t next_ns = tick_ns < end_ns ? tick_ns : end_ns;
        struct wake wake = wait_until(watch, is_ending ? UINT64_MAX : next_ns);
        if (wake.reader_gone && !has_child) {
            watch->output.is_closed = true;
            return 0;
        }
        if (wake.agent_gone) {
            watch->agent_is_gone = true;
            message_say("the private agent ended unexpectedly");
            return EXIT_CODE_FAILED;
        }
        if (wake.child_ended) {
            report_child(watch);
            return 0;
        }
    }
}

/* Until the user ends it; on a terminal that cannot show it there are the totals only. */
static int show_live(struct watch *watch)
{
    struct diag diag;
    struct top_model model;
    struct top_source source;
    top_model_init(&model, NULL, top_by_find(watch->plan.by));
    model.title = "loris watch";
    top_source_borrow(&source, watch->client);
    int r = top_live_run(&model, &source, &diag);
    top_model_done(&model);
    if (r == -ENOTTY || r == -ENOTSUP)
        return watch_until_end(watch);
    if (r < 0) {
        watch->agent_is_gone = r == -ECONNRESET;
        message_diag(&diag);
    }
    return r < 0 ? EXIT_CODE_FAILED : 0;
}

static bool is_live(const struct watch *watch)
{
    return watch->output.is_terminal && !watch->output.is_owned && !watch->invocation->json &&
           !watch->child && !watch->plan.duration_ns && !watch->plan.interval_ns;
}

/* Everything that runs: agent, command, attachments. */
static int begin(struct watch *watch)
{
    struct diag diag;
    int r = interrupt_install();
    if (r < 0)
        diag_set(&diag, -r, "cannot handle signals: %s", strerror(-r));
    if (r == 0)
        r = private_agent_start(invocation_value(watch->invocation, OPTION_BUDGET), &watch->agent,
                                &diag);
    if (r == 0 && watch->invocation->child_arguments)
        r = command_child_hold(watch->invocation->child_arguments, &watch->child, &diag);
    if (r == 0 && watch->child && !watch_plan_follow(&watch->plan, command_child_pid(watch->child)))
        r = diag_set(&diag, ENOMEM, "no memory for the filter");
    if (r < 0) {
        message_diag(&diag);
        return EXIT_CODE_FAILED;
    }
    watch->client = private_agent_client(watch->agent);
    int code = attach(watch);
    if (code == 0)
        code = set_mark(watch);
    if (code != 0)
        return code;
    watch->start_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (watch->child && command_child_release(watch->child, watch->start_ns, &diag) < 0) {
        message_diag(&diag);
        return EXIT_CODE_FAILED;
    }
    return 0;
}

/* "user:libc.so.6:malloc: 2.1 M calls/s in 3 processes, about 190 % of a CPU; ..." */
static void warn_hot(struct watch *watch, const json_t *series)
{
    const size_t all = json_array_size(watch->hot);
    const size_t told = all > HOT_LINES_MAX ? HOT_LINES_MAX : all;
    for (size_t i = 0; i < told; i++) {
        const json_t *hot = json_array_get(watch->hot, i);
        const char *probe = json_field_string(hot, "probe");
        char rate[16], cost[32], processes[48] = "";
        unsigned count = 0;
        for (size_t k = 0; k < json_array_size(series); k++)
            count += strcmp(json_field_string(json_array_get(series, k), "probe"), probe) == 0;
        if (count > 0)
            snprintf(processes, sizeof(processes), " in %u process%s", count,
                     count == 1 ? "" : "es");
        format_count(json_field_number(hot, "rate_per_s"), rate);
        series_view_format_percent(json_field_number(hot, "cost"), 3, cost);
        message_say("%s: %s calls/s%s, about %s of a CPU; %s", probe, rate, processes, cost,
                    json_field_string(hot, "setting"));
    }
    if (all > told) /* hundreds of system calls share what they cost */
        message_say("... and %zu more like these", all - told);
    if (json_array_size(watch->hot) > 0 && !invocation_has(watch->invocation, OPTION_BUDGET))
        message_hint("--budget 10%% or --budget none spends more on detail");
}

/* Who calls what is hot shows when some calls have come in. */
static int tell_hot(struct watch *watch)
{
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    if (json_array_size(watch->hot) == 0)
        return 0;
    (void)!poll(&(struct pollfd){.fd = interrupt_fd(), .events = POLLIN}, 1, HOT_WAIT_MS);
    if (!json_field_set_string(parameters, "by", "process")) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    int code = agent_access_call(watch->client, "Stats", parameters, &reply);
    if (code == 0)
        warn_hot(watch, json_object_get(reply, "series"));
    return code;
}

static int run(struct watch *watch)
{
    int code = begin(watch);
    if (code == 0)
        code = tell_hot(watch);
    if (code != 0)
        return code;
    code = is_live(watch) ? show_live(watch) : watch_until_end(watch);
    int totals_code = print_totals(watch);
    return code != 0 ? code : totals_code;
}

int command_watch(const struct invocation *invocation)
{
    struct watch watch = {.invocation = invocation, .output = {.fd = -1}};
    int code = watch_plan_make(invocation, &watch.plan);
    if (code == 0 && geteuid() != 0) {
        message_say("watch needs root: it attaches to the kernel");
        message_hint("sudo loris watch ..., or ask a running agent: loris stats");
        code = EXIT_CODE_NOT_PERMITTED;
    }
    const char *path = invocation_value(invocation, OPTION_OUTPUT);
    if (code == 0) {
        int r = output_open(path, &watch.output);
        if (r < 0) {
            message_say("cannot write %s: %s", path, strerror(-r));
            code = EXIT_CODE_FAILED;
        }
    }
    if (code == 0) {
        code = run(&watch);
        json_decref(watch.hot);
        command_child_free(watch.child);
        private_agent_stop(watch.agent);
        output_done(&watch.output);
    }
    watch_plan_done(&watch.plan);
    return code;
}
