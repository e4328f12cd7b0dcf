/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the agent to its memory budget, kernel maps included, by sizing the series table. */
#pragma once

#include "agent/agent.h"

/* Resident bytes and kernel maps. */
uint64_t memory_used_bytes(const struct agent *agent);

struct memory_figures {
    uint64_t bytes, peak;
    uint64_t entries;
    uint64_t limit; /* in bytes, of the owner itself; 0: what the others leave of the budget */
};
const char *memory_owner_name(enum memory_owner owner);
/* Their bytes add up to what is returned. Raises the peaks. */
uint64_t memory_by_owner(struct agent *agent, struct memory_figures figures[MEMORY_OWNERS]);
/* Measures, and gives the series table what is left of the budget. */
void memory_steer(struct agent *agent);
