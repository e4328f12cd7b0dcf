/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_self.h"

#include <errno.h>
#include <string.h>

#define S  1000000000ull
#define MB 1000000.0

/* What counts up is compared with what it was so many evaluations ago: a minute, by default. */
#define LOOKS 6

/* Below this many look-ups a hit ratio says nothing. */
#define LOOKUPS_MIN 1000

enum cache {
    CACHE_SERIES,
    CACHE_PROCESSES,
    CACHES,
};

enum loss {
    LOSS_CALLS,
    LOSS_PROCESS_EVENTS,
    LOSS_KERNEL_RUNS,
    LOSSES,
};

static const char *const cache_names[CACHES] = {"cache:series", "cache:processes"};
static const char *const loss_names[LOSSES] = {"calls", "process events", "kernel runs"};

struct counters {
    uint64_t hits[CACHES], misses[CACHES];
    uint64_t losses[LOSSES];
    uint64_t retries;
};

enum own_rule {
    OWN_CACHE,
    OWN_MEMORY,
    OWN_BUDGET,
    OWN_DRAIN,
    OWN_RETRIES,
    OWN_LOSSES,
    OWN_RULES,
};

struct alert_self {
    struct alert_rule rules[OWN_RULES];
    struct counters past[LOOKS + 1]; /* a ring; the newest at `newest` */
    size_t looks;                    /* so far */
    uint64_t memory_bytes;
    uint64_t drain_ns; /* the longest pass since the last look */
};

static const struct {
    struct alert_rule rule;
    const char *summary;
    const char *hint;
} templates[OWN_RULES] = {
    [OWN_CACHE] = {{.name = ALERT_OWN_PREFIX "cache-hit-ratio",
                    .probe = "cache:*",
                    .metric = ALERT_CACHE_HIT_RATIO,
                    .is_below = true,
                    .threshold = 0.5,
                    .min_count = LOOKUPS_MIN,
                    .for_ns = 120 * S},
                   "only {value} of the look-ups in {probe} find what they look for",
                   "more memory_budget, or fewer targets"},
    [OWN_MEMORY] = {{.name = ALERT_OWN_PREFIX "memory",
                     .probe = "agent",
                     .metric = ALERT_MEMORY,
                     .threshold = 100 * MB,
                     .for_ns = 60 * S},
                    "the agent takes {value} of memory",
                    "less memory_budget, or fewer targets"},
    [OWN_BUDGET] = {{.name = ALERT_OWN_PREFIX "memory-budget",
                     .probe = "agent",
                     .metric = ALERT_MEMORY,
                     .for_ns = 60 * S},
                    "the agent takes {value} of memory, more than memory_budget ({threshold})",
                    "more memory_budget, or fewer targets"},
    [OWN_DRAIN] = {{.name = ALERT_OWN_PREFIX "drain",
                    .probe = "drain",
                    .metric = ALERT_DRAIN,
                    .threshold = 1.0 * S,
                    .keep_firing_ns = 60 * S},
                   "one pass over the rings took {value}",
                   "the machine is short of CPU or the agent was stopped"},
    [OWN_RETRIES] = {{.name = ALERT_OWN_PREFIX "retries",
                      .probe = "agent",
                      .metric = ALERT_RETRIES,
                      .threshold = 10,
                      .keep_firing_ns = 300 * S},
                     "{value} attempts to attach or to write failed and had to be made again",
                     "see the agent's log for what fails"},
    [OWN_LOSSES] = {{.name = ALERT_OWN_PREFIX "losses",
                     .probe = "agent",
                     .metric = ALERT_LOSSES,
                     .threshold = 0,
                     .keep_firing_ns = 300 * S},
                    "{value} {probe} were lost",
                    "loris status has the ledger: too deep, rare ring, kernel missed"},
};

void alert_self_free(struct alert_self *self)
{
    if (!self)
        return;
    for (size_t i = 0; i < OWN_RULES; i++)
        alert_rule_done(&self->rules[i]);
    free(self);
}

int alert_self_new(const struct config *config, struct alert_self **ret_self)
{
    _cleanup_(alert_self_free_cleanup) struct alert_self *self = calloc(1, sizeof(*self));
    if (!self)
        return -ENOMEM;
    for (size_t i = 0; i < OWN_RULES; i++) {
        struct alert_rule *rule = &self->rules[i];
        *rule = templates[i].rule;
        rule->by = ALERT_BY_NONE;
        rule->severity = ALERT_WARNING;
        int error = alert_rule_add_annotation(rule, "summary", templates[i].summary);
        if (!error)
            error = alert_rule_add_annotation(rule, "hint", templates[i].hint);
        if (error)
            return error;
    }
    self->looks = 1; /* all that was before the first look happened since the start */
    self->rules[OWN_BUDGET].threshold = (double)config->memory_budget_bytes;
    /* Who allows more than that must have wanted it, and is told only. */
    if ((double)config->memory_budget_bytes > 100 * MB)
        self->rules[OWN_MEMORY].severity = ALERT_INFO;
    *ret_self = take_ptr(self);
    return 0;
}

