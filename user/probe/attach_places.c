/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_places.h"

#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"

/* Probes of which a place was refused: none of their other places is any good. */
struct refusals {
    uint32_t *probes;
    size_t count;
    size_t capacity;
};

/* One program at one edge of a set of places. */
struct edge {
    const struct attach_job *job;
    struct refusals *refusals;
    enum attach_kind kind;
    enum bpf_link_edge side;
    int program_fd;
    const char *path; /* NULL: kernel functions */
};

static int link_range_user(const struct edge *edge, const struct attach_place *places, size_t count)
{
    if (edge->kind == ATTACH_UPROBE)
        return bpf_link_perf_uprobe(edge->program_fd, edge->path, places[0].offset,
                                    places[0].semaphore, places[0].probe,
                                    edge->side == BPF_LINK_EDGE_RETURN);
    _cleanup_free_ uint64_t *offsets = calloc(3 * count, sizeof(*offsets));
    if (!offsets)
        return -ENOMEM;
    uint64_t *cookies = offsets + count;
    uint64_t *semaphores = cookies + count;
    for (size_t i = 0; i < count; i++) {
        offsets[i] = places[i].offset;
        cookies[i] = places[i].probe;
        semaphores[i] = places[i].semaphore;
    }
    struct bpf_link_uprobes all = {
        .path = edge->path,
        .offsets = offsets,
        .cookies = cookies,
        .semaphores = semaphores,
        .count = (uint32_t)count,
    };
    return bpf_link_uprobe_multi(edge->program_fd, &all, edge->side);
}

static int link_range_kernel(const struct edge *edge, const struct attach_place *places,
                             size_t count)
{
    if (edge->kind == ATTACH_KPROBE)
        return bpf_link_perf_kprobe(edge->program_fd, places[0].name, places[0].probe,
                                    edge->side == BPF_LINK_EDGE_RETURN);
    _cleanup_free_ const char **names = calloc(count, sizeof(*names));
    _cleanup_free_ uint64_t *cookies = calloc(count, sizeof(*cookies));
    if (!names || !cookies)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        names[i] = places[i].name;
        cookies[i] = places[i].probe;
    }
    return bpf_link_kprobe_multi(edge->program_fd, names, cookies, (uint32_t)count, edge->side);
}

static int link_range(const struct edge *edge, const struct attach_place *places, size_t count)
{
    int fd =
        edge->path ? link_range_user(edge, places, count) : link_range_kernel(edge, places, count);
    return fd < 0 ? fd : link_set_add(edge->job->links, fd);
}

static void refusals_done(struct refusals *refusals)
{
    free(refusals->probes);
}

static bool refusals_have(const struct refusals *refusals, uint32_t probe)
{
    for (size_t i = 0; i < refusals->count; i++)
        if (refusals->probes[i] == probe)
            return true;
    return false;
}

static int refuse(const struct edge *edge, const struct attach_place *place, int error)
{
    struct refusals *refusals = edge->refusals;
    edge->job->on_refused(place, error, edge->job->context);
    if (refusals->count == refusals->capacity) {
        size_t capacity = refusals->capacity ? 2 * refusals->capacity : 16;
        uint32_t *probes = reallocarray(refusals->probes, capacity, sizeof(*probes));
        if (!probes)
            return -ENOMEM;
        refusals->probes = probes;
        refusals->capacity = capacity;
    }
    refusals->probes[refusals->count++] = place->probe;
    return 0;
}

#define RANGES_MAX 64 /* halving never holds more than one open range per bit of the count */

/* After a refusal: whether the kernel takes no link of the kind, whatever the places. */
static bool kind_is_refused(const struct edge *edge)
{
    return attach_kind_try(edge->job->trials, edge->job->side, edge->kind, NULL) != 0;
}

/* Links all places; a refused range is halved until the guilty places stand alone. */
static int link_all(const struct edge *edge, const struct attach_place *places, size_t count)
{
    struct {
        size_t from, count;
    } open[RANGES_MAX] = {{0, count}};
    size_t open_count = count ? 1 : 0;
    while (open_count > 0) {
        size_t from = open[open_count - 1].from;
        size_t length = open[open_count - 1].count;
        open_count--;
        bool splits = attach_kind_is_single(edge->kind) && length > 1;
        int error = splits ? -E2BIG : link_range(edge, places + from, length);
        if (!error) {
            attach_kind_took(edge->job->trials, edge->kind);
            continue;
        }
        if (error == -ENOMEM || error == -EMFILE)
            return error;
        if (!splits && kind_is_refused(edge))
            return -EOPNOTSUPP;
        if (error == -EPERM)
            return error;
        if (length == 1) {
            error = refuse(edge, &places[from], error);
            if (error)
                return error;
            continue;
        }
        size_t half = length / 2;
        open[open_count].from = from + half;
        open[open_count++].count = length - half;
        open[open_count].from = from;
        open[open_count++].count = half;
    }
    return 0;
}

