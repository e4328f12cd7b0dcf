/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/heap.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/calibrate.h"
#include "agent/log.h"
#include "base/hash.h"
#include "probe/bpf_link.h"

#define SECOND_NS  1000000000ull
#define FOLDED_MAX 256 /* units, times targets */

#define FILE_WAIT_MAX_NS (16 * SECOND_NS)

#define RATE_LEAST_S 0.5 /* what happened in less is no rate */

/* What the tables take of an allocation and of a free, beside the probes: as much as a timed probe
 * on malloc takes, measured against that, for both together. */
#define ALLOCATION_TABLES_NS 600
#define RELEASE_TABLES_NS    350

static uint32_t slot_of(uint32_t id)
{
    return id & (LORIS_HEAP_TARGETS_MAX - 1);
}

struct heap_target *heap_target_find(struct agent_heap *heap, uint32_t id)
{
    struct heap_target *target = &heap->targets[slot_of(id)];
    return id && target->id == id ? target : NULL;
}

uint64_t heap_unit_of(struct agent *agent, uint32_t pid, uint32_t start_tick)
{
    const struct process_id id = {pid, start_tick};
    const struct process *process = process_table_find(agent->processes, id);
    return process ? process->unit_id : 0;
}

bool heap_is_idle(const struct agent *agent)
{
    for (size_t i = 0; agent->heap && i < LORIS_HEAP_TARGETS_MAX; i++)
        if (agent->heap->targets[i].id)
            return false;
    return true;
}

double heap_cost(const struct agent *agent)
{
    double cost = 0;
    for (size_t i = 0; agent->heap && i < LORIS_HEAP_TARGETS_MAX; i++)
        cost += agent->heap->targets[i].id ? agent->heap->targets[i].cost_ratio : 0;
    return cost;
}

uint64_t heap_bytes(const struct agent *agent)
{
    const struct agent_heap *heap = agent->heap;
    if (!heap || !heap->live || !heap->folded)
        return 0;
    return sizeof(*heap) + heap_table_bytes(heap->live) + heap_table_bytes(heap->folded);
}

/* --- attaching ------------------------------------------------------------------------------- */

/* Follows the ends of processes; this also brings the maps. */
static int follow_life(struct agent *agent, struct diag *reterr_diag)
{
    static const enum kernel_program programs[] = {KERNEL_HEAP_THREAD_EXIT, KERNEL_HEAP_EXEC};
    struct link_set *links = &agent->heap->life;
    int error = 0;
    if (links->count > 0)
        return 0;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && !error; i++) {
        int program_fd = kernel_side_program(agent->kernel, programs[i], reterr_diag);
        if (program_fd < 0)
            return program_fd;
        int link_fd = bpf_link_raw_tracepoint(program_fd, NULL);
        error = link_fd < 0 ? link_fd : link_set_add(links, link_fd);
    }
    if (error) {
        link_set_cut(links, 0);
        diag_set(reterr_diag, -error, "cannot follow the ends of processes: %s", strerror(-error));
    }
    return error;
}

static int make_tables(struct agent *agent, struct diag *reterr_diag)
{
    struct agent_heap *heap = agent->heap;
    uint32_t rows_max = kernel_side_config(agent->kernel)->heap_rows_max;
    int error = 0;
    if (!heap->counters)
        error = heap_counters_new(agent->kernel, &heap->counters);
    if (!error && !heap->live)
        error = heap_table_new(rows_max, hash_seed(), &heap->live);
    if (!error && !heap->folded)
        error = heap_table_new(FOLDED_MAX, hash_seed(), &heap->folded);
    return error ? diag_set(reterr_diag, -error, "out of memory") : 0;
}

static int ready(struct agent *agent, struct diag *reterr_diag)
{
    if (!agent->heap) {
        agent->heap = calloc(1, sizeof(*agent->heap));
        if (!agent->heap)
            return diag_set(reterr_diag, ENOMEM, "out of memory");
    }
    int error = follow_life(agent, reterr_diag);
    return error ? error : make_tables(agent, reterr_diag);
}

