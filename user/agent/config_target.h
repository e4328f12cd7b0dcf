/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `targets:` list: its two forms, its filters, and that nothing is asked for twice. */
#pragma once

#include "agent/config.h"
#include "agent/config_value.h"

/* What the reader's context is while targets are read. */
struct config_target_origin {
    struct config *config;
    uint32_t file; /* index into config->files */
    bool preset;   /* its targets are optional, and what is asked for elsewhere already stays */
};

/* Appends the list's targets to the configuration at `into`; reader->context: the origin. */
int config_target_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                            void *into) _must_check_;