struct edge_plan {
    enum kernel_program program;
    enum bpf_link_edge side;
    const struct attach_place *places;
    size_t count;
};

/* Links the places of a plan, less those whose probe was refused at the edge before. */
static int link_plan(const struct edge *edge, const struct edge_plan *plan, bool same_places)
{
    if (edge->refusals->count == 0)
        return link_all(edge, plan->places, plan->count);
    _cleanup_free_ struct attach_place *good = calloc(plan->count, sizeof(*good));
    if (!good)
        return -ENOMEM;
    size_t good_count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (!refusals_have(edge->refusals, plan->places[i].probe))
            good[good_count++] = plan->places[i];
        else if (!same_places)
            edge->job->on_refused(&plan->places[i], -EOPNOTSUPP, edge->job->context);
    }
    return link_all(edge, good, good_count);
}

/*
 * The later edge goes first: a return without its entry is recognised and left out, an entry
 * without its return would look like a call that never ends. Links are closed in the opposite
 * order, for the same reason.
 */
static int link_edges(const struct attach_job *job, enum attach_kind kind, const char *path,
                      const struct edge_plan *plans, size_t plan_count, struct diag *reterr_diag)
{
    size_t links_before = job->links->count;
    _cleanup_(refusals_done) struct refusals refusals = {0};
    /* Before the programs are loaded, which takes longer: where no link is made, none is needed. */
    if (attach_kind_refused(job->trials, kind))
        return attach_kind_try(job->trials, job->side, kind, reterr_diag);
    for (size_t i = 0; i < plan_count; i++) {
        struct edge edge = {job, &refusals, kind, plans[i].side, -1, path};
        edge.program_fd = kernel_side_program(job->side, plans[i].program, reterr_diag);
        int error = edge.program_fd < 0
                        ? edge.program_fd
                        : link_plan(&edge, &plans[i], plans[i].places == plans[0].places);
        if (error) {
            link_set_cut(job->links, links_before);
            if (edge.program_fd == -EOPNOTSUPP)
                return -EOPNOTSUPP; /* and said why */
            if (attach_kind_refused(job->trials, kind))
                return attach_kind_try(job->trials, job->side, kind, reterr_diag);
            return diag_set(reterr_diag, -error, "cannot attach through %s: %s",
                            attach_kind_name(kind), strerror(-error));
        }
    }
    return 0;
}

int attach_user_functions(const struct attach_job *job, enum attach_kind kind, const char *path,
                          const struct attach_place *places, size_t count, struct diag *reterr_diag)
{
    if (kind == ATTACH_UPROBE_SESSION) {
        const struct edge_plan session = {KERNEL_USER_SESSION, BPF_LINK_EDGE_SESSION, places,
                                          count};
        return link_edges(job, kind, path, &session, 1, reterr_diag);
    }
    bool multi = kind == ATTACH_UPROBE_MULTI;
    const struct edge_plan pair[] = {
        {multi ? KERNEL_UMULTI_RETURN : KERNEL_USER_RETURN, BPF_LINK_EDGE_RETURN, places, count},
        {multi ? KERNEL_UMULTI_ENTRY : KERNEL_USER_ENTRY, BPF_LINK_EDGE_ENTRY, places, count},
    };
    return link_edges(job, kind, path, pair, 2, reterr_diag);
}

/* Entry-edge probes at both ends: through one multi link each, or one by one. */
static int attach_two_entries(const struct attach_job *job, const char *path,
                              const struct edge_plan multi[2], const struct edge_plan single[2],
                              struct diag *reterr_diag)
{
    int error = link_edges(job, ATTACH_UPROBE_MULTI, path, multi, 2, reterr_diag);
    if (error != -EOPNOTSUPP)
        return error;
    return link_edges(job, ATTACH_UPROBE, path, single, 2, reterr_diag);
}

int attach_user_exits(const struct attach_job *job, const char *path,
                      const struct attach_place *entries, size_t entry_count,
                      const struct attach_place *exits, size_t exit_count, struct diag *reterr_diag)
{
    const struct edge_plan multi[] = {
        {KERNEL_UMULTI_EXIT, BPF_LINK_EDGE_ENTRY, exits, exit_count},
        {KERNEL_UMULTI_ENTRY, BPF_LINK_EDGE_ENTRY, entries, entry_count},
    };
    const struct edge_plan single[] = {
        {KERNEL_USER_EXIT, BPF_LINK_EDGE_ENTRY, exits, exit_count},
        {KERNEL_USER_ENTRY, BPF_LINK_EDGE_ENTRY, entries, entry_count},
    };
    return attach_two_entries(job, path, multi, single, reterr_diag);
}

