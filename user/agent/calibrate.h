/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When probes are calibrated, and what becomes of it: the bias in the knobs of each probe. */
#pragma once

#include <stdint.h>

#include "probe/calibration.h"
#include "probe/probe_set.h"

struct calibrator;

/*
 * A kind and place is measured when its first probe has been attached, before that probe counts: no
 * call carries an uncorrected bias. It is measured again when probes come or go, every second while
 * it moves, and ever more rarely, down to once a minute, while it does not; all that in at most
 * half a thousandth of the time.
 */
int calibrate_new(struct kernel_side *side, struct probe_set *probes,
                  struct calibrator **ret_calibrator) _must_check_;
void calibrate_free(struct calibrator *calibrator);
DEFINE_CLEANUP(struct calibrator *, calibrate_free);

/* A probe is about to be enabled: sets the bias in its knobs. */
void calibrate_enable(struct calibrator *calibrator, const struct probe *probe,
                      struct loris_probe_knobs *knobs);
/* From the once-a-second work; takes about 1 ms for each kind and place in use, when it is due. */
void calibrate_upkeep(struct calibrator *calibrator, uint64_t now_ns);
/* What a call costs through this kind of user probe, on an instruction that is emulated; measured
 * when nobody has. */
struct calibration_cost calibrate_kind_cost(struct calibrator *calibrator, enum attach_kind kind);
/* What a call of this probe costs; by id. */
struct calibration_cost calibrate_cost(const struct calibrator *calibrator,
                                       const struct probe *probe);
