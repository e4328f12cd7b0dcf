/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/span_names.h"

#include <string.h>

#include "base/glob.h"
#include "probe/nearest_names.h"

static const struct span_name spans[] = {
    {"block-io", "a block request, from issue to the device until its completion"},
    {"run-queue", "a runnable thread waiting for a CPU, from wake-up or preemption until it runs"},
    {"softirq", "a soft interrupt handler, from entry to exit"},
    {"irq", "a hardware interrupt handler, from entry to exit"},
};

#define SPAN_COUNT (sizeof(spans) / sizeof(spans[0]))

size_t span_names_match(const char *pattern, span_name_fn on_span, void *context)
{
    size_t matches = 0;
    for (size_t i = 0; i < SPAN_COUNT; i++) {
        if (!glob_matches(pattern, spans[i].name))
            continue;
        matches++;
        if (on_span)
            on_span(&spans[i], context);
    }
    return matches;
}

void span_names_suggest(const char *name, struct diag *diag)
{
    struct nearest_names nearest;
    nearest_names_init(&nearest, name);
    for (size_t i = 0; i < SPAN_COUNT; i++)
        nearest_names_offer(&nearest, spans[i].name);
    if (!nearest_names_hint(&nearest, diag))
        diag_hint(diag, "spans are block-io, run-queue, softirq and irq");
}
