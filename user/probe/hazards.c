/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/hazards.h"

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
#include "probe/trial_program.h"

/* x86-64; not in the headers of older kernels. */
#define SYSCALL_URETPROBE 335

/* How a child ends, when it is not killed. */
enum child_end {
    CHILD_SAFE,
    CHILD_HARMED,
    CHILD_UNSURE,
};

/* The first hit makes the kernel rewrite the nop, later ones run what it became. */
#define NOP5_CALLS 16

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

static __attribute__((noinline)) void hazard_landing(void)
{
    __asm__ volatile("");
}

/* In the child: from here on it ends by SIGSYS when the filter sees the trampoline. */
static void forbid_trampoline(void)
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
        _exit(CHILD_SAFE); /* no filters on this kernel, no hazard */
}

/* In the child, under a return probe. */
static void run_filtered_return(void)
{
    forbid_trampoline();
    hazard_landing();
    _exit(CHILD_SAFE);
}

static void on_second_call(int signal_number)
{
    (void)signal_number;
    _exit(CHILD_SAFE); /* no filter saw it */
}

static void on_first_call(int signal_number)
{
    (void)signal_number;
    signal(SIGILL, on_second_call);
    forbid_trampoline();
}

/*
 * The same without a probe, whose removal takes 20 to 40 ms: the trampoline's system call raises
 * SIGILL when it comes from elsewhere. Unsure: a filter on ourselves answered instead.
 */
static void run_trampoline_call(void)
{
    signal(SIGILL, on_first_call);
    if (syscall(SYSCALL_URETPROBE) == -1 && errno == ENOSYS)
        _exit(CHILD_SAFE); /* the trampoline is a breakpoint */
    (void)syscall(SYSCALL_URETPROBE);
    _exit(CHILD_UNSURE);
}

static void run_red_zone(void)
{
    for (uint64_t i = 0; i < NOP5_CALLS; i++)
        if (keep_in_red_zone(~i) != ~i)
            _exit(CHILD_HARMED);
    _exit(CHILD_SAFE);
}

static enum child_end let_child_run(void (*run)(void))
{
    pid_t child = fork();
    if (child < 0)
        return CHILD_HARMED;
    if (child == 0) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        run();
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? (enum child_end)WEXITSTATUS(status) : CHILD_HARMED;
}

static int attach_trial(uintptr_t address, bool on_return)
{
    struct own_code own;
    uint64_t cookie = 0;
    int error = own_code_find(address, &own);
    if (error)
        return error;
    const struct bpf_link_uprobes place = {
        .path = own.path, .offsets = &own.offset, .cookies = &cookie, .count = 1};
    _cleanup_close_ int multi_fd = trial_program_load(KERNEL_ATTACH_UPROBE_MULTI);
    int link_fd = multi_fd < 0 ? multi_fd
                               : bpf_link_uprobe_multi(multi_fd, &place,
                                                       on_return ? BPF_LINK_EDGE_RETURN
                                                                 : BPF_LINK_EDGE_ENTRY);
    if (link_fd >= 0)
        return link_fd;
    _cleanup_close_ int single_fd = trial_program_load(0);
    return single_fd < 0
               ? single_fd
               : bpf_link_perf_uprobe(single_fd, own.path, own.offset, 0, cookie, on_return);
}

static bool try_hazard(enum hazard hazard)
{
    bool is_trampoline = hazard == HAZARD_FILTERED_TRAMPOLINE;
    enum child_end end = is_trampoline ? let_child_run(run_trampoline_call) : CHILD_UNSURE;
    if (end != CHILD_UNSURE)
        return end == CHILD_HARMED;
    uintptr_t address =
        is_trampoline ? (uintptr_t)hazard_landing : (uintptr_t)keep_in_red_zone + NOP5_AT;
    _cleanup_close_ int link_fd = attach_trial(address, is_trampoline);
    if (link_fd < 0)
        return false; /* no uprobes here at all */
    return let_child_run(is_trampoline ? run_filtered_return : run_red_zone) != CHILD_SAFE;
}

bool hazards_present(struct hazards *hazards, enum hazard hazard)
{
    if (!hazards->tried[hazard]) {
        hazards->present[hazard] = try_hazard(hazard);
        hazards->tried[hazard] = true;
    }
    return hazards->present[hazard];
}
