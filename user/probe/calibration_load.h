/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a calibration probes and calls: the links, and a loop of probed and one of bare calls. */
#pragma once

#include "probe/attach_places.h"
#include "probe/calibration_code.h"

/* User functions share a link of all places, as marks do; perf uprobes, which detach slowly, have
 * a pair for each place. */
struct calibration_attachment {
    int error;
    struct link_set links;
};

struct calibration_load {
    struct kernel_side *side;
    struct attach_trials *trials;
    struct calibration_code code; /* made with the first attachment */
    struct calibration_attachment attachments[ATTACH_KINDS][CALIBRATION_PLACES];
    double untraced_ns; /* of a system call that does not exist, before anything was attached */
};

/* The id after the last that probes get; the kernel side has room for it. */
uint32_t calibration_load_probe(const struct kernel_side *side);

void calibration_load_init(struct calibration_load *load, struct kernel_side *side,
                           struct attach_trials *trials);
void calibration_load_done(struct calibration_load *load);

/* Attaches the calibration's probe; does nothing when it is attached. An error is final. */
int calibration_load_attach(struct calibration_load *load, enum attach_kind kind,
                            enum calibration_place place, struct diag *reterr_diag) _must_check_;
/* Takes away what touches other processes. */
void calibration_load_settle(struct calibration_load *load, enum attach_kind kind);
/* Whether it can be measured again without attaching anew. */
bool calibration_load_stays(enum attach_kind kind);

/* What every call pays, also those of the bare loop, for the kind being attached at all. */
double calibration_load_shared_ns(const struct calibration_load *load, enum attach_kind kind);

enum calibration_loop_side {
    CALIBRATION_LOOP_BARE,
    CALIBRATION_LOOP_PROBED,
};

struct calibration_loop {
    void (*functions[2])(void); /* by side; NULL: system calls */
    long numbers[2];
};

/* turn: chooses among the functions of the place. */
struct calibration_loop calibration_load_loop(const struct calibration_load *load,
                                              enum attach_kind kind, enum calibration_place place,
                                              unsigned turn);
void calibration_loop_run(const struct calibration_loop *loop, enum calibration_loop_side side,
                          unsigned calls);
