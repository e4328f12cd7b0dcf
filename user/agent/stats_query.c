/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/stats_query.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "agent/open_call_table.h"
#include "agent/probe_ledger.h"
#include "agent/steer.h"
#include "base/clock.h"
#include "base/glob.h"

#define NORMAL_95 1.96

/* Totals of all probes at one instant, of one client. */
struct agent_mark {
    struct agent_mark *next;
    uint64_t connection;
    enum config_group by;
    uint64_t set_ns;
    struct rollup **rollups; /* of the probes that were there */
    uint32_t *probes;
    size_t count;
};

static struct series_key group_of(struct series_key key, void *context, enum config_group by)
{
    if (by == CONFIG_BY_PROCESS)
        return key;
    if (by == CONFIG_BY_NONE)
        return (struct series_key){.probe = key.probe, .level = SERIES_OTHER};
    while (key.level < SERIES_UNIT)
        key = pump_parent(key, context);
    return key;
}

static struct series_key group_by_process(struct series_key key, void *context)
{
    return group_of(key, context, CONFIG_BY_PROCESS);
}

static struct series_key group_by_unit(struct series_key key, void *context)
{
    return group_of(key, context, CONFIG_BY_UNIT);
}

static struct series_key group_by_none(struct series_key key, void *context)
{
    return group_of(key, context, CONFIG_BY_NONE);
}

static rollup_group_fn group_function(enum config_group by)
{
    return by == CONFIG_BY_PROCESS ? group_by_process
           : by == CONFIG_BY_UNIT  ? group_by_unit
                                   : group_by_none;
}

/* --- marks ----------------------------------------------------------------------------------- */

static void mark_free(struct agent_mark *mark)
{
    for (size_t i = 0; i < mark->count; i++)
        rollup_free(mark->rollups[i]);
    free(mark->rollups);
    free(mark->probes);
    free(mark);
}

void stats_mark_forget_first(struct agent *agent)
{
    struct agent_mark *mark = agent->marks;
    agent->marks = mark->next;
    mark_free(mark);
}

static struct agent_mark **find_mark(struct agent *agent, uint64_t connection)
{
    struct agent_mark **at = &agent->marks;
    while (*at && (*at)->connection != connection)
        at = &(*at)->next;
    return at;
}

void stats_mark_forget(struct agent *agent, uint64_t connection)
{
    struct agent_mark **found = find_mark(agent, connection);
    struct agent_mark *mark = *found;
    if (!mark)
        return;
    *found = mark->next;
    mark_free(mark);
}

bool stats_mark_fits(const struct agent *agent, uint64_t connection, enum config_group by)
{
    for (const struct agent_mark *mark = agent->marks; mark; mark = mark->next)
        if (mark->connection == connection)
            return mark->by == by;
    return false;
}

static struct rollup *marked_rollup(const struct agent_mark *mark, uint32_t probe)
{
    for (size_t i = 0; mark && i < mark->count; i++)
        if (mark->probes[i] == probe)
            return mark->rollups[i];
    return NULL;
}

struct marking {
    struct agent *agent;
    struct agent_mark *mark;
    uint64_t now_ns;
    int error;
};

static void mark_probe(const struct probe *probe, void *context)
{
    struct marking *marking = context;
    struct agent_mark *mark = marking->mark;
    if (marking->error)
        return;
    marking->error =
        rollup_new(marking->agent->series, probe->id, 0, marking->now_ns, group_function(mark->by),
                   marking->agent, &mark->rollups[mark->count]);
    if (!marking->error)
        mark->probes[mark->count++] = probe->id;
}

