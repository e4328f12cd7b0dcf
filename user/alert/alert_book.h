/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All rules and their alerts: what each evaluation makes of them, and who has to be told what. */
#pragma once

#include "alert/alert_rule.h"
#include "alert/alert_state.h"

#define ALERT_ALERTS_MAX      2048 /* of all rules together; what finds no room is counted */
#define ALERT_ALERTS_OF_RULE  100
#define ALERT_NOTICE_BURST    4  /* notices of a rule at once; then one each interval */
#define ALERT_NOTICES_A_ROUND 20 /* of all rules; the others wait for the next evaluation */

enum alert_whom {
    ALERT_OF_ALL, /* by: none */
    ALERT_OF_PROCESS,
    ALERT_OF_NAME, /* exited processes of one name */
    ALERT_OF_UNIT,
    ALERT_OF_OTHER,
    ALERT_OF_UNATTRIBUTED,
};

/* Whom an alert is about. Strings may be NULL. */
struct alert_subject {
    enum alert_whom whom;
    const char *probe;
    uint32_t pid;
    uint32_t start_tick; /* tells a process from one that had its pid before */
    const char *comm;
    const char *unit;
};

struct alert {
    struct alert_subject subject;
    struct alert_state state;
    enum alert_phase told;  /* INACTIVE, FIRING or UNKNOWN: what was told of it last */
    enum alert_sight sight; /* of the last evaluation */
    bool is_gone;           /* there is nobody any more of whom something could be seen */
    bool is_ruleless;       /* it ended with its rule, whatever the condition */
    double value;           /* when last seen, in the metric's unit */
    uint64_t count;
    uint64_t key;   /* hash of the subject */
    char strings[]; /* the subject's */
};

enum alert_notice_kind {
    ALERT_NOTICE_FIRING,
    ALERT_NOTICE_RESOLVED,
    ALERT_NOTICE_UNKNOWN,
    ALERT_NOTICE_HELD_BACK, /* came and went while notices were held back; no alerts */
};

/* What several alerts of one rule did alike in one evaluation. */
struct alert_notice {
    enum alert_notice_kind kind;
    const struct alert_rule *rule;
    const struct alert *const *alerts;
    size_t count;
    uint64_t held_back; /* changes of the rule's alerts that nobody was told of, since the last */
};

/* Whom the book asks, and what it says of each change. Callbacks must not change the book. */
struct alert_listener {
    /* Nothing is seen of it, and nothing will be: its process ended. Then it is as if the condition
     * were false. */
    bool (*is_gone)(const struct alert_subject *subject, void *context);
    /* An alert began to fire, is unknown, or ended (phase INACTIVE); limits hold nothing back. */
    void (*on_change)(const struct alert_rule *rule, const struct alert *alert, uint64_t now_ns,
                      void *context);
    void (*on_notice)(const struct alert_notice *notice, uint64_t now_ns, void *context);
    void *context;
};

struct alert_book;

/* notice_interval_ns 0: nothing is held back but what is above ALERT_NOTICES_A_ROUND. */
int alert_book_new(const struct alert_listener *listener, uint64_t notice_interval_ns,
                   struct alert_book **ret_book) _must_check_;
void alert_book_free(struct alert_book *book);
DEFINE_CLEANUP(struct alert_book *, alert_book_free);
void alert_book_set_notice_interval(struct alert_book *book, uint64_t notice_interval_ns);

/*
 * From now on these rules, which the book borrows. Rules whose fingerprint was there before keep
 * their alerts; of the others, firing alerts end, and it is said. The old rules must still be
 * there. -ENOMEM leaves everything as it was.
 */
int alert_book_set_rules(struct alert_book *book, const struct alert_rule *const *rules,
                         size_t count, uint64_t now_ns) _must_check_;

/* --- one evaluation: begin, observe every row of every rule, finish --------------------------- */

void alert_book_begin(struct alert_book *book);
/* A row of rules[index]. has_value false: the row is there and says nothing. */
void alert_book_observe(struct alert_book *book, size_t index, const struct alert_subject *subject,
                        bool has_value, double value, uint64_t count);
/* The rule could not be looked at: its alerts stay as they are. */
void alert_book_pass_over(struct alert_book *book, size_t index);
/* Steps every alert, says what changed. True: something did. */
bool alert_book_finish(struct alert_book *book, uint64_t now_ns);

/* --- looking at it ---------------------------------------------------------------------------- */

struct alert_rule_view {
    const struct alert_rule *rule;
    uint64_t fingerprint;
    enum alert_phase phase; /* the worst of its alerts; UNKNOWN also when no row had data */
    bool has_value;
    double value; /* of the row that is worst */
    uint64_t count;
    size_t firing, pending, unknown;
    uint64_t overflow; /* alerts that found no room, since the start */
    const struct alert *const *alerts;
    size_t alerts_count;
};

size_t alert_book_rules(const struct alert_book *book);
void alert_book_view(const struct alert_book *book, size_t index, struct alert_rule_view *ret_view);
/* An alert is pending, firing or unknown, or a notice waits. */
bool alert_book_is_busy(const struct alert_book *book);
/* Changes that nobody was told of when they happened, of all rules, since the start. */
uint64_t alert_book_held_back(const struct alert_book *book);

/* Puts an alert back that was saved before a restart. patience: until then, to see nothing means
 * nothing. -ENOENT: no rule has the fingerprint; -EEXIST; -ENOSPC; -ENOMEM. */
int alert_book_restore(struct alert_book *book, uint64_t fingerprint,
                       const struct alert *saved) _must_check_;
