/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads mappings by a table of keys: types, ranges, words, and messages that say what belongs. */
#pragma once

#include "agent/config_yaml.h"
#include "export/line_layout.h"

struct config_reader {
    const char *file;
    struct diag *diag;
    void *context; /* for the `read` functions */
};

enum config_value_kind {
    CONFIG_VALUE_BYTES,       /* uint64_t */
    CONFIG_VALUE_BYTES_POWER, /* uint32_t, a power of two */
    CONFIG_VALUE_DURATION,    /* uint64_t, ns */
    CONFIG_VALUE_COUNT,       /* uint32_t */
    CONFIG_VALUE_PERCENT,     /* double, a ratio; min and max in millionths */
    CONFIG_VALUE_BOOL,        /* bool */
    CONFIG_VALUE_TEXT,        /* char[max], not empty */
    CONFIG_VALUE_PATH,        /* char[max], absolute */
    CONFIG_VALUE_CUSTOM,      /* by `read` */
};

struct config_key {
    const char *name; /* NULL ends the table */
    enum config_value_kind kind;
    bool automatic; /* the word auto is allowed and gives 0 */
    bool unlimited; /* PERCENT: the word none is allowed and gives infinity */
    size_t offset;  /* of the field in what config_value_read_mapping fills */
    uint64_t min, max;
    const char *expected; /* for the hint, with the range and an example */
    int (*read)(struct config_reader *reader, const struct config_yaml_node *node, void *into);
};

/* Reads every key of the mapping into the struct at `into`; unknown keys are errors that name the
 * nearest known one. Recursion (through `read`) follows the tables, not the input. */
int config_value_read_mapping(struct config_reader *reader, const struct config_yaml_node *node,
                              const struct config_key *keys, void *into) _must_check_;

/* "0.25%" is 2500. -EINVAL, -ERANGE */
int config_value_parse_percent(const char *text, uint64_t *ret_millionths) _must_check_;

/* The node's text, or an error when it is a list, a mapping or nothing. */
int config_value_scalar(struct config_reader *reader, const struct config_yaml_node *node,
                        const char *expected, const char **ret_text) _must_check_;

/* A text below max bytes, not empty; the word none gives an empty one. */
int config_value_none_or_text(struct config_reader *reader, const struct config_yaml_node *node,
                              char *field, size_t max, const char *expected) _must_check_;
/* Where lines go: an absolute path, "-" for stdout, none for an empty field. */
int config_value_none_or_lines(struct config_reader *reader, const struct config_yaml_node *node,
                               char *field, size_t max) _must_check_;
/* loris, ecs or otel. */
int config_value_layout(struct config_reader *reader, const struct config_yaml_node *node,
                        enum line_layout *layout) _must_check_;
/* An absolute path, or none for an empty field. */
int config_value_none_or_path(struct config_reader *reader, const struct config_yaml_node *node,
                              char *field, size_t max, const char *expected) _must_check_;

/* "FILE:LINE:COLUMN: key: "text" is not valid" and the hint "expected ..."; returns -EINVAL. */
int config_value_error(struct config_reader *reader, const struct config_yaml_node *node,
                       const char *problem, const char *expected);