static struct heap_target *find_target(struct agent_heap *heap, const char *text)
{
    for (size_t i = 0; i < LORIS_HEAP_TARGETS_MAX; i++)
        if (heap->targets[i].id && strcmp(heap->targets[i].request.target.text, text) == 0)
            return &heap->targets[i];
    return NULL;
}

static bool nop5_becomes_call(void *hazards)
{
    return hazards_present(hazards, HAZARD_NOP5_RED_ZONE);
}

/* Ids of targets fit into what a cookie leaves for them, and are never 0. */
#define GENERATIONS (1u << (32 - LORIS_HEAP_TARGET_SHIFT - LORIS_HEAP_SLOT_BITS))

static uint32_t next_target_id(struct agent_heap *heap, uint32_t slot)
{
    heap->generation = heap->generation % (GENERATIONS - 1) + 1;
    return heap->generation << LORIS_HEAP_SLOT_BITS | slot;
}

static int new_watch(struct agent *agent, const struct heap_target *target,
                     struct attach_report *report, struct heap_watch **ret_watch,
                     struct diag *reterr_diag)
{
    struct hazards *hazards = &agent->heap->hazards;
    const struct attach_request *request = &target->request;
    const struct heap_watch_request wanted = {
        .target = &request->target,
        .attach = request->attach,
        .heap_target = target->id,
        .filter = request->filter,
        .force = request->force,
        .spare_return = hazards_present(hazards, HAZARD_FILTERED_TRAMPOLINE),
        .placement = {.nop5_becomes_call = nop5_becomes_call, .context = hazards},
    };
    return heap_watch_new(agent->kernel, probe_set_trials(agent->probes), &wanted, report,
                          ret_watch, reterr_diag);
}

static int attach_slot(struct agent *agent, uint32_t slot, const struct attach_request *request,
                       struct attach_report *report, struct diag *reterr_diag)
{
    struct agent_heap *heap = agent->heap;
    struct heap_target *target = &heap->targets[slot];
    struct heap_target made = {.id = next_target_id(heap, slot), .request = *request};
    int error = heap_counters_clear_ledger(heap->counters, slot);
    if (!error)
        error = heap_counters_set_target(heap->counters, slot, made.id);
    if (error)
        return diag_set(reterr_diag, -error, "cannot tell the kernel: %s", strerror(-error));
    error = new_watch(agent, &made, report, &made.watch, reterr_diag);
    if (error)
        (void)!heap_counters_set_target(heap->counters, slot, 0);
    else
        *target = made;
    return error;
}

/* Reading a large file takes long, so that is not done every second. */
static void wait_for_file(struct heap_target *target, const struct diag *diag, uint64_t now_ns)
{
    if (!target->wait_ns)
        log_line(LOG_WARNING, "%s: its file has changed and cannot be watched: %s",
                 target->request.target.text, diag->what);
    target->wait_ns = target->wait_ns ? 2 * target->wait_ns : SECOND_NS;
    if (target->wait_ns > FILE_WAIT_MAX_NS)
        target->wait_ns = FILE_WAIT_MAX_NS;
    target->look_ns = now_ns + target->wait_ns;
}

/*
 * A file that was written to in place has its instructions elsewhere: its probes go at once. One
 * that was replaced is still what older processes run on.
 */
