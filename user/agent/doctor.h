/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a machine lets loris work or keeps it from it: one finding a check, each with its remedy.
 */
#pragma once

#include "agent/config.h"
#include "base/diag.h"
#include "probe/attach_survey.h"
#include "probe/bpf_census.h"

enum doctor_result {
    DOCTOR_OK,
    DOCTOR_ABSENT,  /* this machine lacks it, and loris does without or by other means */
    DOCTOR_WARNING, /* loris works, but for what the consequence says */
    DOCTOR_FAIL,    /* what was asked for does not work */
    DOCTOR_UNKNOWN, /* it could not be seen */
    DOCTOR_RESULTS,
};

const char *doctor_result_name(enum doctor_result result);

struct doctor_finding {
    const char *check; /* "kernel.lockdown" */
    enum doctor_result result;
    char found[512];
    char consequence[512]; /* or empty, as the remedy */
    char remedy[512];
};

/* A target that the agent watches or would watch. */
struct doctor_target {
    const char *text;
    bool attached;
    bool optional;
    const struct diag *refusal; /* NULL: it was not tried */
};

/* All that the checks look at. What they read themselves is in files below root. */
struct doctor_machine {
    const char *root;    /* before every path; "" for the running machine */
    const char *release; /* uname -r */
    bool is_root;        /* who looks, with whatever capabilities */
    const struct attach_survey *survey;
    const struct bpf_census *census; /* NULL: the kernel does not tell */
    double clock_ns;                 /* that one look at the clock takes */
    uint64_t files_max;              /* that may be open */
    uint64_t memory_budget_bytes;
    const char *socket_path;
    const char *socket_group; /* "": none is configured */
    bool has_group;           /* the system knows it */
    gid_t group_gid;
    const char *group_members;         /* "adm, joe" */
    const char *config_path;           /* NULL: none is there */
    int config_error;                  /* of reading the file as it is now; 0: it is fine */
    const struct diag *config_refusal; /* the same, in words */
    const struct doctor_target *targets;
    size_t targets_count;
};

/* Runs all checks, in a fixed order. Reads small files, never blocks on one. */
typedef void (*doctor_finding_fn)(const struct doctor_finding *finding, void *context);
void doctor_run(const struct doctor_machine *machine, doctor_finding_fn on_finding, void *context);
/* Whether the one who looks lacks the rights to try what loris would do: then most is unknown. */
bool doctor_is_limited(const struct doctor_machine *machine);
