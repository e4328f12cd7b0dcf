/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Object paths in target specifications, made absolute: the agent's directory is not ours. */
#pragma once

#include "base/diag.h"

/* user:./a.out:f becomes user:/where/we/are/a.out:f; what has no relative path stays as it is.
 * -EINVAL, -ENOMEM, or what the system says of the working directory. */
int target_path_resolve(const char *target, char **ret_target,
                        struct diag *reterr_diag) _must_check_;
