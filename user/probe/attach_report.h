/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of a request to attach, for people. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ownership.h"
#include "base/text.h"

#define ATTACH_MESSAGES_MAX 32

struct attach_report {
    uint32_t attached;    /* probes */
    uint32_t refused;     /* functions that matched but could not be attached */
    struct text messages; /* NUL-separated lines, at most ATTACH_MESSAGES_MAX */
    uint32_t messages_count;
    uint32_t messages_held; /* not written for lack of room */
    bool forcible;          /* a hazard was refused that force would accept */
};

void attach_report_done(struct attach_report *report);
void attach_report_add(struct attach_report *report, const char *format, ...) _printf_(2, 3);
