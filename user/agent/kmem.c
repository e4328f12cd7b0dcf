/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/kmem.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/log.h"
#include "probe/bpf_link.h"

/* A tracepoint (80 ns of a system call that has one), a look-up and two counters. */
#define CALL_NS 110

static const char *const kind_names[KMEM_KINDS] = {"slab", "pages"};

/* Allocations first, and closed last: what is freed in between was counted. */
static const struct {
    enum kmem_kind kind;
    enum kernel_program program;
    const char *raw_name; /* NULL: a BTF tracepoint */
} members[] = {
    {KMEM_SLAB, KERNEL_CACHE_ALLOC, "kmem_cache_alloc"},
    {KMEM_SLAB, KERNEL_KMALLOC, "kmalloc"},
    {KMEM_SLAB, KERNEL_CACHE_FREE, "kmem_cache_free"},
    {KMEM_SLAB, KERNEL_KFREE, "kfree"},
    {KMEM_PAGES, KERNEL_PAGE_ALLOC, NULL},
    {KMEM_PAGES, KERNEL_PAGE_FREE, NULL},
};

bool kmem_is_attached(const struct agent *agent, enum kmem_kind kind)
{
    return agent->kmem && agent->kmem->links[kind].count > 0;
}

bool kmem_is_idle(const struct agent *agent)
{
    return !kmem_is_attached(agent, KMEM_SLAB) && !kmem_is_attached(agent, KMEM_PAGES);
}

static enum kmem_kind kind_of(const char *name)
{
    return strcmp(name, kind_names[KMEM_PAGES]) == 0 ? KMEM_PAGES : KMEM_SLAB;
}

static int load(struct agent *agent, enum kmem_kind kind, struct diag *reterr_diag)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (members[i].kind != kind)
            continue;
        int program_fd = kernel_side_program(agent->kernel, members[i].program, reterr_diag);
        if (program_fd < 0)
            return program_fd;
    }
    return 0;
}

static int link_all(struct agent *agent, enum kmem_kind kind, struct diag *reterr_diag)
{
    struct link_set *links = &agent->kmem->links[kind];
    int error = kind == KMEM_SLAB ? kmem_counters_clear_slabs(agent->kernel)
                                  : kmem_counters_clear_orders(agent->kernel);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && !error; i++) {
        if (members[i].kind != kind)
            continue;
        int link_fd = bpf_link_raw_tracepoint(
            kernel_side_program(agent->kernel, members[i].program, NULL), members[i].raw_name);
        error = link_fd < 0 ? link_fd : link_set_add(links, link_fd);
    }
    if (!error)
        return 0;
    link_set_cut(links, 0);
    return diag_set(reterr_diag, -error, "cannot attach to the kernel's allocators: %s",
                    strerror(-error));
}

int kmem_attach(struct agent *agent, const struct attach_request *request,
                struct attach_report *report, struct diag *reterr_diag)
{
    enum kmem_kind kind = kind_of(request->target.name);
    if (request->filter) {
        diag_set(reterr_diag, EINVAL, "%s belongs to no process: it takes no filter",
                 request->target.text);
        return -EINVAL;
    }
    if (!agent->kmem)
        agent->kmem = calloc(1, sizeof(*agent->kmem));
    if (!agent->kmem)
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    if (kmem_is_attached(agent, kind))
        return diag_set(reterr_diag, EEXIST, "%s is watched already", request->target.text);
    int error = load(agent, kind, reterr_diag);
    if (!error)
        error = link_all(agent, kind, reterr_diag);
    if (error)
        return error;
    agent->kmem->calls[kind] = 0;
    report->attached++;
    return 0;
}

bool kmem_detach(struct agent *agent, const char *text)
{
    for (enum kmem_kind kind = KMEM_SLAB; kind < KMEM_KINDS; kind++) {
        char own[16];
        snprintf(own, sizeof(own), "kmem:%s", kind_names[kind]);
        if (strcmp(own, text) != 0 || !kmem_is_attached(agent, kind))
            continue;
        link_set_cut(&agent->kmem->links[kind], 0);
        agent->kmem->rate_per_s[kind] = 0;
        return true;
    }
    return false;
}

static void add_calls(uint64_t key, const struct loris_kmem_counts *counts,
                      const struct loris_kmem_cache *cache, void *context)
{
    uint64_t *sum = context;
    (void)key;
    (void)cache;
    *sum += counts->calls + counts->frees;
}

static uint64_t calls_of_pages(const struct agent *agent)
{
    uint64_t sum = 0;
    struct loris_kmem_counts counts;
    for (uint32_t order = 0; order < LORIS_KMEM_ORDERS; order++)
        if (!kmem_counters_order(agent->kernel, order, &counts))
            sum += counts.calls + counts.frees;
    return sum;
}

void kmem_upkeep(struct agent *agent, uint64_t now_ns)
{
    struct agent_kmem *kmem = agent->kmem;
    for (enum kmem_kind kind = KMEM_SLAB; kmem && kind < KMEM_KINDS; kind++) {
        double seconds = (double)(now_ns - kmem->upkeep_ns) / 1e9;
        uint64_t calls = 0;
        if (!kmem_is_attached(agent, kind))
            continue;
        if (kind == KMEM_PAGES)
            calls = calls_of_pages(agent);
        else if (kmem_counters_slabs(agent->kernel, add_calls, &calls))
            continue;
        uint64_t grown = calls > kmem->calls[kind] ? calls - kmem->calls[kind] : 0;
        kmem->calls[kind] = calls;
        kmem->rate_per_s[kind] = seconds > 0 ? (double)grown / seconds : 0;
    }
    if (kmem)
        kmem->upkeep_ns = now_ns;
}

double kmem_cost(const struct agent *agent)
{
    double rate_per_s = 0;
    for (enum kmem_kind kind = KMEM_SLAB; agent->kmem && kind < KMEM_KINDS; kind++)
        rate_per_s += agent->kmem->rate_per_s[kind];
    return rate_per_s * CALL_NS / 1e9;
}

void kmem_done(struct agent *agent)
{
    struct agent_kmem *kmem = take_ptr(agent->kmem);
    for (enum kmem_kind kind = KMEM_SLAB; kmem && kind < KMEM_KINDS; kind++)
        link_set_done(&kmem->links[kind]);
    free(kmem);
}
