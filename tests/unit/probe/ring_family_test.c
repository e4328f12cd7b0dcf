/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* The module once more, over maps that both processes see. */
#define ring_family_init          tested_ring_family_init
#define ring_family_done          tested_ring_family_done
#define ring_family_begin_install tested_ring_family_begin_install
#define ring_family_end_install   tested_ring_family_end_install
#define bpf_map_create            fake_bpf_map_create
#define bpf_map_update_batch      fake_bpf_map_update_batch
#define bpf_map_update_elem       fake_bpf_map_update_elem
#define fork                      fake_fork
#include <bpf/bpf.h>
#include <unistd.h>

#include "probe/ring_family.c"

#define CPUS   5
#define MAP_FD 7

static struct fake_kernel {
    int installed[CPUS]; /* ring fds */
    int batches, single_updates;
    int creations_left;
    bool no_batches;
    pid_t refused_in; /* updates fail in this process */
    int fork_error;
    pid_t parent;
} * kernel; /* shared with the child */

int fake_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key_size, __u32 value_size,
                        __u32 max_entries, const struct bpf_map_create_opts *options)
{
    (void)name;
    (void)options;
    assert_int_equal(type, BPF_MAP_TYPE_RINGBUF);
    assert_int_equal(key_size + value_size, 0);
    assert_int_equal(max_entries, 4096);
    if (kernel->creations_left-- > 0)
        return dup(STDERR_FILENO);
    errno = ENOMEM;
    return -1;
}

int fake_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    (void)flags;
    if (getpid() == kernel->refused_in) {
        errno = EPERM;
        return -1;
    }
    kernel->single_updates++;
    assert_int_equal(fd, MAP_FD);
    kernel->installed[*(const uint32_t *)key] = *(const int *)value;
    return 0;
}

int fake_bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                              const struct bpf_map_batch_opts *options)
{
    (void)options;
    if (kernel->no_batches || getpid() == kernel->refused_in) {
        errno = EOPNOTSUPP;
        return -1;
    }
    assert_int_equal(fd, MAP_FD);
    kernel->batches++;
    for (uint32_t i = 0; i < *count; i++)
        kernel->installed[((const uint32_t *)keys)[i]] = ((const int *)values)[i];
    return 0;
}

#undef fork
pid_t fork(void);

pid_t fake_fork(void)
{
    if (!kernel->fork_error)
        return fork();
    errno = kernel->fork_error;
    return -1;
}

static struct ring_family rings;

static int set_up(void **state)
{
    (void)state;
    kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (kernel == MAP_FAILED)
        return -1;
    kernel->creations_left = CPUS;
    kernel->parent = getpid();
    memset(&rings, 0, sizeof(rings));
    return ring_family_init(&rings, "ring", MAP_FD, CPUS, 4096);
}

static int tear_down(void **state)
{
    (void)state;
    ring_family_done(&rings);
    return munmap(kernel, sizeof(*kernel));
}

static int install_here_and_there(void)
{
    pid_t installer = ring_family_begin_install(&rings);
    return ring_family_end_install(installer, &rings);
}

static void expect_all_installed(void)
{
    assert_memory_equal(kernel->installed, rings.fds, sizeof(kernel->installed));
}

static void installs_all_rings_in_one_batch(void **state)
{
    (void)state;
    assert_int_equal(install_here_and_there(), 0);
    expect_all_installed();
    assert_int_equal(kernel->batches, 1);
    assert_int_equal(kernel->single_updates, 0);
}

static void leaves_the_work_to_a_child(void **state)
{
    (void)state;
    kernel->refused_in = kernel->parent;
    assert_int_equal(install_here_and_there(), 0);
    expect_all_installed();
}

static void installs_one_by_one_where_there_are_no_batches(void **state)
{
    (void)state;
    kernel->no_batches = true;
    assert_int_equal(install_here_and_there(), 0);
    expect_all_installed();
    assert_int_equal(kernel->single_updates, CPUS);
}

static void installs_itself_when_it_cannot_fork(void **state)
{
    (void)state;
    kernel->fork_error = EAGAIN;
    assert_int_equal(install_here_and_there(), 0);
    expect_all_installed();
}

static void says_why_the_rings_cannot_be_installed(void **state)
{
    (void)state;
    kernel->fork_error = EAGAIN;
    kernel->refused_in = kernel->parent;
    assert_int_equal(install_here_and_there(), -EPERM);
}

static void closes_the_rings_that_were_made_before_one_failed(void **state)
{
    (void)state;
    struct ring_family family = {0};
    kernel->creations_left = CPUS - 1;
    assert_int_equal(ring_family_init(&family, "ring", 0, CPUS, 4096), -ENOMEM);
    assert_int_equal(family.cpus, CPUS - 1);
    int last = family.fds[CPUS - 2];
    ring_family_done(&family);
    assert_int_equal(close(last), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(installs_all_rings_in_one_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_the_work_to_a_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(installs_one_by_one_where_there_are_no_batches, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(installs_itself_when_it_cannot_fork, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_why_the_rings_cannot_be_installed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closes_the_rings_that_were_made_before_one_failed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
