/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the agent to its memory budget, kernel maps included, by sizing the series table. */
#pragma once

#include "agent/agent.h"

/* Resident bytes of this process. */
uint64_t memory_resident_bytes(void);
/* Resident bytes and kernel maps. */
uint64_t memory_used_bytes(const struct agent *agent);
/* Measures, and gives the series table what is left of the budget. */
void memory_steer(struct agent *agent);