void alert_self_inherit(struct alert_self *self, const struct alert_self *before)
{
    memcpy(self->past, before->past, sizeof(self->past));
    self->looks = before->looks;
}

size_t alert_self_rules(const struct alert_self *self)
{
    (void)self;
    return OWN_RULES;
}

const struct alert_rule *alert_self_rule(const struct alert_self *self, size_t nth)
{
    return &self->rules[nth];
}

/* --- looking ---------------------------------------------------------------------------------- */

static void add_lost(uint32_t id, const struct loris_ledger *ledger, void *context)
{
    uint64_t *lost = context;
    (void)id;
    *lost += ledger->too_deep + ledger->no_storage;
}

static void count_losses(struct agent *agent, struct counters *now)
{
    struct drain_figures drain = drain_figures(agent->drain);
    struct loris_rare_ledger rare = {0};
    now->losses[LOSS_CALLS] = drain.events.malformed + drain.broken;
    (void)!kernel_counters_walk(agent->counters, probe_set_end(agent->probes), add_lost,
                                &now->losses[LOSS_CALLS]);
    if (kernel_counters_rare(agent->counters, &rare) == 0)
        now->losses[LOSS_PROCESS_EVENTS] = rare.ring_full;
    now->losses[LOSS_KERNEL_RUNS] = probe_set_missed(agent->probes);
}

void alert_self_look(struct alert_self *self, struct agent *agent)
{
    struct counters now = {.retries = agent->retries};
    if (agent->counters) {
        struct series_table_figures series = series_table_figures(agent->series);
        struct process_table_figures processes = process_table_figures(agent->processes);
        now.hits[CACHE_SERIES] = series.hits;
        now.misses[CACHE_SERIES] = series.misses;
        now.hits[CACHE_PROCESSES] = processes.hits;
        now.misses[CACHE_PROCESSES] = processes.misses;
        count_losses(agent, &now);
    }
    self->memory_bytes = agent->memory_used;
    self->drain_ns = agent->drain_longest_ns;
    agent->drain_longest_ns = 0;
    self->past[self->looks++ % (LOOKS + 1)] = now;
}

void alert_self_begin(struct alert_self *self, struct agent *agent)
{
    self->looks = 0;
    alert_self_look(self, agent);
}

static const struct counters *newest(const struct alert_self *self)
{
    return &self->past[(self->looks - 1) % (LOOKS + 1)];
}

static const struct counters *oldest(const struct alert_self *self)
{
    return &self->past[self->looks > LOOKS ? self->looks % (LOOKS + 1) : 0];
}

/* A probe that went takes its counts with it. */
static uint64_t gain(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

static void observe_caches(const struct alert_self *self, struct alert_book *book, size_t index)
{
    for (size_t i = 0; i < CACHES; i++) {
        const struct alert_subject subject = {.probe = cache_names[i]};
        uint64_t hits = gain(oldest(self)->hits[i], newest(self)->hits[i]);
        uint64_t lookups = hits + gain(oldest(self)->misses[i], newest(self)->misses[i]);
        alert_book_observe(book, index, &subject, lookups > 0,
                           lookups ? (double)hits / (double)lookups : 0, lookups);
    }
}

static void observe_losses(const struct alert_self *self, struct alert_book *book, size_t index)
{
    for (size_t i = 0; i < LOSSES; i++) {
        const struct alert_subject subject = {.probe = loss_names[i]};
        uint64_t lost = gain(oldest(self)->losses[i], newest(self)->losses[i]);
        alert_book_observe(book, index, &subject, true, (double)lost, lost);
    }
}

void alert_self_observe(const struct alert_self *self, const struct alert_rule *rule,
                        struct alert_book *book, size_t index)
{
    const struct alert_subject subject = {.probe = rule->probe};
    uint64_t retries = gain(oldest(self)->retries, newest(self)->retries);
    switch ((enum own_rule)(rule - self->rules)) {
    case OWN_CACHE:
        observe_caches(self, book, index);
        break;
    case OWN_MEMORY:
    case OWN_BUDGET:
        alert_book_observe(book, index, &subject, self->memory_bytes > 0,
                           (double)self->memory_bytes, 0);
        break;
    case OWN_DRAIN:
        alert_book_observe(book, index, &subject, true, (double)self->drain_ns, 0);
        break;
    case OWN_RETRIES:
        alert_book_observe(book, index, &subject, true, (double)retries, retries);
        break;
    case OWN_LOSSES:
        observe_losses(self, book, index);
        break;
    case OWN_RULES:
        break;
    }
}
