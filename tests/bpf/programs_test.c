/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads all programs as the agent does and holds each to a budget of verified instructions: the
 * kernel gives up at a million, and a change of compiler or loop shows here long before. The table
 * that is printed tells what this kernel's verifier walked.
 */
#include "probe/kernel_side.h"

#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

/* Not measured: the machine of the table refuses them. They do what the kprobe pair does. */
#define FENTRY_MAX 30000

/* About one and a half times what was measured on 6.18 with clang-14. */
static const struct {
    const char *name; /* as the kernel cuts it, 15 characters */
    uint32_t instructions_max;
} budgets[KERNEL_PROGRAMS] = {
    [KERNEL_SYSCALL_ENTRY] = {"on_syscall_entr", 1100},
    [KERNEL_SYSCALL_EXIT] = {"on_syscall_exit", 2100},
    [KERNEL_REQUEST_ISSUE] = {"on_request_issu", 600},
    [KERNEL_REQUEST_REQUEUE] = {"on_request_requ", 200},
    [KERNEL_REQUEST_COMPLETE] = {"on_request_comp", 2100},
    [KERNEL_WAKEUP] = {"on_wakeup", 1000},
    [KERNEL_WAKEUP_NEW] = {"on_wakeup_new", 1000},
    [KERNEL_SWITCH] = {"on_switch", 2900},
    [KERNEL_SOFTIRQ_ENTRY] = {"on_softirq_entr", 700},
    [KERNEL_SOFTIRQ_EXIT] = {"on_softirq_exit", 1900},
    [KERNEL_IRQ_ENTRY] = {"on_irq_entry", 700},
    [KERNEL_IRQ_EXIT] = {"on_irq_exit", 1900},
    [KERNEL_PROCESS_FORK] = {"on_process_fork", 400},
    [KERNEL_PROCESS_EXEC] = {"on_process_exec", 1500},
    [KERNEL_PROCESS_EXIT] = {"on_process_exit", 1700},
    [KERNEL_PROCESS_RENAME] = {"on_process_rena", 300},
    [KERNEL_CGROUP_MKDIR] = {"on_cgroup_mkdir", 300},
    [KERNEL_CGROUP_RMDIR] = {"on_cgroup_rmdir", 300},
    [KERNEL_CGROUP_ATTACH] = {"on_cgroup_attac", 300},
    [KERNEL_EACH_PROCESS] = {"on_each_process", 200},
    [KERNEL_EACH_OPEN] = {"on_each_open", 2900},
    [KERNEL_USER_ENTRY] = {"on_user_entry", 6600},
    [KERNEL_USER_RETURN] = {"on_user_return", 4800},
    [KERNEL_USER_EXIT] = {"on_user_exit", 4800},
    [KERNEL_UMULTI_ENTRY] = {"on_umulti_entry", 6600},
    [KERNEL_UMULTI_RETURN] = {"on_umulti_ret", 4800},
    [KERNEL_UMULTI_EXIT] = {"on_umulti_exit", 4800},
    [KERNEL_MARK_BEGIN] = {"on_mark_begin", 1900},
    [KERNEL_MARK_END] = {"on_mark_end", 4800},
    [KERNEL_MMARK_BEGIN] = {"on_mmark_begin", 1900},
    [KERNEL_MMARK_END] = {"on_mmark_end", 4800},
    [KERNEL_KPROBE_ENTRY] = {"on_kprobe_entry", 6600},
    [KERNEL_KPROBE_RETURN] = {"on_kprobe_ret", 4800},
    [KERNEL_KMULTI_ENTRY] = {"on_kmulti_entry", 6600},
    [KERNEL_KMULTI_RETURN] = {"on_kmulti_ret", 4800},
    [KERNEL_USER_SESSION] = {"on_user_session", 2900},
    [KERNEL_KERN_SESSION] = {"on_kern_session", 2700},
    [KERNEL_EACH_SESSION] = {"on_each_session", 6800},
    [KERNEL_HEAP_ENTRY] = {"on_heap_entry", 4300},
    [KERNEL_HEAP_RETURN] = {"on_heap_return", 2600},
    [KERNEL_HEAP_EXIT] = {"on_heap_exit", 2600},
    [KERNEL_MHEAP_ENTRY] = {"on_mheap_entry", 4300},
    [KERNEL_MHEAP_RETURN] = {"on_mheap_return", 2600},
    [KERNEL_MHEAP_EXIT] = {"on_mheap_exit", 2600},
    [KERNEL_HEAP_EXEC] = {"on_heap_exec", 4800},
    [KERNEL_HEAP_THREAD_EXIT] = {"on_heap_thread_exit", 4200},
    [KERNEL_CACHE_ALLOC] = {"on_cache_alloc", 150},
    [KERNEL_CACHE_FREE] = {"on_cache_free", 130},
    [KERNEL_KMALLOC] = {"on_kmalloc", 100},
    [KERNEL_KFREE] = {"on_kfree", 70},
    [KERNEL_PAGE_ALLOC] = {"on_page_alloc", 60},
    [KERNEL_PAGE_FREE] = {"on_page_free", 40},
};