/* The totals right now, without draining. */
static int take_mark(struct agent *agent, uint64_t connection, enum config_group by,
                     struct agent_mark **ret_mark)
{
    struct agent_mark *mark = calloc(1, sizeof(*mark));
    if (!mark)
        return -ENOMEM;
    struct marking marking = {agent, mark, agent_now_ns(), 0};
    mark->connection = connection;
    mark->by = by;
    mark->set_ns = marking.now_ns;
    if (agent->probes) {
        mark->rollups = calloc(agent->sizing.kernel.probes_max, sizeof(*mark->rollups));
        mark->probes = calloc(agent->sizing.kernel.probes_max, sizeof(*mark->probes));
        marking.error = mark->rollups && mark->probes ? 0 : -ENOMEM;
        probe_set_walk(agent->probes, mark_probe, &marking);
    }
    if (marking.error) {
        mark_free(mark);
        return marking.error;
    }
    *ret_mark = mark;
    return 0;
}

static void keep_mark(struct agent *agent, struct agent_mark *mark)
{
    stats_mark_forget(agent, mark->connection);
    mark->next = agent->marks;
    agent->marks = mark;
}

int stats_mark_set(struct agent *agent, uint64_t connection, enum config_group by)
{
    struct agent_mark *mark = NULL;
    pump_catch_up(agent);
    int error = take_mark(agent, connection, by, &mark);
    if (!error)
        keep_mark(agent, mark);
    return error;
}

/* --- answers --------------------------------------------------------------------------------- */

struct making {
    struct agent *agent;
    const struct stats_query *query;
    const struct agent_mark *mark;
    struct open_call_table open_calls;
    uint64_t now_ns;
    struct stats_answer *answer;
    size_t capacity;
    int error;
};

/* The time that a row covers: since it was attached or marked, at most the window. */
static uint64_t covered_ns(const struct making *making, const struct probe *probe,
                           const struct rollup_row *row)
{
    uint64_t attached_ns = making->agent->probe_states[probe->id].attached_ns;
    uint64_t from_ns = attached_ns;
    if (making->mark && making->mark->set_ns > from_ns)
        from_ns = making->mark->set_ns;
    uint64_t length_ns = making->now_ns > from_ns ? making->now_ns - from_ns : 0;
    if (!making->query->since_start && !making->mark && row->window_ns < length_ns)
        length_ns = row->window_ns;
    return length_ns;
}

static void name_row(struct agent *agent, struct series_json *series)
{
    struct series_key key = series->row->key;
    if (key.level == SERIES_PROCESS) {
        const struct process_id id = {(uint32_t)(key.who >> 32), (uint32_t)key.who};
        const struct process *process = process_table_find(agent->processes, id);
        series->pid = id.pid;
        series->comm = process  ? process_table_comm(agent->processes, process->comm_id)
                       : id.pid ? NULL
                                : "(kernel)";
        series->unit = process ? process_table_unit(agent->processes, process->unit_id) : NULL;
    } else if (key.level == SERIES_NAME || key.level == SERIES_UNIT) {
        if (key.level == SERIES_NAME)
            series->comm = process_table_comm(agent->processes, (uint32_t)key.who);
        series->unit = process_table_unit(agent->processes, (uint32_t)(key.who >> 32));
    }
}

/*
 * How far the count of a row may be off. Calls of a thinned probe are shared out among processes by
 * sampling: a count is known as well as twice the rank of a median (see latency_stat_rank_error).
 * What was detached for part of the time is off by as much as its bursts disagree, and by what they
 * do not tell of the program; that may be more than the count itself.
 */
static double count_error(const struct making *making, const struct probe *probe,
                          const struct steer_figures *figures, const struct rollup_row *row)
{
    const struct agent_probe *state = &making->agent->probe_states[probe->id];
    bool is_part = row->key.level != SERIES_OTHER || making->query->by != CONFIG_BY_NONE;
    double shared = is_part ? 2 * latency_stat_rank_error(&row->stat) : 0;
    double unseen = 0;
    double time_ns = (double)(making->now_ns - state->attached_ns);
    if (making->query->since_start && row->stat.count > 0) {
        unseen = NORMAL_95 * sqrt(state->unobserved_variance) + state->unobserved_doubt +
                 state->unobserved_unsure * state->unobserved_missed;
        unseen /= (double)row->stat.count;
        /* Of the gap that goes on nothing is in the count yet. */
        unseen += (double)figures->gap_ns / fmax(time_ns - (double)figures->gap_ns, 1);
    } else if (state->stretch > 1) {
        struct burst_error error = figures->error;
        unseen = (NORMAL_95 * error.chance + error.doubt + (error.compared ? 0 : error.missed)) *
                 (1 - 1.0 / (double)state->stretch);
    }
    return sqrt(shared * shared + unseen * unseen);
}

