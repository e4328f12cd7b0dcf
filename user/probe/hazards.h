/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ways in which this kernel's probes harm their targets, found out by trying them on a child. */
#pragma once

#include <stdbool.h>

enum hazard {
    /* The return trampoline is a system call that seccomp filters see: a program whose filter does
     * not know it is killed by a return probe. Fixed in 6.14 (cf6cb56ef244). */
    HAZARD_FILTERED_TRAMPOLINE,
    /* A probe on a five-byte nop becomes a call, whose return address overwrites the red zone of
     * a leaf function. */
    HAZARD_NOP5_RED_ZONE,
    HAZARDS,
};

/* What was tried before; zero at first. */
struct hazards {
    bool tried[HAZARDS];
    bool present[HAZARDS];
};

/* Forks and probes a child the first time, which takes milliseconds. What cannot be tried counts
 * as present where the kernel has the machinery for it, and as absent where it has not. */
bool hazards_present(struct hazards *hazards, enum hazard hazard);
