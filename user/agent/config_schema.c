/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_schema.h"

#include <assert.h>
#include <string.h>

#include "agent/config_alert.h"
#include "agent/config_preset.h"
#include "agent/config_target.h"
#include "agent/config_value.h"
#include "aggregate/series_table.h"

#define MS  1000000ull
#define S   (1000 * MS)
#define MIN (60 * S)
#define H   (60 * MIN)
#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define FIELD(name) .offset = offsetof(struct config, name)

static_assert(SERIES_SLICES_MAX == 60, "the hint of window.slices names it");
static_assert(LORIS_PROBES_MAX == 8192, "the hint of probes_max names it");

static int read_socket_group(struct config_reader *reader, const struct config_yaml_node *node,
                             void *into)
{
    struct config *config = into;
    return config_value_none_or_text(reader, node, config->socket_group,
                                     sizeof(config->socket_group), "the name of a group, or none");
}

static int read_summaries_path(struct config_reader *reader, const struct config_yaml_node *node,
                               void *into)
{
    struct config *config = into;
    return config_value_none_or_lines(reader, node, config->summaries_path,
                                      sizeof(config->summaries_path));
}

static int read_summaries_by(struct config_reader *reader, const struct config_yaml_node *node,
                             void *into)
{
    struct config *config = into;
    const char *text = NULL, *expected = "process, unit or none";
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    if (config_group_parse(text, &config->summaries_by) < 0)
        return config_value_error(reader, node, "is not a grouping", expected);
    return 0;
}

static int read_summaries_layout(struct config_reader *reader, const struct config_yaml_node *node,
                                 void *into)
{
    struct config *config = into;
    return config_value_layout(reader, node, &config->summaries_layout);
}

static const struct config_key window_keys[] = {
    {"slices", CONFIG_VALUE_COUNT, FIELD(window_slices), .min = 1, .max = SERIES_SLICES_MAX,
     .expected = "a number from 1 to 60"},
    {"length", CONFIG_VALUE_DURATION, FIELD(window_slice_ns), .min = S, .max = H,
     .expected = "the length of one slice, 1s to 1h, for example 10s"},
    {.name = NULL},
};

static int read_window(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    return config_value_read_mapping(reader, node, window_keys, into);
}

#define RING_EXPECTED "auto, or a power of two from 4KiB to 16MiB for each CPU, for example 256KiB"

static const struct config_key rings_keys[] = {
    {"latency", CONFIG_VALUE_BYTES_POWER, .automatic = true, FIELD(ring_latency_bytes),
     .min = 4 * KIB, .max = 16 * MIB, .expected = RING_EXPECTED},
    {"rare", CONFIG_VALUE_BYTES_POWER, .automatic = true, FIELD(ring_rare_bytes), .min = 4 * KIB,
     .max = 16 * MIB, .expected = RING_EXPECTED},
    {.name = NULL},
};

static int read_rings(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    return config_value_read_mapping(reader, node, rings_keys, into);
}

static const struct config_key drain_keys[] = {
    {"min", CONFIG_VALUE_DURATION, FIELD(drain_min_ns), .min = MS, .max = S,
     .expected = "a time from 1ms to 1s, for example 10ms"},
    {"max", CONFIG_VALUE_DURATION, FIELD(drain_max_ns), .min = 10 * MS, .max = 10 * S,
     .expected = "a time from 10ms to 10s, for example 1s"},
    {.name = NULL},
};

static int read_drain(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    const struct config *config = into;
    int r = config_value_read_mapping(reader, node, drain_keys, into);
    if (r < 0)
        return r;
    if (config->drain_min_ns > config->drain_max_ns)
        return config_value_error(reader, node, "has a min above its max",
                                  "min to be at most max (10ms and 1s unless they are set)");
    return 0;
}

static const struct config_key summaries_keys[] = {
    {"file", CONFIG_VALUE_CUSTOM, .read = read_summaries_path},
    {"by", CONFIG_VALUE_CUSTOM, .read = read_summaries_by},
    {"layout", CONFIG_VALUE_CUSTOM, .read = read_summaries_layout},
    {"journal", CONFIG_VALUE_BOOL, FIELD(summaries_journal), .expected = "true or false"},
    {"limit", CONFIG_VALUE_COUNT, FIELD(summaries_limit), .min = 1, .max = 1000000,
     .expected = "a number of series from 1 to 1000000"},
    {.name = NULL},
};

static int read_summaries(struct config_reader *reader, const struct config_yaml_node *node,
                          void *into)
{
    return config_value_read_mapping(reader, node, summaries_keys, into);
}

static const struct config_key top_keys[] = {
    {"memory_budget", CONFIG_VALUE_BYTES, FIELD(memory_budget_bytes), .min = 12 * MIB,
     .max = 64 * GIB, .expected = "a size from 12MiB to 64GiB, for example 64MiB"},
    {"overhead_budget", CONFIG_VALUE_PERCENT, .unlimited = true, FIELD(overhead_budget_ratio),
     .min = CONFIG_BUDGET_MIN, .max = CONFIG_BUDGET_MAX,
     .expected = "a share of one CPU from 0.01% to 100%, for example 1%; or none"},
    {"interval", CONFIG_VALUE_DURATION, FIELD(interval_ns), .min = S, .max = H,
     .expected = "a time from 1s to 1h, for example 10s"},
    {"window", CONFIG_VALUE_CUSTOM, .read = read_window},
    {"idle_ttl", CONFIG_VALUE_DURATION, FIELD(idle_ttl_ns), .min = 10 * S, .max = 30 * 24 * H,
     .expected = "a time from 10s to 30d, for example 10m"},
    {"socket", CONFIG_VALUE_PATH, FIELD(socket_path),
     .max = sizeof(((struct config *)0)->socket_path),
     .expected = "an absolute path of at most 107 bytes, for example " CONFIG_SOCKET_DEFAULT},
    {"socket_group", CONFIG_VALUE_CUSTOM, .read = read_socket_group},
    {"rings", CONFIG_VALUE_CUSTOM, .read = read_rings},
    {"processes_max", CONFIG_VALUE_COUNT, .automatic = true, FIELD(processes_max), .min = 64,
     .max = 4194304, .expected = "auto, or a number from 64 to 4194304"},
    {"probes_max", CONFIG_VALUE_COUNT, FIELD(probes_max), .min = 1, .max = LORIS_PROBES_MAX,
     .expected = "a number from 1 to 8192"},
    {"drain", CONFIG_VALUE_CUSTOM, .read = read_drain},
    {"summaries", CONFIG_VALUE_CUSTOM, .read = read_summaries},
    {"targets", CONFIG_VALUE_CUSTOM, .read = config_target_read_list},
    {"presets", CONFIG_VALUE_CUSTOM, .read = config_preset_read_list},
    {"alerting", CONFIG_VALUE_CUSTOM, .read = config_alert_read_settings},
    {"alerts", CONFIG_VALUE_CUSTOM, .read = config_alert_read_list},
    {.name = NULL},
};

int config_schema_apply(struct config *config, uint32_t file, const struct config_yaml *yaml,
                        struct diag *reterr_diag)
{
    if (!yaml->root || config_yaml_is_null(yaml->root))
        return 0;
    struct config_target_origin origin = {.config = config, .file = file};
    struct config_reader reader = {config->files[file], reterr_diag, &origin};
    return config_value_read_mapping(&reader, yaml->root, top_keys, config);
}
