/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the programs that belong to this one: beside it first, then where programs are. */
#pragma once

#include <limits.h>

#include "base/ownership.h"

/* -ENOENT: nowhere. */
int program_path_find(const char *name, char ret_path[PATH_MAX]) _must_check_;
