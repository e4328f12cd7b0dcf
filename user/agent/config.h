/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the operator asks for: /etc/loris/loris.yaml and conf.d, read into plain values. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "alert/alert_rule.h"
#include "base/diag.h"
#include "base/ownership.h"
#include "export/line_layout.h"
#include "loris/knobs.h"
#include "probe/attach_kind.h"
#include "probe/target.h"

#define CONFIG_PATH_DEFAULT    "/etc/loris/loris.yaml"
#define CONFIG_SOCKET_DEFAULT  "/run/loris/loris.sock"
#define CONFIG_ALERT_STATE     "/var/lib/loris/alerts.state"
#define CONFIG_PATH_BYTES      4096
#define CONFIG_TARGETS_MAX     1024
#define CONFIG_FILES_MAX       256 /* loris.yaml and conf.d together */
#define CONFIG_PRESETS_MAX     64
#define CONFIG_FILTER_PIDS_MAX 64
#define CONFIG_COMM_BYTES      16 /* TASK_COMM_LEN, with the NUL */
#define CONFIG_UNIT_BYTES      512
#define CONFIG_PRESET_BYTES    64  /* of a preset's name, with the NUL */
#define CONFIG_BUDGET_MIN      100 /* millionths of one CPU */
#define CONFIG_BUDGET_MAX      1000000

/* `by:` of the summaries. */
enum config_group {
    CONFIG_BY_PROCESS,
    CONFIG_BY_UNIT,
    CONFIG_BY_NONE,
};

/* All conditions that are set must hold; none set: everybody. */
struct config_filter {
    uint32_t pids_count;
    int32_t pids[CONFIG_FILTER_PIDS_MAX]; /* ascending */
    char comm[CONFIG_COMM_BYTES];         /* or empty */
    char unit[CONFIG_UNIT_BYTES];         /* systemd unit or cgroup path, or empty */
    bool follow;                          /* children of the pids, too */
};

struct config_target {
    char text[TARGET_TEXT_MAX]; /* target_parse() accepts it */
    bool has_error_rule;        /* else error_rule is LORIS_ERROR_NEVER */
    uint8_t error_rule;         /* enum loris_error_rule */
    enum attach_kind attach;
    bool has_sample;      /* asked for at run time, goes before a preset's: sample_shift is given */
    bool look;            /* asked for at run time: count entries for a moment before measuring */
    uint8_t sample_shift; /* at most one call of 2^shift becomes a sample; 0 .. LORIS_THIN_MAX */
    bool force;
    bool optional; /* when it is refused, one line says so and the agent is still well */
    struct config_filter filter;
    uint32_t file; /* where it was written: index into config.files */
    uint32_t line;
};

/* A preset and who asked for it first. */
struct config_preset_use {
    char name[CONFIG_PRESET_BYTES];
    uint32_t file; /* index into config.files */
    uint32_t line, column;
};

/* How alert rules are looked at, and who is told. */
struct config_alerting {
    uint64_t interval_ns;          /* between evaluations, 100 ms .. 1 h */
    uint64_t notice_interval_ns;   /* of one rule, after a few at once; 0 .. 1 d */
    uint32_t history;              /* changes of state to remember, 1 .. 1000 */
    bool self;                     /* the agent's own rules, too */
    bool journal;                  /* tell journald */
    enum line_layout layout;       /* of the file's lines */
    char file[CONFIG_PATH_BYTES];  /* "-": stdout; empty: none */
    char state[CONFIG_PATH_BYTES]; /* where state survives a restart; empty: nowhere */
};

struct config {
    uint64_t memory_budget_bytes; /* 12 MiB .. 64 GiB */
    double overhead_budget_ratio; /* of one CPU, 0.0001 .. 1, or infinity */
    uint64_t interval_ns;         /* between summaries, 1 s .. 1 h */
    uint32_t window_slices;       /* 1 .. SERIES_SLICES_MAX */
    uint64_t window_slice_ns;     /* 1 s .. 1 h */
    uint64_t idle_ttl_ns;         /* 10 s .. 30 d */
    char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char socket_group[33];                  /* empty: none */
    uint32_t ring_latency_bytes;            /* per CPU, a power of two; 0: auto */
    uint32_t ring_rare_bytes;               /* the same */
    uint32_t processes_max;                 /* 0: auto */
    uint32_t probes_max;                    /* 1 .. LORIS_PROBES_MAX */
    uint64_t drain_min_ns;                  /* 1 ms .. 1 s, at most drain_max_ns */
    uint64_t drain_max_ns;                  /* 10 ms .. 10 s */
    char summaries_path[CONFIG_PATH_BYTES]; /* "-": stdout; empty: none */
    enum config_group summaries_by;
    enum line_layout summaries_layout;
    bool summaries_journal;
    uint32_t summaries_limit; /* series a round, 1 .. 1000000 */

    struct config_target *targets; /* in the order they were read; owned */
    size_t targets_count;
    struct config_alerting alerting;
    struct alert_rule *rules; /* in the order they were read; owned */
    size_t rules_count;
    struct config_preset_use *presets; /* in the order they were read; owned */
    size_t presets_count;
    char **files; /* what was read, loris.yaml first, presets last; owned */
    size_t files_count;
};

/* What holds without a file: no targets, no files. -ENOMEM. */
int config_default(struct config **ret_config) _must_check_;

/*
 * Reads path, then the *.yaml of conf.d/ in the same folder in name order (strcmp; names that begin
 * with a dot are passed over; no folder is fine). A later file overrides single values and adds
 * targets; the targets of the presets they name come last. An empty file means the defaults.
 * -EINVAL: what is wrong, as FILE:LINE:COLUMN where it has a place; -ENOENT, -EACCES, ...: not
 * readable; -ENOMEM. Reads no more than CONFIG_YAML_BYTES_MAX of a file and never blocks on one.
 */
int config_load(const char *path, struct config **ret_config,
                struct diag *reterr_diag) _must_check_;

/* Takes the path of a file that is about to be read, whatever happens. -ENOMEM */
int config_add_file(struct config *config, char *path) _must_check_;

void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free);

/* Asked for the same thing? Where it was written does not count. */
bool config_target_equal(const struct config_target *left, const struct config_target *right);
bool config_filter_equal(const struct config_filter *left, const struct config_filter *right);
bool config_filter_is_empty(const struct config_filter *filter);
/* By its text, or NULL. */
const struct config_target *config_target_find(const struct config *config, const char *text);

/* "errno", "negative-int", ...; the words of `errors:`, here and in the socket's Attach. -EINVAL */
int config_error_rule_parse(const char *word, uint8_t *ret_rule) _must_check_;
const char *config_error_rule_name(uint8_t rule);
/* "1/128" is 7: the words of `sample:`; powers of two up to LORIS_THIN_MAX. -EINVAL */
int config_sample_parse(const char *word, uint8_t *ret_shift) _must_check_;
/* "1%", "0.25%", "none" (infinity): what `overhead_budget:` says. -EINVAL, -ERANGE */
int config_budget_parse(const char *word, double *ret_ratio) _must_check_;
/* "process", "unit", "none"; the words of `by:`. -EINVAL */
int config_group_parse(const char *word, enum config_group *ret_group) _must_check_;
const char *config_group_name(enum config_group group);
