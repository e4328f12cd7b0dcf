/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches for part of the time, as the governor does, while a program makes known calls: every
 * call is counted exactly once while its unit is attached, and not at all while it is paused. What
 * is done in between is a random walk over all that may happen to a probe.
 */
#include "pause_fixture.h"

/* --- the random walk ----------------------------------------------------------------------- */

struct walk {
    struct fixture *fixture;
    enum attach_kind kind;
    bool own_links;
    uint64_t expected[WORKLOAD_FUNCTIONS]; /* calls since the probe was made */
    uint64_t cut_off[WORKLOAD_FUNCTIONS];
    unsigned paused; /* bit per function, by what was asked for */
    unsigned pauses, isolations, replacements, rewritings, detachments;
};

#define WALK_GLOB "pause_fn_[0-7]"

static unsigned pick(struct fixture *fixture, unsigned below)
{
    return (unsigned)rand_r(&fixture->seed) % below;
}

static uint32_t probe_of(const struct walk *walk, unsigned function)
{
    char name[32];
    snprintf(name, sizeof(name), "pause_fn_%u", function);
    return find_probe(walk->fixture, name);
}

static void call_some(struct walk *walk, const struct workload *workload)
{
    if (workload->pid < 0)
        return;
    for (unsigned i = 0; i < WORKLOAD_FUNCTIONS; i++) {
        unsigned count = pick(walk->fixture, 20);
        assert_true(workload_call(workload, i, count));
        if (!(walk->paused & 1u << i))
            walk->expected[i] += count;
    }
}

static void check_counts(const struct walk *walk)
{
    for (unsigned i = 0; i < WORKLOAD_FUNCTIONS; i++) {
        uint32_t id = probe_of(walk, i);
        const struct probe *probe = probe_set_find(walk->fixture->set, id);
        struct loris_ledger ledger = ledger_of(walk->fixture, id);
        if (ledger.entered != walk->expected[i] || ledger.returned != walk->expected[i])
            fail_msg("pause_fn_%u: %llu calls were due, %llu entered, %llu returned", i,
                     (unsigned long long)walk->expected[i], (unsigned long long)ledger.entered,
                     (unsigned long long)ledger.returned);
        assert_int_equal(probe->cut_off, 0);
        assert_int_equal(probe->paused, walk->paused >> i & 1);
        assert_true(probe_owns_generation(probe, probe->knobs.generation));
    }
}

static void pause_or_resume(struct walk *walk)
{
    unsigned function = pick(walk->fixture, WORKLOAD_FUNCTIONS);
    struct probe_set *set = walk->fixture->set;
    uint32_t unit = probe_set_unit(set, probe_of(walk, function));
    bool paused = walk->paused & 1u << function;
    assert_int_equal(probe_set_paused(set, unit), paused);
    assert_int_equal(paused ? probe_set_resume(set, unit) : probe_set_pause(set, &unit, 1), 0);
    walk->paused ^= 1u << function;
    walk->pauses++;
}

static void isolate_some(struct walk *walk)
{
    uint32_t ids[3];
    for (unsigned i = 0; i < 3; i++)
        ids[i] = probe_of(walk, pick(walk->fixture, WORKLOAD_FUNCTIONS));
    assert_int_equal(probe_set_isolate(walk->fixture->set, ids, 3), 0);
    walk->isolations++;
}

static void refresh(struct walk *walk)
{
    _cleanup_(attach_report_done) struct attach_report report = {0};
    assert_int_equal(probe_set_refresh(walk->fixture->set, &report), 1);
    assert_int_equal(report.refused, 0);
}

/* What runs goes on on the file that was replaced, and is still watched there. */
static void replace(struct walk *walk)
{
    struct fixture *fixture = walk->fixture;
    workload_stop(&fixture->former);
    fixture->former = fixture->workload;
    replace_file(fixture);
    refresh(walk);
    assert_true(workload_start(&fixture->workload, fixture->path, false));
    walk->replacements++;
}

static void rewrite(struct walk *walk)
{
    struct fixture *fixture = walk->fixture;
    workload_stop(&fixture->workload);
    workload_stop(&fixture->former);
    rewrite_file(fixture);
    for (unsigned i = 0; i < WORKLOAD_FUNCTIONS; i++) /* former files are no longer used */
        if (walk->paused & 1u << i && walk->replacements == 0)
            assert_int_equal(
                probe_set_resume(fixture->set, probe_set_unit(fixture->set, probe_of(walk, i))),
                -ESTALE);
    refresh(walk);
    assert_true(workload_start(&fixture->workload, fixture->path, false));
    walk->rewritings++;
}

static void detach_and_attach(struct walk *walk)
{
    workload_stop(&walk->fixture->former); /* its file is not watched again */
    detach_functions(walk->fixture, WALK_GLOB);
    memset(walk->expected, 0, sizeof(walk->expected));
    walk->paused = 0;
    assert_true(attach_functions(walk->fixture, WALK_GLOB, walk->kind, walk->own_links));
    walk->detachments++;
}

static void take_walk(struct fixture *fixture, enum attach_kind kind, bool own_links,
                      unsigned steps)
{
    struct walk walk = {.fixture = fixture, .kind = kind, .own_links = own_links};
    if (!fixture->side || !attach_functions(fixture, WALK_GLOB, kind, own_links))
        skip();
    assert_true(workload_start(&fixture->workload, fixture->path, false));
    for (unsigned i = 0; i < steps; i++) {
        unsigned choice = pick(fixture, 20);
        if (choice < 13)
            pause_or_resume(&walk);
        else if (choice < 16)
            isolate_some(&walk);
        else if (choice < 17)
            rewrite(&walk);
        else if (choice < 19)
            replace(&walk);
        else
            detach_and_attach(&walk);
        call_some(&walk, &fixture->workload);
        call_some(&walk, &fixture->former);
        check_counts(&walk);
    }
    printf(
        "  %u pauses and resumes, %u isolations, %u replacements, %u rewritings, %u detachments\n",
        walk.pauses, walk.isolations, walk.replacements, walk.rewritings, walk.detachments);
}

static void sessions_count_each_call_once_or_not_at_all(void **state)
{
    take_walk(*state, ATTACH_UPROBE_SESSION, false, 150);
}

static void sessions_with_links_of_their_own_do_too(void **state)
{
    take_walk(*state, ATTACH_UPROBE_SESSION, true, 60);
}

static void multi_pairs_count_each_call_once_or_not_at_all(void **state)
{
    take_walk(*state, ATTACH_UPROBE_MULTI, false, 80);
}

static void exits_count_each_call_once_or_not_at_all(void **state)
{
    take_walk(*state, ATTACH_UPROBE_EXITS, false, 80);
}

static void single_uprobes_count_each_call_once_or_not_at_all(void **state)
{
    take_walk(*state, ATTACH_UPROBE, false, 20);
}

int main(int argc, char **argv)
{
    workload_main(argc, argv);
    const struct CMUnitTest tests[] = {
        KERNEL_TEST(sessions_count_each_call_once_or_not_at_all),
        KERNEL_TEST(sessions_with_links_of_their_own_do_too),
        KERNEL_TEST(multi_pairs_count_each_call_once_or_not_at_all),
        KERNEL_TEST(exits_count_each_call_once_or_not_at_all),
        KERNEL_TEST(single_uprobes_count_each_call_once_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