int attach_user_marks(const struct attach_job *job, const char *path,
                      const struct attach_place *begins, size_t begin_count,
                      const struct attach_place *ends, size_t end_count, struct diag *reterr_diag)
{
    const struct edge_plan multi[] = {
        {KERNEL_MMARK_END, BPF_LINK_EDGE_ENTRY, ends, end_count},
        {KERNEL_MMARK_BEGIN, BPF_LINK_EDGE_ENTRY, begins, begin_count},
    };
    const struct edge_plan single[] = {
        {KERNEL_MARK_END, BPF_LINK_EDGE_ENTRY, ends, end_count},
        {KERNEL_MARK_BEGIN, BPF_LINK_EDGE_ENTRY, begins, begin_count},
    };
    return attach_two_entries(job, path, multi, single, reterr_diag);
}

int attach_heap_functions(const struct attach_job *job, enum attach_kind kind, const char *path,
                          const struct heap_places *places, struct diag *reterr_diag)
{
    bool multi = kind == ATTACH_UPROBE_MULTI;
    const struct edge_plan plans[] = {
        {multi ? KERNEL_MHEAP_EXIT : KERNEL_HEAP_EXIT, BPF_LINK_EDGE_ENTRY, places->exits,
         places->exit_count},
        {multi ? KERNEL_MHEAP_RETURN : KERNEL_HEAP_RETURN, BPF_LINK_EDGE_RETURN, places->returns,
         places->return_count},
        {multi ? KERNEL_MHEAP_ENTRY : KERNEL_HEAP_ENTRY, BPF_LINK_EDGE_ENTRY, places->entries,
         places->entry_count},
    };
    size_t first = places->exit_count ? 0 : places->return_count ? 1 : 2;
    return link_edges(job, kind, path, plans + first, 3 - first, reterr_diag);
}

static int attach_fentry(const struct attach_job *job, const struct attach_place *place)
{
    _cleanup_close_ int entry_fd = -1;
    _cleanup_close_ int exit_fd = -1;
    int error = kernel_side_load_fentry(job->side, place->name, &entry_fd, &exit_fd, NULL);
    if (error)
        return error;
    _cleanup_close_ int exit_link_fd = bpf_link_tracing(exit_fd, place->probe, true);
    if (exit_link_fd < 0)
        return exit_link_fd;
    _cleanup_close_ int entry_link_fd = bpf_link_tracing(entry_fd, place->probe, false);
    if (entry_link_fd < 0)
        return entry_link_fd;
    /* The programs, too: their missed runs are asked for, and finding them by their links takes
     * CAP_SYS_ADMIN. */
    error = link_set_add(job->links, take_fd(&exit_fd));
    if (!error)
        error = link_set_add(job->links, take_fd(&entry_fd));
    if (!error)
        error = link_set_add(job->links, take_fd(&exit_link_fd));
    return error ? error : link_set_add(job->links, take_fd(&entry_link_fd));
}

int attach_kernel_functions(const struct attach_job *job, enum attach_kind kind,
                            const struct attach_place *places, size_t count,
                            struct diag *reterr_diag)
{
    if (kind == ATTACH_FENTRY) {
        if (attach_kind_try(job->trials, job->side, kind, reterr_diag))
            return -EOPNOTSUPP;
        for (size_t i = 0; i < count; i++) {
            int error = attach_fentry(job, &places[i]);
            if (error)
                job->on_refused(&places[i], error, job->context);
        }
        return 0;
    }
    if (kind == ATTACH_KPROBE_SESSION) {
        const struct edge_plan session = {KERNEL_KERN_SESSION, BPF_LINK_EDGE_SESSION, places,
                                          count};
        return link_edges(job, kind, NULL, &session, 1, reterr_diag);
    }
    bool multi = kind == ATTACH_KPROBE_MULTI;
    const struct edge_plan pair[] = {
        {multi ? KERNEL_KMULTI_RETURN : KERNEL_KPROBE_RETURN, BPF_LINK_EDGE_RETURN, places, count},
        {multi ? KERNEL_KMULTI_ENTRY : KERNEL_KPROBE_ENTRY, BPF_LINK_EDGE_ENTRY, places, count},
    };
    return link_edges(job, kind, NULL, pair, 2, reterr_diag);
}