struct fixture {
    struct kernel_side *side;
    struct diag diag;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    static const struct kernel_side_config config = {.probes_max = 64,
                                                     .sketch_pages = 64,
                                                     .waits_max = 1024,
                                                     .samples_log2 = 11,
                                                     .rare_ring_bytes = 65536,
                                                     .heap_blocks_max = 4096,
                                                     .heap_rows_max = 64,
                                                     .heap_sizes_max = 4096,
                                                     .kmem_caches_max = 1024};
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    if (geteuid() != 0) {
        puts("[          ] skipped: loading BPF programs needs root");
        return 0;
    }
    int error = kernel_side_open(&config, &fixture.side, &fixture.diag);
    if (error)
        printf("%s\n%s\n", fixture.diag.what, fixture.diag.hint);
    return error;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kernel_side_free(fixture->side);
    return 0;
}

/* Prints a line; false: over the budget. */
static bool within_budget(int program_fd, const char *name, uint32_t instructions_max)
{
    struct bpf_prog_info info = {0};
    __u32 bytes = sizeof(info);
    assert_int_equal(bpf_obj_get_info_by_fd(program_fd, &info, &bytes), 0);
    bool fits = info.verified_insns > 0 && info.verified_insns <= instructions_max;
    printf("  %-16s %8u of %8u %6u bytes%s\n", info.name, info.verified_insns, instructions_max,
           info.jited_prog_len, fits ? "" : "   OVER BUDGET");
    if (strncmp(info.name, name, BPF_OBJ_NAME_LEN - 1) != 0)
        fail_msg("the table has %s where the kernel has %s", name, info.name);
    return fits;
}

static void every_program_stays_within_its_budget_of_verified_instructions(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side)
        skip();
    unsigned over = 0, loaded = 0;
    for (int i = 0; i < KERNEL_PROGRAMS; i++) {
        struct diag diag = {0};
        int fd = kernel_side_program(fixture->side, (enum kernel_program)i, &diag);
        assert_non_null(budgets[i].name);
        if (fd < 0) {
            printf("  %-16s not on this kernel: %s\n", budgets[i].name, diag.what);
            continue;
        }
        loaded++;
        over += !within_budget(fd, budgets[i].name, budgets[i].instructions_max);
    }
    assert_in_range(loaded, KERNEL_EACH_OPEN + 1, KERNEL_PROGRAMS);
    assert_int_equal(over, 0);
}

static void fentry_programs_stay_within_their_budget(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side)
        skip();
    int entry_fd = -1, exit_fd = -1;
    int error =
        kernel_side_load_fentry(fixture->side, "vfs_read", &entry_fd, &exit_fd, &fixture->diag);
    if (error) {
        printf("[          ] skipped: %s\n", fixture->diag.what);
        skip();
    }
    bool fits = within_budget(entry_fd, "on_kernel_fentry", FENTRY_MAX);
    fits &= within_budget(exit_fd, "on_kernel_fexit", FENTRY_MAX);
    close_fd(&entry_fd);
    close_fd(&exit_fd);
    assert_true(fits);
}

/* The estimate decides before anything is loaded; below the truth it breaks the memory budget. */
static void the_estimate_covers_what_the_kernel_charges(void **state)
{
    static const struct kernel_side_config configs[] = {
        {64, 64, 1024, 4096, 4096, 0, 0, 0, 0},
        {750, 384, 1365, 131072, 65536, 0, 0, 0, 0},
        {2048, 1536, 5461, 524288, 262144, 0, 0, 0, 0},
        {64, 64, 65536, 65536, 65536, 0, 0, 0, 0},
        {LORIS_PROBES_MAX, 64, 1024, 65536, 65536, 0, 0, 0, 0},
        {64, 16384, 1024, 65536, 65536, 0, 0, 0, 0},
    };
    struct fixture *fixture = *state;
    if (!fixture->side)
        skip();
    unsigned short_of = 0;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        _cleanup_(kernel_side_free_cleanup) struct kernel_side *side = NULL;
        assert_int_equal(kernel_side_open(&configs[i], &side, &fixture->diag), 0);
        uint64_t charged = kernel_side_map_bytes(side);
        uint64_t estimate = kernel_side_estimate_bytes(&configs[i], kernel_side_cpus(side));
        bool holds = charged <= estimate && estimate - charged <= charged / 4;
        printf("  %5u probes %5u pages %5u waits: %8llu bytes charged, %8llu estimated%s\n",
               configs[i].probes_max, configs[i].sketch_pages, configs[i].waits_max,
               (unsigned long long)charged, (unsigned long long)estimate, holds ? "" : "   WRONG");
        short_of += !holds;
    }
    assert_int_equal(short_of, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_program_stays_within_its_budget_of_verified_instructions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fentry_programs_stay_within_their_budget, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_estimate_covers_what_the_kernel_charges, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
