/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules to try, and a listener that writes down what it is told. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alert/alert_book.h"
#include "alert/alert_message.h"
#include "base/text.h"

#define S 1000000000ull

/* p99 above 200 ms, warning, by none. */
static inline struct alert_rule slow_rule(const char *name)
{
    struct alert_rule rule = {
        .metric = ALERT_P99, .severity = ALERT_WARNING, .by = ALERT_BY_NONE, .threshold = 200e6};
    strcpy(rule.name, name);
    strcpy(rule.probe, "user:*");
    return rule;
}

static inline struct alert_subject probe_subject(const char *probe)
{
    return (struct alert_subject){.probe = probe};
}

static inline struct alert_subject process_subject(uint32_t pid)
{
    return (struct alert_subject){ALERT_OF_PROCESS, "user:a:b", pid, 7, "comm", "x.service"};
}

/* What was said, a word for each: "slow:firing*3(2)" is a notice about three alerts with two
 * changes held back. */
struct told {
    struct text notices;
    struct text changes;
    uint32_t gone_pid; /* of the process that has ended */
};

static inline bool told_is_gone(const struct alert_subject *subject, void *context)
{
    const struct told *told = context;
    return subject->pid && subject->pid == told->gone_pid;
}

static inline void told_change(const struct alert_rule *rule, const struct alert *alert,
                               uint64_t now_ns, void *context)
{
    struct told *told = context;
    text_append_format(&told->changes, "%s%s:%s@%llu", told->changes.length ? " " : "", rule->name,
                       alert_phase_name(alert->state.phase), (unsigned long long)(now_ns / S));
}

static inline void told_notice(const struct alert_notice *notice, uint64_t now_ns, void *context)
{
    static const char *const kinds[] = {"firing", "resolved", "unknown", "held_back"};
    struct told *told = context;
    (void)now_ns;
    text_append_format(&told->notices, "%s%s:%s", told->notices.length ? " " : "",
                       notice->rule->name, kinds[notice->kind]);
    if (notice->count > 1)
        text_append_format(&told->notices, "*%zu", notice->count);
    if (notice->held_back)
        text_append_format(&told->notices, "(%llu)", (unsigned long long)notice->held_back);
}

static inline struct alert_book *new_book(struct told *told, uint64_t notice_interval_ns)
{
    struct alert_book *book = NULL;
    const struct alert_listener listener = {told_is_gone, told_change, told_notice, told};
    assert_int_equal(alert_book_new(&listener, notice_interval_ns, &book), 0);
    return book;
}

static inline void told_done(struct told *told)
{
    text_done(&told->notices);
    text_done(&told->changes);
}

/* Checks what was said since the last time. */
static inline void assert_said(struct text *text, const char *expected)
{
    assert_int_equal(text->failed, 0);
    assert_string_equal(text->length ? text->bytes : "", expected);
    text_clear(text);
}
