/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both sides of the ring, and whether the equations of loris/ledger.h hold. */
#pragma once

#include "agent/agent.h"
#include "agent/open_call_table.h"

struct probe_ledger {
    struct loris_ledger kernel;
    uint64_t abandoned; /* sessions included */
    uint64_t in_flight;
    uint64_t decoded;
    uint64_t malformed;
    uint64_t unobserved; /* estimated to have been made while the probe was detached */
    uint64_t in_series;
    bool closes;
};

int probe_ledger_read(struct agent *agent, const struct probe *probe,
                      const struct open_call_table *open_calls,
                      struct probe_ledger *ret_ledger) _must_check_;
