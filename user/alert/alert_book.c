/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_book.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

struct book_rule {
    const struct alert_rule *rule;
    uint64_t fingerprint;
    struct alert **alerts;
    size_t count;

    /* this evaluation, or the last */
    bool passed_over;
    bool has_value;
    double worst;
    uint64_t worst_count;

    uint64_t overflow;
    uint64_t changes; /* that nobody was told of yet */
    uint32_t tokens;  /* notices that it may send at once */
    uint64_t token_ns;
};

struct alert_book {
    struct alert_listener listener;
    uint64_t notice_interval_ns;
    struct book_rule *rules;
    size_t rules_count;
    size_t alerts_count; /* of all rules */
    size_t turn;         /* the rule whose notices go first */
    uint64_t held_back;
};

int alert_book_new(const struct alert_listener *listener, uint64_t notice_interval_ns,
                   struct alert_book **ret_book)
{
    struct alert_book *book = calloc(1, sizeof(*book));
    if (!book)
        return -ENOMEM;
    book->listener = *listener;
    book->notice_interval_ns = notice_interval_ns;
    *ret_book = book;
    return 0;
}

static void free_alerts(struct book_rule *entry)
{
    for (size_t i = 0; i < entry->count; i++)
        free(entry->alerts[i]);
    free(entry->alerts);
}

void alert_book_free(struct alert_book *book)
{
    if (!book)
        return;
    for (size_t i = 0; i < book->rules_count; i++)
        free_alerts(&book->rules[i]);
    free(book->rules);
    free(book);
}

void alert_book_set_notice_interval(struct alert_book *book, uint64_t notice_interval_ns)
{
    book->notice_interval_ns = notice_interval_ns;
}

/* --- alerts ----------------------------------------------------------------------------------- */

