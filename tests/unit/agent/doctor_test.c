/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All checks together: on a machine where all is well, and with anything in place of any file. */
#include "../support/failing_alloc.h"

#include "fake_machine.h"

#define HUGE_BYTES (3u << 20)

struct tally {
    unsigned all;
    unsigned results[DOCTOR_RESULTS];
    struct doctor_finding last_trouble;
};

static void count(const struct doctor_finding *finding, void *context)
{
    struct tally *tally = context;
    tally->all++;
    tally->results[finding->result]++;
    if (finding->result != DOCTOR_OK)
        tally->last_trouble = *finding;
    assert_true(finding->found[0]);
    for (const char *at = finding->found; *at; at++)
        assert_true((unsigned char)*at >= ' ');
}

static struct tally run(const struct fake_machine *fake)
{
    struct tally tally = {0};
    doctor_run(&fake->machine, count, &tally);
    return tally;
}

static void a_good_machine_is_all_right(void **state)
{
    struct tally tally = run(*state);
    if (tally.results[DOCTOR_OK] != tally.all)
        fail_msg("%s: %s", tally.last_trouble.check, tally.last_trouble.found);
    assert_in_range(tally.all, 40, 100);
}

static void keep_name(const struct doctor_finding *finding, void *context)
{
    const char **names = context;
    while (*names) {
        assert_string_not_equal(*names, finding->check);
        names++;
    }
    *names = finding->check;
}

static void no_two_checks_have_one_name(void **state)
{
    struct fake_machine *fake = *state;
    const char *names[128] = {NULL};
    doctor_run(&fake->machine, keep_name, names);
}

static void assert_nothing_fails_to_end(const struct fake_machine *fake, const char *path,
                                        const char *instead, unsigned all)
{
    struct tally tally = run(fake);
    if (tally.all != all)
        fail_msg("%u checks with %s in place of %s", tally.all, instead, path);
}

/* A check that waits on a pipe would end the test by its timeout. */
static void anything_may_be_in_place_of_a_file(void **state)
{
    struct fake_machine *fake = *state;
    unsigned all = run(fake).all;
    char whole[PATH_MAX];
    char *huge = malloc(HUGE_BYTES);
    memset(huge, '7', HUGE_BYTES);
    for (size_t i = 0; i < GOOD_FILES; i++) {
        const char *path = good_files[i].path;
        path_of(fake, path, whole);
        put(fake, path, "");
        assert_nothing_fails_to_end(fake, path, "nothing", all);
        put_bytes(fake, path, "\x80\xff\x00\x1b[2J\n\n::::-", 13);
        assert_nothing_fails_to_end(fake, path, "garbage", all);
        put_bytes(fake, path, huge, HUGE_BYTES);
        assert_nothing_fails_to_end(fake, path, "3 MiB", all);
        take_away(fake, path);
        assert_nothing_fails_to_end(fake, path, "no file", all);
        assert_int_equal(mkfifo(whole, 0600), 0);
        assert_nothing_fails_to_end(fake, path, "a pipe", all);
        take_away(fake, path);
        assert_int_equal(mkdir(whole, 0700), 0);
        assert_nothing_fails_to_end(fake, path, "a folder", all);
        take_away(fake, path);
        assert_int_equal(symlink(whole, whole), 0);
        assert_nothing_fails_to_end(fake, path, "a loop", all);
        take_away(fake, path);
        put(fake, path, good_files[i].content);
    }
    free(huge);
    assert_int_equal(run(fake).results[DOCTOR_OK], all);
}

/* Neither good nor bad news may come from what is no answer. */
static void a_pipe_or_a_flood_is_unknown(void **state)
{
    struct fake_machine *fake = *state;
    static const char *const cases[][2] = {
        {"/proc/sys/net/core/bpf_jit_enable", "kernel.jit"},
        {"/proc/sys/kernel/kptr_restrict", "kernel.symbols"},
        {"/proc/self/mountinfo", "host.cgroups"},
        {"/proc/self/status", "rights.bpf"},
        {"/sys/kernel/security/lockdown", "kernel.lockdown"},
    };
    char whole[PATH_MAX];
    char *huge = malloc(HUGE_BYTES);
    memset(huge, '1', HUGE_BYTES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        path_of(fake, cases[i][0], whole);
        put_bytes(fake, cases[i][0], huge, HUGE_BYTES);
        assert_finds(fake, cases[i][1], DOCTOR_UNKNOWN, "File too large");
        take_away(fake, cases[i][0]);
        assert_int_equal(mkfifo(whole, 0600), 0);
        assert_finds(fake, cases[i][1], DOCTOR_UNKNOWN, "Invalid argument");
    }
    free(huge);
}

static void count_only(const struct doctor_finding *finding, void *context)
{
    (void)finding;
    ++*(unsigned *)context;
}

static void run_through(void *context)
{
    const struct fake_machine *fake = context;
    unsigned all = 0;
    doctor_run(&fake->machine, count_only, &all);
    assert_in_range(all, 40, 100);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(run_through, *state), 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(a_good_machine_is_all_right),        ON_MACHINE(no_two_checks_have_one_name),
        ON_MACHINE(anything_may_be_in_place_of_a_file), ON_MACHINE(a_pipe_or_a_flood_is_unknown),
        ON_MACHINE(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
