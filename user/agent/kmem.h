/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmem: targets at run time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ingest/kmem_counters.h"
#include "probe/link_set.h"
#include "probe/probe_set.h"

struct agent;

enum kmem_kind {
    KMEM_SLAB,
    KMEM_PAGES,
    KMEM_KINDS,
};

struct agent_kmem {
    struct link_set links[KMEM_KINDS]; /* attached while there are some */
    uint64_t calls[KMEM_KINDS];        /* at the last upkeep */
    double rate_per_s[KMEM_KINDS];
    uint64_t upkeep_ns;
};

int kmem_attach(struct agent *agent, const struct attach_request *request,
                struct attach_report *report, struct diag *reterr_diag) _must_check_;
/* False: there is no such target. */
bool kmem_detach(struct agent *agent, const char *text);
void kmem_done(struct agent *agent);
bool kmem_is_idle(const struct agent *agent);
bool kmem_is_attached(const struct agent *agent, enum kmem_kind kind);
/* Once a second. */
void kmem_upkeep(struct agent *agent, uint64_t now_ns);
double kmem_cost(const struct agent *agent); /* share of one CPU */