static void follow_file(struct agent *agent, struct heap_target *target, uint64_t now_ns)
{
    struct diag diag = {0};
    struct heap_watch *fresh = NULL;
    _cleanup_(attach_report_done) struct attach_report report = {0};
    if (target->older && heap_watch_state(target->older) == HEAP_WATCH_REWRITTEN)
        heap_watch_free(take_ptr(target->older));
    enum heap_watch_state state =
        target->watch ? heap_watch_state(target->watch) : HEAP_WATCH_REWRITTEN;
    if (state == HEAP_WATCH_CURRENT)
        return;
    if (state == HEAP_WATCH_REWRITTEN)
        heap_watch_free(take_ptr(target->watch));
    if (target->wait_ns && now_ns < target->look_ns)
        return;
    if (new_watch(agent, target, &report, &fresh, &diag)) {
        wait_for_file(target, &diag, now_ns);
        return;
    }
    target->wait_ns = 0;
    if (target->watch) {
        heap_watch_free(target->older);
        target->older = target->watch;
    }
    target->watch = fresh;
    log_line(LOG_INFO, "%s: its file has changed; %u functions are watched",
             target->request.target.text, report.attached);
}

static void stop_when_idle(struct agent *agent)
{
    if (agent->heap && heap_is_idle(agent))
        link_set_cut(&agent->heap->life, 0);
}

int heap_attach(struct agent *agent, const struct attach_request *request,
                struct attach_report *report, struct diag *reterr_diag)
{
    uint32_t slot = 0;
    if (request->has_error_rule) {
        diag_set(reterr_diag, EINVAL, "%s knows by itself what has failed", request->target.text);
        diag_hint(reterr_diag, "leave errors: away");
        return -EINVAL;
    }
    int error = ready(agent, reterr_diag);
    while (!error && slot < LORIS_HEAP_TARGETS_MAX && agent->heap->targets[slot].id)
        slot++;
    if (!error && slot == LORIS_HEAP_TARGETS_MAX)
        error = diag_set(reterr_diag, ENOSPC, "no more than %d allocators can be watched",
                         LORIS_HEAP_TARGETS_MAX);
    if (!error)
        error = attach_slot(agent, slot, request, report, reterr_diag);
    if (error)
        stop_when_idle(agent);
    return error;
}

/* --- what goes ------------------------------------------------------------------------------- */

/* A pass over the kernel's rows. */
struct pass {
    struct agent *agent;
    uint64_t now_ns;
    uint64_t last_id;  /* spaces above it came since */
    bool is_unsettled; /* a space up to it may not be in its row yet */
    uint64_t *spaces;  /* that live, ascending once sorted */
    size_t spaces_count, spaces_max;
    struct ended {
        struct loris_heap_key key;
        struct loris_heap_row row;
        struct heap_key folded; /* where it goes; target 0: nowhere */
    } * ended;
    size_t ended_count, ended_max;
};

/* Rows that end in one pass; the others wait for the next. */
#define ENDED_MAX 1024

static void pass_done(struct pass *pass)
{
    free(pass->spaces);
    free(pass->ended);
}

static int pass_init(struct pass *pass, struct agent *agent, uint64_t now_ns)
{
    size_t rows_max = kernel_side_config(agent->kernel)->heap_rows_max;
    *pass = (struct pass){.agent = agent, .now_ns = now_ns};
    pass->spaces_max = 2 * rows_max;
    pass->ended_max = rows_max < ENDED_MAX ? rows_max : ENDED_MAX;
    pass->spaces = calloc(pass->spaces_max, sizeof(*pass->spaces));
    pass->ended = calloc(pass->ended_max, sizeof(*pass->ended));
    return pass->spaces && pass->ended ? 0 : -ENOMEM;
}

static struct heap_key live_key(const struct loris_heap_key *key)
{
    return (struct heap_key){key->target, HEAP_PROCESS, (uint64_t)key->pid << 32 | key->start_tick};
}

static void observe_live(struct pass *pass, const struct loris_heap_key *key,
                         const struct loris_heap_row *row)
{
    const struct config *config = pass->agent->config;
    struct heap_group *group = heap_table_get(pass->agent->heap->live, live_key(key));
    if (pass->spaces_count < pass->spaces_max)
        pass->spaces[pass->spaces_count++] = row->space;
    if (!group || group->key.level != HEAP_PROCESS)
        return;
    if (group->counts.space && group->counts.space != row->space)
        pass->agent->heap->sweep_due = true;
    group->counts = *row;
    heap_growth_observe(&group->growth, row->live_bytes, pass->now_ns,
                        config->window_slices * config->window_slice_ns);
}

