/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One YAML file from the disk, which may be anything: a device, a folder, a gigabyte. */
#pragma once

#include "agent/config_yaml.h"

/* As config_yaml_parse(), and what the system says of the file: -ENOENT, -EACCES, ... Reads no more
 * than CONFIG_YAML_BYTES_MAX and never blocks. */
int config_file_parse(const char *path, struct config_yaml **ret_yaml,
                      struct diag *reterr_diag) _must_check_;
