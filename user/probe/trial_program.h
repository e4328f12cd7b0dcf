/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that does nothing, to try whether the kernel takes a kind of link. */
#pragma once

#include "base/ownership.h"

/* An owned fd. attach_type: one of KERNEL_ATTACH_*, 0 for none. */
int trial_program_load(int attach_type) _must_check_;