static void on_row(const struct loris_heap_key *key, const struct loris_heap_row *row,
                   void *context)
{
    struct pass *pass = context;
    if (!row->id || !row->space) {
        pass->is_unsettled = true;
        return;
    }
    bool is_current = heap_target_find(pass->agent->heap, key->target) != NULL;
    if (is_current && !row->exited) {
        observe_live(pass, key, row);
        return;
    }
    if (pass->ended_count == pass->ended_max)
        return;
    struct ended *ended = &pass->ended[pass->ended_count++];
    *ended = (struct ended){.key = *key, .row = *row};
    if (is_current)
        ended->folded = (struct heap_key){key->target, HEAP_UNIT,
                                          heap_unit_of(pass->agent, key->pid, key->start_tick)};
}

static int by_row_id(const void *left, const void *right)
{
    uint64_t a = ((const struct ended *)left)->row.id;
    uint64_t b = ((const struct ended *)right)->row.id;
    return a < b ? -1 : a > b;
}

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Sizes of rows that end go with them; into the sketch of where they go. */
static bool on_size(const struct loris_heap_size *size, uint64_t count, void *context)
{
    struct pass *pass = context;
    const struct ended wanted = {.row.id = size->row};
    const struct ended *ended =
        bsearch(&wanted, pass->ended, pass->ended_count, sizeof(wanted), by_row_id);
    if (!ended)
        return false;
    struct heap_group *into =
        ended->folded.target ? heap_table_get(pass->agent->heap->folded, ended->folded) : NULL;
    if (into && sketch_record(&into->sizes, size->bucket, count))
        into->counts.unsketched += count;
    return true;
}

/* What is left of them is counted on in their unit. */
static int fold_ended(struct pass *pass)
{
    struct agent_heap *heap = pass->agent->heap;
    if (!pass->ended_count)
        return 0;
    heap->sweep_due = true;
    qsort(pass->ended, pass->ended_count, sizeof(*pass->ended), by_row_id);
    for (size_t i = 0; i < pass->ended_count; i++) {
        const struct ended *ended = &pass->ended[i];
        struct heap_group *into =
            ended->folded.target ? heap_table_get(heap->folded, ended->folded) : NULL;
        int error = heap_counters_remove_row(heap->counters, &ended->key);
        if (error)
            return error;
        if (into)
            heap_counts_add(&into->counts, &ended->row, false);
        heap_table_remove(heap->live, live_key(&ended->key));
    }
    return heap_counters_sizes(heap->counters, on_size, pass);
}

static bool space_lives(uint64_t space, void *context)
{
    const struct pass *pass = context;
    return space > pass->last_id ||
           bsearch(&space, pass->spaces, pass->spaces_count, sizeof(space), by_number);
}

/* Blocks of an address space that is gone only take room. */
static int sweep(struct pass *pass)
{
    struct agent_heap *heap = pass->agent->heap;
    bool at_end = false;
    if (pass->is_unsettled || (!heap->is_sweeping && !heap->sweep_due))
        return 0;
    if (!heap->is_sweeping)
        heap->sweep_due = false;
    qsort(pass->spaces, pass->spaces_count, sizeof(*pass->spaces), by_number);
    int error = heap_counters_sweep(heap->counters, space_lives, pass, &at_end);
    heap->is_sweeping = !at_end && !error;
    return error;
}

static int read_rows(struct pass *pass)
{
    struct agent_heap *heap = pass->agent->heap;
    int error = heap_counters_last_id(heap->counters, &pass->last_id);
    if (!error)
        error = heap_counters_rows(heap->counters, on_row, pass);
    if (!error)
        error = fold_ended(pass);
    return error ? error : sweep(pass);
}

