/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strict part of YAML that configuration may use, as a tree whose nodes know their place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/ownership.h"

#define CONFIG_YAML_BYTES_MAX    (1024 * 1024)
#define CONFIG_YAML_DEPTH_MAX    8
#define CONFIG_YAML_NODES_MAX    32768
#define CONFIG_YAML_ENTRIES_MAX  4096 /* items of one list */
#define CONFIG_YAML_KEYS_MAX     64   /* keys of one mapping */
#define CONFIG_YAML_SCALAR_BYTES 4096 /* with the NUL */

enum config_yaml_kind {
    CONFIG_YAML_SCALAR,
    CONFIG_YAML_LIST,
    CONFIG_YAML_MAPPING,
};

/* Where something stands in the text, both from 1. Columns count characters. */
struct config_yaml_place {
    uint32_t line;
    uint32_t column;
};

struct config_yaml_node {
    enum config_yaml_kind kind;
    bool plain; /* a scalar without quotes */
    char *key;  /* NULL for the root and in lists */
    char *text; /* scalars: without control characters, below CONFIG_YAML_SCALAR_BYTES */
    struct config_yaml_place key_place; /* equals place where there is no key */
    struct config_yaml_place place;
    uint32_t children_count;
    struct config_yaml_node *first_child;
    struct config_yaml_node *next;        /* sibling */
    struct config_yaml_node *made_before; /* private: all nodes in one chain, to free them */
};

struct config_yaml {
    struct config_yaml_node *root; /* NULL: nothing but comments */
    struct config_yaml_node *newest;
    size_t nodes_count;
};

/* Reads one document. -EINVAL with FILE:LINE:COLUMN for what is not YAML, for anchors, aliases,
 * tags, directives, more documents, keys that are not words, duplicate keys and passed bounds;
 * -ENOMEM. file is only named, never opened. */
int config_yaml_parse(const char *file, const char *bytes, size_t length,
                      struct config_yaml **ret_yaml, struct diag *reterr_diag) _must_check_;
void config_yaml_free(struct config_yaml *yaml);
DEFINE_CLEANUP(struct config_yaml *, config_yaml_free);

/* No value at all, `~` or `null`. */
bool config_yaml_is_null(const struct config_yaml_node *node);

/* Fills diag with "FILE:LINE:COLUMN: ..." and returns -EINVAL. A long path is shown by its end. */
int config_yaml_error(struct diag *diag, const char *file, struct config_yaml_place place,
                      const char *format, ...) _printf_(4, 5);
