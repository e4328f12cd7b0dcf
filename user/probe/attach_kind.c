/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_kind.h"

#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"
#include "probe/own_code.h"

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

struct trial {
    enum attach_kind kind;
    enum kernel_program program;
};

static int try_user(struct kernel_side *side, const struct trial *trial, struct diag *reterr_diag)
{
    uint64_t offset = 0;
    int error = own_code_offset((uintptr_t)landing, &offset);
    if (error)
        return diag_set(reterr_diag, -error, "cannot find my own code: %s", strerror(-error));
    int program_fd = kernel_side_program(side, trial->program, reterr_diag);
    if (program_fd < 0)
        return program_fd;
    uint64_t cookie = kernel_side_config(side)->probes_max; /* no probe: the program ignores it */
    struct bpf_link_uprobes place = {
        .path = OWN_CODE_PATH, .offsets = &offset, .cookies = &cookie, .count = 1};
    _cleanup_close_ int link_fd =
        trial->kind == ATTACH_UPROBE
            ? bpf_link_perf_uprobe(program_fd, place.path, offset, 0, cookie, false)
            : bpf_link_uprobe_multi(program_fd, &place,
                                    trial->kind == ATTACH_UPROBE_SESSION ? BPF_LINK_EDGE_SESSION
                                                                         : BPF_LINK_EDGE_ENTRY);
    if (link_fd >= 0)
        return 0;
    return diag_set(reterr_diag, EOPNOTSUPP, "this kernel refuses the link: %s",
                    strerror(-link_fd));
}

static int try_kernel(struct kernel_side *side, const struct trial *trial, struct diag *reterr_diag)
{
    static const char *const function = "vfs_read";
    uint64_t cookie = kernel_side_config(side)->probes_max;
    if (trial->kind == ATTACH_FENTRY) {
        _cleanup_close_ int entry_fd = -1;
        _cleanup_close_ int exit_fd = -1;
        return kernel_side_load_fentry(side, function, &entry_fd, &exit_fd, reterr_diag);
    }
    int program_fd = kernel_side_program(side, trial->program, reterr_diag);
    if (program_fd < 0)
        return program_fd;
    _cleanup_close_ int link_fd =
        trial->kind == ATTACH_KPROBE
            ? bpf_link_perf_kprobe(program_fd, function, cookie, false)
            : bpf_link_kprobe_multi(program_fd, &function, &cookie, 1,
                                    trial->kind == ATTACH_KPROBE_SESSION ? BPF_LINK_EDGE_SESSION
                                                                         : BPF_LINK_EDGE_ENTRY);
    if (link_fd >= 0)
        return 0;
    return diag_set(reterr_diag, EOPNOTSUPP, "this kernel refuses the link: %s",
                    strerror(-link_fd));
}

static int try_kind(struct kernel_side *side, enum attach_kind kind, struct diag *reterr_diag)
{
    static const enum kernel_program programs[ATTACH_KINDS] = {
        [ATTACH_KPROBE] = KERNEL_KPROBE_ENTRY,
        [ATTACH_KPROBE_MULTI] = KERNEL_KMULTI_ENTRY,
        [ATTACH_KPROBE_SESSION] = KERNEL_KERN_SESSION,
        [ATTACH_UPROBE] = KERNEL_USER_ENTRY,
        [ATTACH_UPROBE_MULTI] = KERNEL_UMULTI_ENTRY,
        [ATTACH_UPROBE_SESSION] = KERNEL_USER_SESSION,
        [ATTACH_UPROBE_EXITS] = KERNEL_UMULTI_EXIT,
    };
    struct trial trial = {kind, programs[kind]};
    switch (kind) {
    case ATTACH_UPROBE:
    case ATTACH_UPROBE_MULTI:
    case ATTACH_UPROBE_SESSION:
    case ATTACH_UPROBE_EXITS:
        return try_user(side, &trial, reterr_diag);
    case ATTACH_FENTRY:
    case ATTACH_KPROBE:
    case ATTACH_KPROBE_MULTI:
    case ATTACH_KPROBE_SESSION:
        return try_kernel(side, &trial, reterr_diag);
    default:
        return 0; /* raw and BTF tracepoints came with the core programs */
    }
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
