/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is being watched: targets, the probes they became, and their attachment, at run time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/attach_kind.h"
#include "probe/attach_report.h"
#include "probe/target.h"

/* One measured function, syscall, span or pair of marks; the unit of series and ledgers. */
struct probe {
    uint32_t id;        /* below probes_max, index of the kernel side's arrays */
    const char *name;   /* "user:libc.so.6:malloc"; clones of a function are one probe */
    const char *target; /* the specification it came from */
    const char *object; /* user, usdt: the file; else "" */
    enum target_kind kind;
    enum attach_kind attach;
    uint32_t sites;  /* places in code, entries only */
    uint64_t offset; /* user, usdt: of the first place, in the file */
    bool attached;   /* false: detached, waiting for probe_set_release */
    struct loris_probe_knobs knobs;
};

struct attach_request {
    struct target target;
    enum attach_kind attach;
    bool has_error_rule;
    uint8_t error_rule; /* enum loris_error_rule */
    bool force;         /* attach in spite of a hazard */
    uint8_t filter;     /* 0: none */
};

struct probe_set;

/* Called with a new probe before it is attached, to make room for its series; an error refuses it.
 */
typedef int (*probe_admit_fn)(const struct probe *probe, void *context);

int probe_set_new(struct kernel_side *side, uint64_t hash_seed, probe_admit_fn on_admit,
                  void *context, struct probe_set **ret_set) _must_check_;
/* Detaches everything. The kernel side must live longer. */
void probe_set_free(struct probe_set *set);
DEFINE_CLEANUP(struct probe_set *, probe_set_free);

/*
 * Resolves and attaches a target. Fails only when nothing could be attached: -EEXIST (the same
 * text is watched), -ENOENT, -EINVAL, -EOPNOTSUPP, ... with a diag; the report holds what was
 * refused besides.
 */
int probe_set_attach(struct probe_set *set, const struct attach_request *request,
                     struct attach_report *report, struct diag *reterr_diag) _must_check_;
/* Detaches a target by its text: its probes stay listed, detached. Returns how many. */
uint32_t probe_set_detach(struct probe_set *set, const char *target_text);
/* Forgets a detached probe and makes its id free; the rings must have been drained since. */
int probe_set_release(struct probe_set *set, uint32_t id) _must_check_;

/* Whether a watched file has this name, in whatever folder. */
bool probe_set_watches_file(const struct probe_set *set, const char *name);
/* Detaches at once from files that were written to in place: a probe in the middle of another
 * instruction ends the program. Returns from how many. */
uint32_t probe_set_cut_rewritten(struct probe_set *set);
/* Attaches again where the file of a user target was replaced or rewritten. Processes that run on
 * a replaced file keep its links, up to a few. Returns how many were. */
uint32_t probe_set_refresh(struct probe_set *set, struct attach_report *report);
/* Folders whose changes may replace a watched file; called once per folder and target. */
typedef void (*probe_folder_fn)(const char *folder, void *context);
void probe_set_folders(const struct probe_set *set, probe_folder_fn on_folder, void *context);

/* Attaches or detaches the programs that report the life of processes and cgroups. */
int probe_set_follow_life(struct probe_set *set, bool follow,
                          struct diag *reterr_diag) _must_check_;

/* Runs of our programs that the kernel left out since they were loaded. */
uint64_t probe_set_missed(const struct probe_set *set);

const struct probe *probe_set_find(const struct probe_set *set, uint32_t id); /* may be NULL */
uint32_t probe_set_attached(const struct probe_set *set);
/* One more than the highest id that was ever used. */
uint32_t probe_set_end(const struct probe_set *set);
/* All listed probes in the order of their ids. */
typedef void (*probe_fn)(const struct probe *probe, void *context);
void probe_set_walk(const struct probe_set *set, probe_fn on_probe, void *context);
