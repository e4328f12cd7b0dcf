/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities: which of root's the agent needs, for how long, and giving up the others for good.
 */
#pragma once

#include <linux/capability.h>
#include <stdint.h>

#include "base/text.h"

#define PRIVILEGE(capability) (1ull << (capability))

/*
 * To attach, at any time: a reload, a restarted program, a replaced library, a request of root.
 * BPF, PERFMON: load and attach. SYS_PTRACE: /proc/PID of other users. DAC_READ_SEARCH: their
 * executables and libraries. SYSLOG: addresses in /proc/kallsyms.
 */
#define PRIVILEGES_ATTACH                                                                          \
    (PRIVILEGE(CAP_BPF) | PRIVILEGE(CAP_PERFMON) | PRIVILEGE(CAP_SYS_PTRACE) |                     \
     PRIVILEGE(CAP_DAC_READ_SEARCH) | PRIVILEGE(CAP_SYSLOG))
/* To give the socket to its group, once. */
#define PRIVILEGES_LISTEN PRIVILEGE(CAP_CHOWN)
/* For single (perf-based) uprobes and kprobes on kernels with the fix of CVE-2025-38466. Where
 * links for many places work, nobody needs it. */
#define PRIVILEGES_SINGLE_PROBES PRIVILEGE(CAP_SYS_ADMIN)

/* No program that is executed from here on, and nothing else, gives anything back. -errno. */
int privileges_forbid_new(void) _must_check_;
/* Gives up, from all sets, what is not in `keep`; never gains anything. -errno. */
int privileges_keep(uint64_t keep) _must_check_;
/* What may be used now; 0 when that cannot be read. */
uint64_t privileges_held(void);
/* "chown", "sys_admin", ..., or NULL for numbers that this program does not know. */
const char *privileges_name(unsigned capability);
/* "bpf, perfmon", in the order of their numbers; "none". */
void privileges_describe(uint64_t set, struct text *out);
