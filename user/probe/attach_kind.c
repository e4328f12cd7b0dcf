/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_kind.h"

#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"
#include "probe/own_code.h"
#include "probe/trial_program.h"

static const char *const kind_names[ATTACH_KINDS] = {
    [ATTACH_AUTO] = "auto",
    [ATTACH_FENTRY] = "fentry",
    [ATTACH_KPROBE] = "kprobe",
    [ATTACH_KPROBE_MULTI] = "kprobe-multi",
    [ATTACH_KPROBE_SESSION] = "kprobe-session",
    [ATTACH_UPROBE] = "uprobe",
    [ATTACH_UPROBE_MULTI] = "uprobe-multi",
    [ATTACH_UPROBE_SESSION] = "uprobe-session",
    [ATTACH_UPROBE_EXITS] = "uprobe-exits",
    [ATTACH_RAW_TRACEPOINT] = "raw-tracepoint",
    [ATTACH_TRACEPOINTS] = "tracepoints",
};

const char *attach_kind_name(enum attach_kind kind)
{
    return kind < ATTACH_KINDS ? kind_names[kind] : "?";
}

int attach_kind_parse(const char *word, enum attach_kind *ret_kind)
{
    for (unsigned i = 0; i < ATTACH_KINDS; i++) {
        if (strcmp(kind_names[i], word) != 0)
            continue;
        *ret_kind = (enum attach_kind)i;
        return 0;
    }
    return -EINVAL;
}

/* Where trial uprobes land. */
static __attribute__((noinline)) void landing(void)
{
    __asm__ volatile("");
}

static enum bpf_link_edge edge_of(enum attach_kind kind)
{
    return kind == ATTACH_UPROBE_SESSION ? BPF_LINK_EDGE_SESSION : BPF_LINK_EDGE_ENTRY;
}

/* A kernel that knows the kind gets as far as the path, and wants a file there (libbpf's feature
 * test asks the same). To attach and to detach takes 30 ms, which every start would wait for. */
static bool wants_a_file(enum attach_kind kind, int program_fd)
{
    uint64_t offset = 0, cookie = 0;
    struct bpf_link_uprobes place = {
        .path = "/", .offsets = &offset, .cookies = &cookie, .count = 1};
    _cleanup_close_ int link_fd = bpf_link_uprobe_multi(program_fd, &place, edge_of(kind));
    return link_fd == -EBADF;
}

static int try_user(enum attach_kind kind, int program_fd)
{
    struct own_code own;
    uint64_t cookie = 0;
    int error = own_code_find((uintptr_t)landing, &own);
    if (error)
        return error;
    if (kind == ATTACH_UPROBE)
        return bpf_link_perf_uprobe(program_fd, own.path, own.offset, 0, cookie, false);
    struct bpf_link_uprobes place = {
        .path = own.path, .offsets = &own.offset, .cookies = &cookie, .count = 1};
    return bpf_link_uprobe_multi(program_fd, &place, edge_of(kind));
}

static const char *const trial_function = "vfs_read";

static int try_kernel(enum attach_kind kind, int program_fd)
{
    uint64_t cookie = 0;
    if (kind == ATTACH_KPROBE)
        return bpf_link_perf_kprobe(program_fd, trial_function, cookie, false);
    return bpf_link_kprobe_multi(program_fd, &trial_function, &cookie, 1,
                                 kind == ATTACH_KPROBE_SESSION ? BPF_LINK_EDGE_SESSION
                                                               : BPF_LINK_EDGE_ENTRY);
}

/* With a program that does nothing: whether the kernel takes the real one shows when it is loaded,
 * which takes longer. */
static int try_link(enum attach_kind kind, bool is_user, struct diag *reterr_diag)
{
    static const int attach_types[ATTACH_KINDS] = {
        [ATTACH_KPROBE_MULTI] = KERNEL_ATTACH_KPROBE_MULTI,
        [ATTACH_KPROBE_SESSION] = KERNEL_ATTACH_KPROBE_SESSION,
        [ATTACH_UPROBE_MULTI] = KERNEL_ATTACH_UPROBE_MULTI,
        [ATTACH_UPROBE_SESSION] = KERNEL_ATTACH_UPROBE_SESSION,
        [ATTACH_UPROBE_EXITS] = KERNEL_ATTACH_UPROBE_MULTI,
    };
    _cleanup_close_ int program_fd = trial_program_load(attach_types[kind]);
    if (program_fd >= 0 && is_user && kind != ATTACH_UPROBE && wants_a_file(kind, program_fd))
        return 0;
    _cleanup_close_ int link_fd = program_fd < 0 ? program_fd
                                  : is_user      ? try_user(kind, program_fd)
                                                 : try_kernel(kind, program_fd);
    if (link_fd >= 0)
        return 0;
    return diag_set(reterr_diag, EOPNOTSUPP, "this kernel refuses the link: %s",
                    strerror(-link_fd));
}

static int try_kind(struct kernel_side *side, enum attach_kind kind, struct diag *reterr_diag)
{
    switch (kind) {
    case ATTACH_UPROBE:
    case ATTACH_UPROBE_MULTI:
    case ATTACH_UPROBE_SESSION:
    case ATTACH_UPROBE_EXITS:
        return try_link(kind, true, reterr_diag);
    case ATTACH_KPROBE:
    case ATTACH_KPROBE_MULTI:
    case ATTACH_KPROBE_SESSION:
        return try_link(kind, false, reterr_diag);
    case ATTACH_FENTRY: {
        _cleanup_close_ int entry_fd = -1;
        _cleanup_close_ int exit_fd = -1;
        return kernel_side_load_fentry(side, trial_function, &entry_fd, &exit_fd, reterr_diag);
    }
    default:
        return 0; /* raw and BTF tracepoints: every kernel has them */
    }
}

void attach_kind_took(struct attach_trials *trials, enum attach_kind kind)
{
    trials->tried[kind] = true;
    trials->outcome[kind] = 0;
}

bool attach_kind_refused(const struct attach_trials *trials, enum attach_kind kind)
{
    return trials->tried[kind] && trials->outcome[kind];
}

int attach_kind_try(struct attach_trials *trials, struct kernel_side *side, enum attach_kind kind,
                    struct diag *reterr_diag)
{
    if (!trials->tried[kind]) {
        trials->outcome[kind] = try_kind(side, kind, &trials->refusal[kind]) ? -EOPNOTSUPP : 0;
        trials->tried[kind] = true;
    }
    if (trials->outcome[kind] && reterr_diag)
        *reterr_diag = trials->refusal[kind];
    return trials->outcome[kind];
}