/* A name may change while a process lives; the process is the same. */
static uint64_t key_of(const struct alert_subject *subject)
{
    const uint32_t who[] = {subject->whom, subject->pid, subject->start_tick, 0};
    bool is_process = subject->whom == ALERT_OF_PROCESS;
    const char *names[] = {subject->probe, is_process ? NULL : subject->comm,
                           is_process ? NULL : subject->unit};
    uint64_t key = hash_bytes(who, sizeof(who), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        key = hash_bytes(names[i] ? names[i] : "", names[i] ? strlen(names[i]) + 1 : 0, key);
    return key;
}

static struct alert *find_alert(const struct book_rule *entry, uint64_t key)
{
    for (size_t i = 0; i < entry->count; i++)
        if (entry->alerts[i]->key == key)
            return entry->alerts[i];
    return NULL;
}

static const char *keep_string(char **at, const char *string)
{
    if (!string)
        return NULL;
    char *kept = strcpy(*at, string);
    *at += strlen(string) + 1;
    return kept;
}

static size_t string_bytes(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

static struct alert *make_alert(const struct alert_subject *subject)
{
    struct alert *alert = calloc(1, sizeof(*alert) + string_bytes(subject->probe) +
                                        string_bytes(subject->comm) + string_bytes(subject->unit));
    if (!alert)
        return NULL;
    char *at = alert->strings;
    alert->subject = *subject;
    alert->subject.probe = keep_string(&at, subject->probe);
    alert->subject.comm = keep_string(&at, subject->comm);
    alert->subject.unit = keep_string(&at, subject->unit);
    alert->key = key_of(subject);
    return alert;
}

static int add_alert(struct alert_book *book, struct book_rule *entry,
                     const struct alert_subject *subject, struct alert **ret_alert)
{
    if (entry->count == ALERT_ALERTS_OF_RULE || book->alerts_count == ALERT_ALERTS_MAX)
        return -ENOSPC;
    struct alert **grown = reallocarray(entry->alerts, entry->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    entry->alerts = grown;
    struct alert *alert = make_alert(subject);
    if (!alert)
        return -ENOMEM;
    grown[entry->count++] = alert;
    book->alerts_count++;
    *ret_alert = alert;
    return 0;
}

int alert_book_restore(struct alert_book *book, uint64_t fingerprint, const struct alert *saved)
{
    for (size_t i = 0; i < book->rules_count; i++) {
        struct book_rule *entry = &book->rules[i];
        struct alert *alert = NULL;
        if (entry->fingerprint != fingerprint)
            continue;
        if (find_alert(entry, key_of(&saved->subject)))
            return -EEXIST;
        int error = add_alert(book, entry, &saved->subject, &alert);
        if (error)
            return error;
        alert->state = saved->state;
        alert->told = saved->told;
        alert->value = saved->value;
        alert->count = saved->count;
        return 0;
    }
    return -ENOENT;
}

/* --- an evaluation ---------------------------------------------------------------------------- */

void alert_book_begin(struct alert_book *book)
{
    for (size_t i = 0; i < book->rules_count; i++) {
        struct book_rule *entry = &book->rules[i];
        entry->passed_over = false;
        entry->has_value = false;
        for (size_t j = 0; j < entry->count; j++)
            entry->alerts[j]->sight = ALERT_SEES_NOTHING;
    }
}

static void note_worst(struct book_rule *entry, double value, uint64_t count)
{
    if (entry->has_value && (entry->rule->is_below ? value >= entry->worst : value <= entry->worst))
        return;
    entry->has_value = true;
    entry->worst = value;
    entry->worst_count = count;
}

void alert_book_observe(struct alert_book *book, size_t index, const struct alert_subject *subject,
                        bool has_value, double value, uint64_t count)
{
    struct book_rule *entry = &book->rules[index];
    const struct alert_rule *rule = entry->rule;
    if (count < rule->min_count)
        has_value = false;
    if (has_value)
        note_worst(entry, value, count);
    bool begins = has_value && alert_rule_holds(rule, value, false);
    if (entry->count == 0 && !begins)
        return;
    struct alert *alert = find_alert(entry, key_of(subject));
    if (!alert && !begins)
        return;
    if (!alert && add_alert(book, entry, subject, &alert)) {
        entry->overflow++;
        return;
    }
    bool is_firing = alert->state.phase == ALERT_FIRING || alert->state.phase == ALERT_UNKNOWN;
    alert->sight = !has_value                                 ? ALERT_SEES_NOTHING
                   : alert_rule_holds(rule, value, is_firing) ? ALERT_SEES_TRUE
                                                              : ALERT_SEES_FALSE;
    if (has_value) {
        alert->value = value;
        alert->count = count;
    }
}

void alert_book_pass_over(struct alert_book *book, size_t index)
{
    book->rules[index].passed_over = true;
}

/* What others see of a phase. */
static enum alert_phase visible(enum alert_phase phase)
{
    return phase == ALERT_PENDING ? ALERT_INACTIVE : phase;
}

/* True: its phase changed. */
static bool step_alert(struct alert_book *book, struct book_rule *entry, struct alert *alert,
                       uint64_t now_ns)
{
    const struct alert_timing timing = {entry->rule->for_ns, entry->rule->keep_firing_ns};
    enum alert_phase before = alert->state.phase;
    alert->is_gone = alert->sight == ALERT_SEES_NOTHING &&
                     book->listener.is_gone(&alert->subject, book->listener.context);
    if (alert->is_gone)
        alert->sight = ALERT_SEES_FALSE;
    alert_state_step(&alert->state, &timing, alert->sight, now_ns);
    if (visible(alert->state.phase) != visible(before)) {
        entry->changes++;
        book->listener.on_change(entry->rule, alert, now_ns, book->listener.context);
    }
    return alert->state.phase != before;
}

/* Those of whom there is nothing more to say. */
static void drop_ended(struct alert_book *book, struct book_rule *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->count; i++) {
        struct alert *alert = entry->alerts[i];
        if (alert->state.phase == ALERT_INACTIVE && alert->told == ALERT_INACTIVE)
            free(alert);
        else
            entry->alerts[kept++] = alert;
    }
    book->alerts_count -= entry->count - kept;
    entry->count = kept;
}

/* --- notices ---------------------------------------------------------------------------------- */

/* Collects the alerts of which `phase` is news. */
static size_t collect_news(const struct book_rule *entry, enum alert_phase phase,
                           const struct alert **news)
{
    size_t count = 0;
    for (size_t i = 0; i < entry->count; i++) {
        const struct alert *alert = entry->alerts[i];
        if (visible(alert->state.phase) == phase && alert->told != phase)
            news[count++] = alert;
    }
    return count;
}

static void tell_phase(struct alert_book *book, struct book_rule *entry, enum alert_phase phase,
                       uint64_t *held_back, uint64_t now_ns)
{
    const struct alert *news[ALERT_ALERTS_OF_RULE];
    const struct alert_notice notice = {
        .kind = phase == ALERT_FIRING    ? ALERT_NOTICE_FIRING
                : phase == ALERT_UNKNOWN ? ALERT_NOTICE_UNKNOWN
                                         : ALERT_NOTICE_RESOLVED,
        .rule = entry->rule,
        .alerts = news,
        .count = collect_news(entry, phase, news),
        .held_back = *held_back,
    };
    if (notice.count == 0)
        return;
    *held_back = 0;
    book->listener.on_notice(&notice, now_ns, book->listener.context);
    for (size_t i = 0; i < entry->count; i++)
        if (visible(entry->alerts[i]->state.phase) == phase)
            entry->alerts[i]->told = phase;
}

static size_t count_news(const struct book_rule *entry)
{
    size_t count = 0;
    for (size_t i = 0; i < entry->count; i++)
        count += visible(entry->alerts[i]->state.phase) != entry->alerts[i]->told;
    return count;
}

static bool take_token(const struct alert_book *book, struct book_rule *entry, uint64_t now_ns)
{
    uint64_t interval_ns = book->notice_interval_ns;
    if (interval_ns == 0)
        return true;
    uint64_t due = (now_ns - entry->token_ns) / interval_ns;
    if (entry->tokens + due >= ALERT_NOTICE_BURST) {
        entry->tokens = ALERT_NOTICE_BURST;
        entry->token_ns = now_ns;
    } else {
        entry->tokens += (uint32_t)due;
        entry->token_ns += due * interval_ns;
    }
    if (entry->tokens == 0)
        return false;
    entry->tokens--;
    return true;
}

/* Says what is so now and was not told, each kind once for all alerts; what came and went
 * meanwhile is a number. */
static void tell(struct alert_book *book, struct book_rule *entry, uint64_t now_ns)
{
    uint64_t news = count_news(entry);
    uint64_t held_back = entry->changes > news ? entry->changes - news : 0;
    entry->changes = 0;
    book->held_back += held_back;
    if (news == 0) {
        const struct alert_notice notice = {
            .kind = ALERT_NOTICE_HELD_BACK, .rule = entry->rule, .held_back = held_back};
        if (held_back)
            book->listener.on_notice(&notice, now_ns, book->listener.context);
        return;
    }
    tell_phase(book, entry, ALERT_FIRING, &held_back, now_ns);
    tell_phase(book, entry, ALERT_UNKNOWN, &held_back, now_ns);
    tell_phase(book, entry, ALERT_INACTIVE, &held_back, now_ns);
}

static void tell_all(struct alert_book *book, uint64_t now_ns)
{
    unsigned told = 0;
    size_t first = book->turn;
    for (size_t i = 0; i < book->rules_count; i++) {
        size_t index = (first + i) % book->rules_count;
        struct book_rule *entry = &book->rules[index];
        if (entry->changes == 0 && count_news(entry) == 0)
            continue;
        if (told == ALERT_NOTICES_A_ROUND) {
            book->turn = index; /* goes first next time */
            break;
        }
        if (!take_token(book, entry, now_ns))
            continue;
        tell(book, entry, now_ns);
        told++;
    }
}

bool alert_book_finish(struct alert_book *book, uint64_t now_ns)
{
    bool changed = false;
    for (size_t i = 0; i < book->rules_count; i++) {
        struct book_rule *entry = &book->rules[i];
        for (size_t j = 0; j < entry->count && !entry->passed_over; j++)
            changed |= step_alert(book, entry, entry->alerts[j], now_ns);
    }
    tell_all(book, now_ns);
    for (size_t i = 0; i < book->rules_count; i++)
        drop_ended(book, &book->rules[i]);
    return changed;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The rule is gone, and with it what it said. */
static void end_rule(struct alert_book *book, struct book_rule *entry, uint64_t now_ns)
{
    for (size_t i = 0; i < entry->count; i++) {
        struct alert *alert = entry->alerts[i];
        enum alert_phase before = alert->state.phase;
        alert->state.phase = ALERT_INACTIVE;
        alert->is_ruleless = true;
        if (visible(before) == ALERT_INACTIVE)
            continue;
        entry->changes++;
        book->listener.on_change(entry->rule, alert, now_ns, book->listener.context);
    }
    tell(book, entry, now_ns);
    book->alerts_count -= entry->count;
    free_alerts(entry);
}

static struct book_rule *find_rule(const struct alert_book *book, uint64_t fingerprint)
{
    for (size_t i = 0; i < book->rules_count; i++)
        if (book->rules[i].rule && book->rules[i].fingerprint == fingerprint)
            return &book->rules[i];
    return NULL;
}

int alert_book_set_rules(struct alert_book *book, const struct alert_rule *const *rules,
                         size_t count, uint64_t now_ns)
{
    struct book_rule *fresh = calloc(count ? count : 1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        uint64_t fingerprint = alert_rule_fingerprint(rules[i]);
        struct book_rule *old = find_rule(book, fingerprint);
        fresh[i] = (struct book_rule){.tokens = ALERT_NOTICE_BURST, .token_ns = now_ns};
        if (old) {
            fresh[i] = *old;
            *old = (struct book_rule){0};
        }
        fresh[i].rule = rules[i];
        fresh[i].fingerprint = fingerprint;
    }
    for (size_t i = 0; i < book->rules_count; i++)
        if (book->rules[i].rule)
            end_rule(book, &book->rules[i], now_ns);
    free(book->rules);
    book->rules = fresh;
    book->rules_count = count;
    book->turn = 0;
    return 0;
}

/* --- looking at it ---------------------------------------------------------------------------- */

size_t alert_book_rules(const struct alert_book *book)
{
    return book->rules_count;
}

void alert_book_view(const struct alert_book *book, size_t index, struct alert_rule_view *ret_view)
{
    const struct book_rule *entry = &book->rules[index];
    *ret_view = (struct alert_rule_view){
        .rule = entry->rule,
        .fingerprint = entry->fingerprint,
        .has_value = entry->has_value,
        .value = entry->worst,
        .count = entry->worst_count,
        .overflow = entry->overflow,
        .alerts = (const struct alert *const *)entry->alerts,
        .alerts_count = entry->count,
    };
    for (size_t i = 0; i < entry->count; i++) {
        enum alert_phase phase = entry->alerts[i]->state.phase;
        ret_view->firing += phase == ALERT_FIRING;
        ret_view->pending += phase == ALERT_PENDING;
        ret_view->unknown += phase == ALERT_UNKNOWN;
    }
    ret_view->phase = ret_view->firing      ? ALERT_FIRING
                      : ret_view->unknown   ? ALERT_UNKNOWN
                      : ret_view->pending   ? ALERT_PENDING
                      : ret_view->has_value ? ALERT_INACTIVE
                                            : ALERT_UNKNOWN;
}

bool alert_book_is_busy(const struct alert_book *book)
{
    if (book->alerts_count > 0)
        return true;
    for (size_t i = 0; i < book->rules_count; i++)
        if (book->rules[i].changes > 0)
            return true;
    return false;
}

uint64_t alert_book_held_back(const struct alert_book *book)
{
    uint64_t held_back = book->held_back;
    for (size_t i = 0; i < book->rules_count; i++)
        held_back += book->rules[i].changes;
    return held_back;
}
