/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file that state is kept in: replaced as a whole or not at all, read with bounds. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/ownership.h"

#define ALERT_FILE_BYTES_MAX (16 * 1024 * 1024)

/* Writes path.new, syncs it and renames it to path (mode 0600): after a crash there is the old file
 * or the new one. -errno */
int alert_file_write(const char *path, const char *bytes, size_t length) _must_check_;

/* One JSON object. -ENOENT: no file; -ELOOP, -EINVAL: not a regular file; -EBADMSG: not an object,
 * or larger than ALERT_FILE_BYTES_MAX; -ENOMEM, or what the system says. */
int alert_file_read(const char *path, json_t **ret_object) _must_check_;
