/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Presets: named files with the targets and alert rules that people want together. */
#pragma once

#include "agent/config.h"
#include "agent/config_value.h"

#define CONFIG_PRESET_PREFIX            "preset:"
#define CONFIG_PRESET_DESCRIPTION_BYTES 200

/* Reads the `presets:` list at `into`, a struct config; reader->context: the origin. The presets
 * themselves are read when all files are: config_preset_apply(). */
int config_preset_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                            void *into) _must_check_;

/* Adds the targets and alert rules of the presets that the files ask for. What is there already,
 * from a file or an earlier preset, stays as it is. -EINVAL names the place in the preset, and who
 * asked for it. */
int config_preset_apply(struct config *config, struct diag *reterr_diag) _must_check_;

/* One preset by itself; content has no other targets and rules. */
struct config_preset {
    char description[CONFIG_PRESET_DESCRIPTION_BYTES]; /* or empty */
    struct config *content;
};

/* asker: presets/ beside its loris.yaml is looked at first, then /etc/loris/presets, then what was
 * installed with this program. -ENOENT with the nearest names, -EINVAL, -ENOMEM, ... */
int config_preset_load(const struct config *asker, const char *name, struct config_preset *ret,
                       struct diag *reterr_diag) _must_check_;
void config_preset_done(struct config_preset *preset);

/* What there is, in name order, each once. */
struct config_preset_names {
    char (*names)[CONFIG_PRESET_BYTES];
    size_t count;
};

/* Folders that are not there or cannot be read have none. -ENOMEM */
int config_preset_names_find(const struct config *asker,
                             struct config_preset_names *ret_names) _must_check_;
void config_preset_names_done(struct config_preset_names *names);
