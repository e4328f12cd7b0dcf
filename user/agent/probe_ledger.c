/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/probe_ledger.h"

int probe_ledger_read(struct agent *agent, const struct probe *probe,
                      const struct open_call_table *open_calls, struct probe_ledger *ret_ledger)
{
    struct probe_ledger ledger = {.decoded = agent->probe_states[probe->id].decoded,
                                  .malformed = agent->probe_states[probe->id].malformed,
                                  .unobserved = agent->probe_states[probe->id].unobserved};
    int error = kernel_counters_ledger(agent->counters, probe->id, &ledger.kernel);
    if (error)
        return error;
    ledger.in_series = open_calls->in_series[probe->id];
    const struct loris_ledger *kernel = &ledger.kernel;
    uint64_t ended = kernel->returned + kernel->abandoned + probe->cut_off;
    uint64_t open = kernel->entered > ended ? kernel->entered - ended : 0;
    ledger.abandoned = kernel->abandoned + probe->cut_off;
    ledger.in_flight = open;
    /* What a session neither returned nor holds open was jumped over: see loris/ledger.h. */
    if (probe->attach == ATTACH_UPROBE_SESSION && open_calls->sessions_known) {
        uint64_t held = open_calls->per_probe[probe->id];
        ledger.in_flight = held < open ? held : open;
        ledger.abandoned += open - ledger.in_flight;
    }
    ledger.closes = kernel->entered == kernel->returned + ledger.abandoned + ledger.in_flight &&
                    loris_ledger_submitted(kernel) == ledger.decoded + ledger.malformed &&
                    ledger.decoded + kernel->counted + kernel->ring_full + ledger.unobserved ==
                        ledger.in_series;
    *ret_ledger = ledger;
    return 0;
}