/* Of intervals, what holds now stands for what held then. */
static double observed_ratio(const struct making *making, const struct probe *probe,
                             const struct steer_figures *figures)
{
    uint64_t attached_ns = making->now_ns - making->agent->probe_states[probe->id].attached_ns;
    if (!making->query->since_start)
        return figures->attached_ratio;
    return attached_ns > figures->detached_ns
               ? 1 - (double)figures->detached_ns / (double)attached_ns
               : 0;
}

static int add_row(struct making *making, const struct probe *probe,
                   const struct steer_figures *figures, const struct probe_ledger *ledger,
                   struct rollup_row *row)
{
    struct stats_answer *answer = making->answer;
    if (answer->count == making->capacity) {
        size_t capacity = making->capacity ? 2 * making->capacity : 256;
        struct series_json *series = reallocarray(answer->series, capacity, sizeof(*series));
        if (!series)
            return -ENOMEM;
        answer->series = series;
        making->capacity = capacity;
    }
    row->window_ns = covered_ns(making, probe, row);
    uint64_t oldest_ns = making->open_calls.oldest_ns[probe->id];
    struct series_json *series = &answer->series[answer->count++];
    *series = (struct series_json){
        .probe = probe->name,
        .time = answer->time,
        .row = row,
        .grouped = making->query->by != CONFIG_BY_NONE,
        .observed = observed_ratio(making, probe, figures),
        .count_error = count_error(making, probe, figures, row),
        .waiting = loris_ledger_waiting(&ledger->kernel),
        .lost = ledger->kernel.too_deep + ledger->kernel.no_storage + ledger->malformed,
        .has_in_flight = true,
        .in_flight = ledger->in_flight,
        .oldest_ns = oldest_ns && oldest_ns < making->now_ns ? making->now_ns - oldest_ns : 0,
        .final = making->query->final,
    };
    name_row(making->agent, series);
    return 0;
}

static bool row_is_wanted(const struct stats_query *query, const struct rollup_row *row)
{
    if (query->pid == 0)
        return true;
    return row->key.level == SERIES_PROCESS && row->key.who >> 32 == query->pid;
}

static int make_rollup(struct making *making, const struct probe *probe, struct rollup **ret_rollup)
{
    const struct stats_query *query = making->query;
    struct agent *agent = making->agent;
    bool totals = query->since_start || query->since_mark;
    _cleanup_(rollup_free_cleanup) struct rollup *rollup = NULL;
    int error = rollup_new(agent->series, probe->id, totals ? 0 : query->window_ns, making->now_ns,
                           group_function(query->by), agent, &rollup);
    const struct rollup *before = marked_rollup(making->mark, probe->id);
    if (!error && query->since_mark && before)
        error = rollup_subtract(rollup, before, pump_parent, agent);
    if (!error)
        error = rollup_cut(rollup, agent->sizing.answer_rows_max);
    if (error)
        return error;
    rollup_spread(rollup);
    *ret_rollup = take_ptr(rollup);
    return 0;
}

/* A target that was named must not be missing from the totals because nobody called it. */
static int add_uncalled(const struct making *making, const struct probe *probe,
                        struct rollup **rollup)
{
    const struct stats_query *query = making->query;
    bool is_named = query->final && !glob_is(probe->target);
    if ((*rollup)->row_count > 0 || query->by != CONFIG_BY_NONE ||
        !(is_named || query->with_uncalled))
        return 0;
    struct rollup *one = realloc(*rollup, sizeof(*one) + sizeof(one->rows[0]));
    if (!one)
        return -ENOMEM;
    one->rows[0] = (struct rollup_row){.key = {.probe = probe->id, .level = SERIES_OTHER}};
    latency_stat_init(&one->rows[0].stat);
    one->row_count = 1;
    *rollup = one;
    return 0;
}

