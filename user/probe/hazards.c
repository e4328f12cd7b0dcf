/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/hazards.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "probe/bpf_link.h"
#include "probe/kernel_side.h"
#include "probe/own_code.h"

/* x86-64; not in the headers of older kernels. */
#define SYSCALL_URETPROBE 335

/* The first hit makes the kernel rewrite the nop, later ones run what it became. */
#define NOP5_CALLS 16

static __attribute__((noinline)) void hazard_landing(void)
{
    __asm__ volatile("");
}

/* Keeps its argument in the red zone across a five-byte nop. */
#define NOP5_AT 5 /* bytes into the function */
static __attribute__((naked, noinline, aligned(64))) uint64_t
keep_in_red_zone(__attribute__((unused)) uint64_t value)
{
    __asm__("movq %rdi, -8(%rsp)\n\t"
            ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\t"
            "movq -8(%rsp), %rax\n\t"
            "ret");
}

/* In the child: ends by SIGSYS when the filter sees the trampoline. */
static void run_filtered_return(void)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYSCALL_URETPROBE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(instructions) / sizeof(instructions[0]), instructions};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))
        _exit(0); /* no filters on this kernel, no hazard */
    hazard_landing();
    _exit(0);
}

static void run_red_zone(void)
{
    for (uint64_t i = 0; i < NOP5_CALLS; i++)
        if (keep_in_red_zone(~i) != ~i)
            _exit(1);
    _exit(0);
}

/* Lets a child run under the trial probe. */
static bool child_is_harmed(void (*run)(void))
{
    pid_t child = fork();
    if (child < 0)
        return true;
    if (child == 0) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        run();
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* A program that does nothing: what counts is how the kernel gets to it and back. */
static int load_empty_program(enum bpf_attach_type attach_type)
{
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type);
    int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "on_trial", "GPL", instructions,
                           sizeof(instructions) / sizeof(instructions[0]), &options);
    return fd >= 0 ? fd : -errno;
}

static int attach_trial(uintptr_t address, bool on_return)
{
    uint64_t offset = 0, cookie = 0;
    int error = own_code_offset(address, &offset);
    if (error)
        return error;
    const struct bpf_link_uprobes place = {
        .path = OWN_CODE_PATH, .offsets = &offset, .cookies = &cookie, .count = 1};
    _cleanup_close_ int multi_fd =
        load_empty_program((enum bpf_attach_type)KERNEL_ATTACH_UPROBE_MULTI);
    int link_fd = multi_fd < 0 ? multi_fd
                               : bpf_link_uprobe_multi(multi_fd, &place,
                                                       on_return ? BPF_LINK_EDGE_RETURN
                                                                 : BPF_LINK_EDGE_ENTRY);
    if (link_fd >= 0)
        return link_fd;
    _cleanup_close_ int single_fd = load_empty_program((enum bpf_attach_type)0);
    return single_fd < 0
               ? single_fd
               : bpf_link_perf_uprobe(single_fd, OWN_CODE_PATH, offset, 0, cookie, on_return);
}

static bool try_hazard(enum hazard hazard)
{
    bool is_trampoline = hazard == HAZARD_FILTERED_TRAMPOLINE;
    uintptr_t address =
        is_trampoline ? (uintptr_t)hazard_landing : (uintptr_t)keep_in_red_zone + NOP5_AT;
    _cleanup_close_ int link_fd = attach_trial(address, is_trampoline);
    if (link_fd < 0)
        return false; /* no uprobes here at all */
    return child_is_harmed(is_trampoline ? run_filtered_return : run_red_zone);
}

bool hazards_present(struct hazards *hazards, enum hazard hazard)
{
    if (!hazards->tried[hazard]) {
        hazards->present[hazard] = try_hazard(hazard);
        hazards->tried[hazard] = true;
    }
    return hazards->present[hazard];
}
