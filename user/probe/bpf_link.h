/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links from programs to places, made with bpf(2) where libbpf 1.1 does not know the kind. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All return an fd that the caller owns and whose closing detaches, or -errno. */

enum bpf_link_edge {
    BPF_LINK_EDGE_ENTRY,
    BPF_LINK_EDGE_RETURN,
    BPF_LINK_EDGE_SESSION, /* both, by one program */
};

/* One link for many places of one file. offsets are file offsets; semaphores may be NULL. */
struct bpf_link_uprobes {
    const char *path;
    const uint64_t *offsets;
    const uint64_t *cookies;
    const uint64_t *semaphores; /* file offsets, 0 without one */
    uint32_t count;
};
int bpf_link_uprobe_multi(int program_fd, const struct bpf_link_uprobes *places,
                          enum bpf_link_edge edge);
/* One link for many kernel functions, by name. */
int bpf_link_kprobe_multi(int program_fd, const char *const *names, const uint64_t *cookies,
                          uint32_t count, enum bpf_link_edge edge);
/* Through the perf uprobe and kprobe PMUs; one place a link. */
int bpf_link_perf_uprobe(int program_fd, const char *path, uint64_t offset, uint64_t semaphore,
                         uint64_t cookie, bool on_return);
int bpf_link_perf_kprobe(int program_fd, const char *name, uint64_t cookie, bool on_return);
/* fentry, fexit: the place is part of the program. */
int bpf_link_tracing(int program_fd, uint64_t cookie, bool on_return);
/* raw_tp (with a name) and tp_btf programs (NULL). */
int bpf_link_raw_tracepoint(int program_fd, const char *name);
/* An iterator: returns the fd to read all of its output from. */
int bpf_link_iterate(int program_fd);

/* How often the kernel left a program out because it, or another probe, was running on that CPU;
 * 0 where it cannot tell. */
uint64_t bpf_link_program_missed(int program_fd);
/* Whether the fd is a program's, and not for example a link's. */
bool bpf_link_is_program(int fd);
