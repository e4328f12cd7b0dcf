/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is being watched: targets, the probes they became, and their attachment, at run time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/attach_kind.h"
#include "probe/attach_report.h"
#include "probe/probe_placement.h"
#include "probe/target.h"

/* One measured function, syscall, span or pair of marks; the unit of series and ledgers. */
struct probe {
    uint32_t id;        /* below probes_max, index of the kernel side's arrays */
    const char *name;   /* "user:libc.so.6:malloc"; clones of a function are one probe */
    const char *target; /* the specification it came from */
    const char *object; /* user, usdt: the file; else "" */
    enum target_kind kind;
    enum attach_kind attach;
    uint32_t sites;             /* places in code, entries only */
    uint64_t offset;            /* user, usdt: of the first function or mark, in the file */
    struct placement placement; /* user: where the probe of the first function sits */
    bool attached;              /* false: detached, waiting for probe_set_release */
    bool paused; /* attached, but its links are closed for a while: calls are not seen */
    /* How often its links were closed and made again at once, because another probe was taken out
     * of a link that they shared: calls in between were not seen. */
    uint32_t gaps;
    /* Calls that were open whenever its links were closed. In the ledger they are entered, and
     * neither returned nor abandoned: nobody waits for them any more. */
    uint64_t cut_off;
    uint16_t first_generation; /* knobs.generation moves on from here with each pause */
    struct loris_probe_knobs knobs;
};

/* Whether a record of this generation is one of the probe's, and not of a former probe's. */
static inline bool probe_owns_generation(const struct probe *probe, uint16_t generation)
{
    return (uint16_t)(generation - probe->first_generation) <=
           (uint16_t)(probe->knobs.generation - probe->first_generation);
}

struct attach_request {
    struct target target;
    enum attach_kind attach;
    bool has_error_rule;
    uint8_t error_rule; /* enum loris_error_rule */
    bool force;         /* attach in spite of a hazard */
    uint8_t filter;     /* 0: none */
    bool look;          /* count entries only, until probe_set_end_look() */
    bool own_links;     /* no probe of it shares a link, so that each can be paused by itself */
};

/* What of the knobs may change while a probe is attached. */
struct probe_tuning {
    uint32_t bias_ns;
    uint8_t sample_shift;
    uint8_t thin_shift;
};

struct probe_set;

/* Called with a new probe before it is attached, to make room for its series; an error refuses it.
 */
typedef int (*probe_admit_fn)(const struct probe *probe, void *context);

int probe_set_new(struct kernel_side *side, uint64_t hash_seed, probe_admit_fn on_admit,
                  void *context, struct probe_set **ret_set) _must_check_;
/* Called with a probe that has got its places, before its first call is measured; may change the
 * knobs but `enabled`. */
typedef void (*probe_enable_fn)(const struct probe *probe, struct loris_probe_knobs *knobs,
                                void *context);
void probe_set_on_enable(struct probe_set *set, probe_enable_fn on_enable, void *context);
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

/* Probes that only look measure from now on; what they have counted is forgotten. */
int probe_set_end_look(struct probe_set *set) _must_check_;
int probe_set_tune(struct probe_set *set, uint32_t id,
                   const struct probe_tuning *tuning) _must_check_;

/*
 * Attaching for part of the time. The unit that can be paused is a probe, or a group of probes that
 * share their tracepoints: all syscalls, or a span. id: of an attached probe.
 */
uint32_t probe_set_unit(const struct probe_set *set, uint32_t id);
/* Units are below this: first the probes by their ids, then the groups. */
uint32_t probe_set_units(const struct probe_set *set);
/* The probe's name, or that of what is shared: "syscall:*"; NULL: there is no such unit. */
const char *probe_set_unit_name(const struct probe_set *set, uint32_t unit);
/*
 * Takes probes out of the links that they share with others, so that pausing them is no one else's
 * affair. The links of all probes of their targets are closed and made again, which takes about
 * 0.1 s for 2,000 places: isolate several at once. The gaps of the others tell whom it befell. On
 * failure probe_set_refresh() makes what is missing.
 */
int probe_set_isolate(struct probe_set *set, const uint32_t *probe_ids, size_t count) _must_check_;
/*
 * Pause closes the links of units, isolated before where need be, and resume makes them again.
 * Series, ids and knobs stay, but for the generation: a call that was open when the links were
 * closed has no end. The links of a user function are closed in 20 to 40 ms, nearly all of it spent
 * waiting, of tracepoints in 0.2 ms. -ENOENT: nobody is attached. Resuming fails with -ESTALE where
 * the file was rewritten: probe_set_refresh() finds the places again. What cannot be resumed stays
 * paused.
 */
int probe_set_pause(struct probe_set *set, const uint32_t *units, size_t count) _must_check_;
int probe_set_resume(struct probe_set *set, uint32_t unit) _must_check_;
bool probe_set_paused(const struct probe_set *set, uint32_t unit);

/* Whether a watched file has this name, in whatever folder. */
bool probe_set_watches_file(const struct probe_set *set, const char *name);
/* Detaches at once from files that were written to in place: a probe in the middle of another
 * instruction ends the program. Returns from how many. */
uint32_t probe_set_cut_rewritten(struct probe_set *set);
/* Attaches again where the file of a user target was replaced or rewritten, paused what is paused.
 * Processes that run on a replaced file keep its links, up to a few. Returns how many were. */
uint32_t probe_set_refresh(struct probe_set *set, struct attach_report *report);
/* Folders whose changes may replace a watched file; called once per folder and target. */
typedef void (*probe_folder_fn)(const char *folder, void *context);
void probe_set_folders(const struct probe_set *set, probe_folder_fn on_folder, void *context);

/* Attaches or detaches the programs that report the life of processes and cgroups. */
int probe_set_follow_life(struct probe_set *set, bool follow,
                          struct diag *reterr_diag) _must_check_;

/* Runs of our programs that the kernel left out since they were loaded. */
uint64_t probe_set_missed(const struct probe_set *set);

/* What this kernel was found to take so far. */
struct attach_trials *probe_set_trials(struct probe_set *set);

const struct probe *probe_set_find(const struct probe_set *set, uint32_t id); /* may be NULL */
uint32_t probe_set_attached(const struct probe_set *set);
/* One more than the highest id that was ever used. */
uint32_t probe_set_end(const struct probe_set *set);
/* All listed probes in the order of their ids. */
typedef void (*probe_fn)(const struct probe *probe, void *context);
void probe_set_walk(const struct probe_set *set, probe_fn on_probe, void *context);
