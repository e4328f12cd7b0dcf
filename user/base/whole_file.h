/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a file to its end, or to what there is room for. */
#pragma once

#include <stddef.h>

#include "base/ownership.h"

/* From where fd stands; *ret_length is capacity when there may be more. -errno of read(2). */
int whole_file_read(int fd, char *bytes, size_t capacity, size_t *ret_length) _must_check_;
