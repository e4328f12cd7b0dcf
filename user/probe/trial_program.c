/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/trial_program.h"

#include <bpf/bpf.h>
#include <errno.h>

int trial_program_load(int attach_type)
{
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options,
                .expected_attach_type = (enum bpf_attach_type)attach_type);
    int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "on_trial", "GPL", instructions,
                           sizeof(instructions) / sizeof(instructions[0]), &options);
    return fd >= 0 ? fd : -errno;
}