static void add_probe(const struct probe *probe, void *context)
{
    struct making *making = context;
    struct stats_answer *answer = making->answer;
    const char *glob = making->query->probe_glob;
    struct probe_ledger ledger;
    if (making->error || !probe->attached || (glob && !glob_matches(glob, probe->name)))
        return;
    struct rollup *rollup = NULL;
    making->error = make_rollup(making, probe, &rollup);
    if (!making->error)
        making->error = add_uncalled(making, probe, &rollup);
    if (making->error) {
        rollup_free(rollup);
        return;
    }
    answer->rollups[answer->rollups_count++] = rollup;
    if (probe_ledger_read(making->agent, probe, &making->open_calls, &ledger))
        return;
    struct steer_figures figures = steer_figures(making->agent->steer, probe);
    for (size_t i = 0; !making->error && i < rollup->row_count; i++)
        if (row_is_wanted(making->query, &rollup->rows[i]))
            making->error = add_row(making, probe, &figures, &ledger, &rollup->rows[i]);
}

static int by_time_spent(const void *left, const void *right)
{
    const struct latency_stat *a = &((const struct series_json *)left)->row->stat;
    const struct latency_stat *b = &((const struct series_json *)right)->row->stat;
    if (a->sum_ns != b->sum_ns)
        return a->sum_ns < b->sum_ns ? 1 : -1;
    return (a->count < b->count) - (a->count > b->count);
}

static void finish_answer(struct stats_answer *answer, uint64_t limit)
{
    double total_ns = 0;
    for (size_t i = 0; i < answer->count; i++)
        total_ns += (double)answer->series[i].row->stat.sum_ns;
    for (size_t i = 0; total_ns > 0 && i < answer->count; i++)
        answer->series[i].time_share = (double)answer->series[i].row->stat.sum_ns / total_ns;
    if (answer->count)
        qsort(answer->series, answer->count, sizeof(*answer->series), by_time_spent);
    if (answer->count > limit) {
        answer->truncated = answer->count - limit;
        answer->count = limit;
    }
}

int stats_answer_make(struct agent *agent, const struct stats_query *query,
                      struct stats_answer *ret_answer)
{
    struct making making = {.agent = agent, .query = query, .answer = ret_answer};
    struct agent_mark *fresh_mark = NULL;
    if (!query->open_calls)
        pump_catch_up(agent);
    making.now_ns = agent_now_ns();
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), ret_answer->time);
    if (!agent->probes)
        return 0;
    if (query->since_mark)
        making.mark = *find_mark(agent, query->connection);
    ret_answer->rollups = calloc(agent->sizing.kernel.probes_max, sizeof(*ret_answer->rollups));
    if (!ret_answer->rollups)
        making.error = -ENOMEM;
    else if (query->open_calls)
        making.open_calls = *query->open_calls;
    else
        making.error = open_call_table_read(agent, &making.open_calls);
    if (!making.error)
        probe_set_walk(agent->probes, add_probe, &making);
    if (!making.error && query->since_mark)
        making.error = take_mark(agent, query->connection, query->by, &fresh_mark);
    if (!making.error)
        finish_answer(ret_answer, query->limit < agent->sizing.answer_rows_max
                                      ? query->limit
                                      : agent->sizing.answer_rows_max);
    if (fresh_mark)
        keep_mark(agent, fresh_mark);
    if (!query->open_calls)
        open_call_table_done(&making.open_calls);
    return making.error;
}

void stats_answer_done(struct stats_answer *answer)
{
    for (size_t i = 0; i < answer->rollups_count; i++)
        rollup_free(answer->rollups[i]);
    free(answer->rollups);
    free(answer->series);
}