/* A block whose allocation was left out would look like an older one when it is freed, so these
 * are never thinned: who wants the budget kept has to know. */
static void tell_dear(struct agent *agent, struct heap_target *target)
{
    double budget = agent->config->overhead_budget_ratio;
    if (target->is_dear_told || target->cost_ratio <= budget)
        return;
    target->is_dear_told = true;
    log_line(LOG_WARNING,
             "%s takes %.2f %% of a CPU at %.0f calls/s, more than overhead_budget; allocations "
             "are not thinned: filter it by process, or detach it",
             target->request.target.text, 100 * target->cost_ratio, target->rate_per_s);
}

static void observe_cost(struct agent *agent, uint32_t slot, double seconds)
{
    struct heap_target *target = &agent->heap->targets[slot];
    struct loris_heap_ledger ledger;
    if (heap_counters_ledger(agent->heap->counters, slot, &ledger))
        return;
    enum attach_kind kind = target->watch ? heap_watch_kind(target->watch) : ATTACH_UPROBE_MULTI;
    const struct calibration_cost cost = calibrate_kind_cost(agent->calibrator, kind);
    uint64_t pairs = ledger.entered + ledger.filtered;
    uint64_t calls = pairs + ledger.released + ledger.nested;
    uint64_t grown = calls > target->calls ? calls - target->calls : 0;
    double share = calls ? (double)pairs / (double)calls : 0;
    double call_ns = share * (cost.cost_ns + ALLOCATION_TABLES_NS) +
                     (1 - share) * (cost.skipped_ns + RELEASE_TABLES_NS);
    target->calls = calls;
    target->rate_per_s = seconds > 0 ? (double)grown / seconds : 0;
    target->cost_ratio = target->rate_per_s * call_ns / (double)SECOND_NS;
    tell_dear(agent, target);
}

void heap_upkeep(struct agent *agent, uint64_t now_ns)
{
    struct agent_heap *heap = agent->heap;
    if (!heap || !heap->counters || !heap->live || !heap->folded)
        return;
    double seconds = (double)(now_ns - heap->upkeep_ns) / (double)SECOND_NS;
    _cleanup_(pass_done) struct pass pass = {0};
    int error = pass_init(&pass, agent, now_ns);
    if (!error)
        error = read_rows(&pass);
    if (error)
        log_line(LOG_WARNING, "what processes allocated cannot be read: %s", strerror(-error));
    if (seconds < RATE_LEAST_S) /* somebody asked in between */
        return;
    for (uint32_t slot = 0; slot < LORIS_HEAP_TARGETS_MAX; slot++) {
        if (!heap->targets[slot].id)
            continue;
        observe_cost(agent, slot, seconds);
        follow_file(agent, &heap->targets[slot], now_ns);
    }
    heap->upkeep_ns = now_ns;
}

bool heap_detach(struct agent *agent, const char *text)
{
    struct agent_heap *heap = agent->heap;
    struct heap_target *target = heap ? find_target(heap, text) : NULL;
    if (!target)
        return false;
    uint32_t id = target->id;
    heap_watch_free(target->watch);
    heap_watch_free(target->older);
    *target = (struct heap_target){0};
    (void)!heap_counters_set_target(heap->counters, slot_of(id), 0);
    heap_table_remove_target(heap->live, id);
    heap_table_remove_target(heap->folded, id);
    heap_upkeep(agent, agent_now_ns()); /* its rows are nobody's now */
    stop_when_idle(agent);
    return true;
}

void heap_done(struct agent *agent)
{
    struct agent_heap *heap = take_ptr(agent->heap);
    if (!heap)
        return;
    for (size_t i = 0; i < LORIS_HEAP_TARGETS_MAX; i++) {
        heap_watch_free(heap->targets[i].watch);
        heap_watch_free(heap->targets[i].older);
    }
    link_set_done(&heap->life);
    heap_table_free(heap->live);
    heap_table_free(heap->folded);
    heap_counters_free(heap->counters);
    free(heap);
}
