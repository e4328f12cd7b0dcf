/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_folder.h"

#include <math.h>

#include "../support/failing_alloc.h"

#define MS  1000000ull
#define S   (1000 * MS)
#define MIB (1024ull * 1024)

static void assert_is_default(const struct config *config)
{
    assert_int_equal(config->memory_budget_bytes, 64 * MIB);
    assert_true(config->overhead_budget_ratio == 0.01);
    assert_int_equal(config->interval_ns, 10 * S);
    assert_int_equal(config->window_slices, 6);
    assert_int_equal(config->window_slice_ns, 10 * S);
    assert_int_equal(config->idle_ttl_ns, 600 * S);
    assert_string_equal(config->socket_path, "/run/loris/loris.sock");
    assert_string_equal(config->socket_group, "loris");
    assert_int_equal(config->ring_latency_bytes, 0);
    assert_int_equal(config->ring_rare_bytes, 0);
    assert_int_equal(config->processes_max, 0);
    assert_int_equal(config->probes_max, 2048);
    assert_int_equal(config->drain_min_ns, 10 * MS);
    assert_int_equal(config->drain_max_ns, S);
    assert_string_equal(config->summaries_path, "");
    assert_int_equal(config->summaries_by, CONFIG_BY_PROCESS);
    assert_int_equal(config->summaries_limit, 1000);
    assert_int_equal(config->summaries_layout, LINE_LAYOUT_LORIS);
    assert_false(config->summaries_journal);
    assert_int_equal(config->targets_count, 0);
}

static void empty_files_mean_the_defaults(void **state)
{
    static const char *const contents[] = {"", "# nothing\n\n", "---\n", "{}\n", "--- # x\n...\n"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        _cleanup_(config_free_cleanup) struct config *config = load_text(*state, contents[i]);
        assert_is_default(config);
        assert_int_equal(config->files_count, 1);
    }
}

static void reads_every_key(void **state)
{
    _cleanup_(config_free_cleanup) struct config *config = load_text(*state, every_key);
    assert_int_equal(config->memory_budget_bytes, 12 * MIB);
    assert_true(config->overhead_budget_ratio == 0.0025);
    assert_int_equal(config->interval_ns, 60 * S);
    assert_int_equal(config->window_slices, 60);
    assert_int_equal(config->window_slice_ns, S);
    assert_int_equal(config->idle_ttl_ns, 3600 * S);
    assert_string_equal(config->socket_path, "/tmp/loris sock");
    assert_string_equal(config->socket_group, "");
    assert_int_equal(config->ring_latency_bytes, 65536);
    assert_int_equal(config->ring_rare_bytes, 0);
    assert_int_equal(config->processes_max, 50000);
    assert_int_equal(config->probes_max, 8192);
    assert_int_equal(config->drain_min_ns, MS);
    assert_int_equal(config->drain_max_ns, 100 * MS);
    assert_string_equal(config->summaries_path, "-");
    assert_int_equal(config->summaries_by, CONFIG_BY_UNIT);
    assert_int_equal(config->summaries_limit, 7);
    assert_int_equal(config->summaries_layout, LINE_LAYOUT_ECS);
    assert_true(config->summaries_journal);

    assert_int_equal(config->targets_count, 2);
    const struct config_target *plain = &config->targets[0];
    assert_string_equal(plain->text, "syscall:*");
    assert_int_equal(plain->line, 16);
    assert_false(plain->has_error_rule || plain->force || plain->optional);
    assert_int_equal(plain->attach, ATTACH_AUTO);
    assert_int_equal(plain->sample_shift, 0);
    assert_true(config_filter_is_empty(&plain->filter));

    const struct config_target *full = &config->targets[1];
    assert_string_equal(full->text, "user:libc.so.6:malloc");
    assert_true(full->has_error_rule && full->force && full->optional);
    assert_int_equal(full->error_rule, LORIS_ERROR_ZERO);
    assert_int_equal(full->attach, ATTACH_UPROBE_SESSION);
    assert_int_equal(full->sample_shift, 7);
    assert_int_equal(full->filter.pids_count, 3);
    assert_int_equal(full->filter.pids[0], 3);
    assert_int_equal(full->filter.pids[1], 10);
    assert_int_equal(full->filter.pids[2], 20);
    assert_string_equal(full->filter.comm, "redis-server");
    assert_string_equal(full->filter.unit, "redis.service");
    assert_true(full->filter.follow);
    assert_int_equal(full->file, 0);
    assert_int_equal(full->line, 17);
}

static void later_files_override_values_and_add_targets_in_name_order(void **state)
{
    make_conf_d(*state);
    write_file(*state, "conf.d/20-b.yaml", "interval: 2s\ntargets: [syscall:write]\n");
    write_file(*state, "conf.d/10-a.yaml",
               "interval: 3s\nrings: {rare: 4KiB}\ntargets: [syscall:read]\n");
    write_file(*state, "conf.d/30-c.yaml.bak", "nonsense: here\n");
    write_file(*state, "conf.d/.hidden.yaml", "nonsense: here\n");
    write_file(*state, "conf.d/.yaml", "nonsense: here\n");
    _cleanup_(config_free_cleanup) struct config *config = load_text(
        *state, "interval: 1s\nrings: {latency: 8KiB, rare: 8KiB}\ntargets: [syscall:openat]\n");
    assert_int_equal(config->interval_ns, 2 * S);
    assert_int_equal(config->ring_latency_bytes, 8192);
    assert_int_equal(config->ring_rare_bytes, 4096);
    assert_int_equal(config->targets_count, 3);
    assert_string_equal(config->targets[0].text, "syscall:openat");
    assert_string_equal(config->targets[1].text, "syscall:read");
    assert_string_equal(config->targets[2].text, "syscall:write");
    assert_int_equal(config->targets[2].file, 2);
    assert_int_equal(config->files_count, 3);
    assert_non_null(strstr(config->files[2], "/conf.d/20-b.yaml"));
}

static void refuses_unknown_and_duplicate_keys(void **state)
{
    assert_refused(*state, "intervall: 10s\n", "1:1", "unknown key intervall",
                   "did you mean interval?");
    assert_refused(*state, "\n  memory-budget: 64MiB\n", "2:3", "unknown key memory-budget",
                   "did you mean memory_budget?");
    assert_refused(*state, "bogus: 1\n", "1:1", "unknown key bogus", "known here: memory_budget, ");
    assert_refused(*state, "rings: {latencies: auto}\n", "1:9", "unknown key latencies",
                   "did you mean latency?");
    assert_refused(*state, "targets:\n- target: syscall:read\n  error: errno\n", "3:3",
                   "unknown key error", "did you mean errors?");
    assert_refused(*state, "targets:\n- {target: syscall:read, filter: {pid: [1]}}\n", "2:35",
                   "unknown key pid", "did you mean pids?");
    assert_refused(*state, "interval: 1s\nsocket: /a\ninterval: 1s\n", "3:1",
                   "interval is set twice", "in line 1");
    assert_refused(*state, "drain: {min: 10ms,\n  min: 20ms}\n", "2:3", "min is set twice",
                   "in line 1");
    assert_refused(*state, "<<: {}\n", "1:1", "unknown key <<", "known here");
}

static void refuses_values_of_the_wrong_form(void **state)
{
    assert_refused(*state, "memory_budget: 64Mb\n", "1:16",
                   "memory_budget: \"64Mb\" is not understood", "expected a size from 12MiB");
    assert_refused(*state, "interval: 10\n", "1:11", "interval: \"10\" is not understood",
                   "for example 10s");
    assert_refused(*state, "interval:\nsocket: /a\n", "1:10", "interval: has no value",
                   "a time from 1s to 1h");
    assert_refused(*state, "interval: ~\n", "1:11", "interval: has no value", "a time from");
    assert_refused(*state, "interval: [1s]\n", "1:11", "a list does not belong here",
                   "a time from 1s");
    assert_refused(*state, "overhead_budget: 1\n", "1:18", "not understood", "0.01% to 100%");
    assert_refused(*state, "overhead_budget: .5%\n", "1:18", "not understood", "0.01% to 100%");
    assert_refused(*state, "overhead_budget: 1.00001%\n", "1:18", "not understood", "0.01%");
    assert_refused(*state, "overhead_budget: -1%\n", "1:18", "not understood", "0.01%");
    assert_refused(*state, "window: 60s\n", "1:9", "window: \"60s\" does not belong here",
                   "a mapping with keys such as `slices: `");
    assert_refused(*state, "rings: {latency: 5000}\n", "1:18", "not a power of two", "4KiB");
    assert_refused(*state, "summaries: {by: pid}\n", "1:17", "not a grouping",
                   "process, unit or none");
    assert_refused(*state, "summaries: {layout: gelf}\n", "1:21", "not a layout",
                   "loris, ecs or otel");
    assert_refused(*state, "summaries: {file: out.json}\n", "1:19", "not an absolute path",
                   "\"-\" for stdout");
    assert_refused(*state, "summaries: {file: \"\"}\n", "1:19", "not an absolute path", "none");
    assert_refused(*state, "socket: loris.sock\n", "1:9", "not an absolute path", "107 bytes");
    assert_refused(*state, "socket_group: \"\"\n", "1:15", "is empty", "or none");
    assert_refused(*state, "probes_max: auto\n", "1:13", "not understood", "1 to 8192");
    assert_refused(*state, "- a\n- b\n", "1:1", "a list does not belong here", "a mapping");
    assert_refused(*state, "hello\n", "1:1", "\"hello\" does not belong here", "a mapping");
}

static void refuses_values_out_of_range(void **state)
{
    assert_refused(*state, "memory_budget: 11MiB\n", "1:16", "is out of range", "12MiB to 64GiB");
    assert_refused(*state, "memory_budget: 65GiB\n", "1:16", "is out of range", "12MiB to 64GiB");
    assert_refused(*state, "memory_budget: 99999999999999999999GiB\n", "1:16", "out of range",
                   "12MiB");
    assert_refused(*state, "overhead_budget: 0.0099%\n", "1:18", "out of range", "0.01%");
    assert_refused(*state, "overhead_budget: 100.0001%\n", "1:18", "out of range", "100%");
    assert_refused(*state, "overhead_budget: 99999999999999999999%\n", "1:18", "out of range", "%");
    assert_refused(*state, "interval: 999ms\n", "1:11", "out of range", "1s to 1h");
    assert_refused(*state, "interval: 61m\n", "1:11", "out of range", "1s to 1h");
    assert_refused(*state, "window: {slices: 61}\n", "1:18", "out of range", "1 to 60");
    assert_refused(*state, "window: {slices: 0}\n", "1:18", "out of range", "1 to 60");
    assert_refused(*state, "probes_max: 8193\n", "1:13", "out of range", "1 to 8192");
    assert_refused(*state, "rings: {rare: 2KiB}\n", "1:15", "out of range", "4KiB to 16MiB");
    assert_refused(*state, "rings: {rare: 32MiB}\n", "1:15", "out of range", "4KiB to 16MiB");
    assert_refused(*state, "drain:\n  min: 500ms\n  max: 100ms\n", "2:3", "min above its max",
                   "at most max");
    char socket[256];
    snprintf(socket, sizeof(socket), "socket: /%0107d\n", 1);
    assert_refused(*state, socket, "1:9", "is too long", "107 bytes");
    _cleanup_(config_free_cleanup) struct config *config =
        load_text(*state, "memory_budget: 64GiB\noverhead_budget: 0.01%\nrings: {rare: 16MiB}\n");
    assert_int_equal(config->memory_budget_bytes, 65536 * MIB);
    assert_int_equal(config->ring_rare_bytes, 16 * MIB);
    assert_true(config->overhead_budget_ratio == 0.0001);
}

static void the_budget_can_be_none_and_a_later_file_can_set_it_again(void **state)
{
    _cleanup_(config_free_cleanup) struct config *none =
        load_text(*state, "overhead_budget: none\n");
    assert_true(isinf(none->overhead_budget_ratio) && none->overhead_budget_ratio > 0);
    make_conf_d(*state);
    write_file(*state, "conf.d/a.yaml", "overhead_budget: 2.5 %\n");
    _cleanup_(config_free_cleanup) struct config *some = load(*state);
    assert_true(some->overhead_budget_ratio == 0.025);
    write_file(*state, "conf.d/a.yaml", "");
    assert_refused(*state, "overhead_budget: None\n", "1:18", "not understood", "; or none");
    assert_refused(*state, "overhead_budget: none%\n", "1:18", "not understood", "; or none");
    assert_refused(*state, "overhead_budget: 0%\n", "1:18", "out of range", "; or none");
    assert_refused(*state, "overhead_budget:\n", "1:17", "has no value", "; or none");
    /* No other key takes the word. */
    assert_refused(*state, "memory_budget: none\n", "1:16", "not understood", "12MiB to 64GiB");
}

/* --budget of lorisd and loris watch, which know no file. */
static void the_budget_of_the_command_line_has_the_same_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        double ratio;
    } right[] = {{"1%", 0.01}, {"0.01%", 0.0001}, {"0.25%", 0.0025}, {"5 %", 0.05}, {"100%", 1}};
    static const struct {
        const char *word;
        int error;
    } wrong[] = {{"", -EINVAL},
                 {"5", -EINVAL},
                 {"5%%", -EINVAL},
                 {"-5%", -EINVAL},
                 {".5%", -EINVAL},
                 {"0.00001%", -EINVAL},
                 {"None", -EINVAL},
                 {"none ", -EINVAL},
                 {"inf%", -EINVAL},
                 {"0%", -ERANGE},
                 {"0.0099%", -ERANGE},
                 {"100.0001%", -ERANGE},
                 {"99999999999999999999%", -ERANGE}};
    double ratio = -1;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (config_budget_parse(wrong[i].word, &ratio) != wrong[i].error)
            fail_msg("\"%s\" gives %d", wrong[i].word, config_budget_parse(wrong[i].word, &ratio));
    assert_true(ratio == -1);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_int_equal(config_budget_parse(right[i].word, &ratio), 0);
        assert_true(ratio == right[i].ratio);
    }
    assert_int_equal(config_budget_parse("none", &ratio), 0);
    assert_true(isinf(ratio) && ratio > 0);
}

static void refuses_files_that_it_cannot_read(void **state)
{
    const struct folder *folder = *state;
    struct diag diag;
    assert_int_equal(refused(folder, &diag), -ENOENT);
    assert_non_null(strstr(diag.what, "loris.yaml: No such file or directory"));
    assert_true(diag.hint[0] != '\0');

    assert_int_equal(mkdir(folder->main_file, 0700), 0);
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "loris.yaml: not a regular file"));
    assert_int_equal(rmdir(folder->main_file), 0);

    assert_int_equal(mkfifo(folder->main_file, 0600), 0);
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "not a regular file"));
    assert_int_equal(unlink(folder->main_file), 0);

    assert_int_equal(symlink("loris.yaml", folder->main_file), 0);
    assert_int_equal(refused(folder, &diag), -ELOOP);
    assert_int_equal(unlink(folder->main_file), 0);

    write_file(folder, "loris.yaml", "");
    write_file(folder, "conf.d", "");
    assert_int_equal(refused(folder, &diag), -ENOTDIR);
    assert_non_null(strstr(diag.what, "/conf.d: Not a directory"));
}

static void says_which_file_of_conf_d_is_wrong(void **state)
{
    make_conf_d(*state);
    write_file(*state, "loris.yaml", "");
    write_file(*state, "conf.d/a.yaml", "interval: 1s\n");
    write_file(*state, "conf.d/b.yaml", "# two\n interval: soon\n");
    struct diag diag;
    assert_int_equal(refused(*state, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "/conf.d/b.yaml:2:12: interval: \"soon\""));
}

/* The shipped file, when the test runs in the source tree, as `make check-unit` does. */
static void accepts_the_shipped_configuration(void **state)
{
    (void)state;
    if (access("packaging/loris.yaml", R_OK) < 0) {
        print_message("packaging/loris.yaml is not below the working directory\n");
        skip();
    }
    struct config *config = NULL;
    struct diag diag = {0};
    if (config_load("packaging/loris.yaml", &config, &diag) < 0)
        fail_msg("%s (%s)", diag.what, diag.hint);
    assert_true(config->targets_count >= 10);
    assert_string_equal(config->targets[0].text, "span:block-io");
    config->targets_count = 0; /* beside its targets, it says what holds anyway */
    assert_is_default(config);
    config_free(config);
}

static void load_and_free(void *context)
{
    const struct folder *folder = context;
    struct config *config = NULL;
    struct diag diag = {0};
    int r = config_load(folder->main_file, &config, &diag);
    assert_true(r == 0 || (r == -ENOMEM && diag.what[0]));
    config_free(config);
}

static void refuse_and_forget(void *context)
{
    const struct folder *folder = context;
    struct config *config = NULL;
    struct diag diag = {0};
    int r = config_load(folder->main_file, &config, &diag);
    assert_true(r == -EINVAL || r == -ENOMEM);
    assert_null(config);
}

static void survives_every_failed_allocation(void **state)
{
    make_conf_d(*state);
    write_file(*state, "conf.d/a.yaml", "targets: [syscall:read]\n");
    write_file(*state, "loris.yaml", every_key);
    assert_in_range(failing_alloc_each(load_and_free, *state), 100, 2000);
    write_file(*state, "conf.d/a.yaml", "intervall: 1s\n");
    assert_in_range(failing_alloc_each(refuse_and_forget, *state), 100, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(empty_files_mean_the_defaults),
        IN_FOLDER(reads_every_key),
        IN_FOLDER(later_files_override_values_and_add_targets_in_name_order),
        IN_FOLDER(refuses_unknown_and_duplicate_keys),
        IN_FOLDER(refuses_values_of_the_wrong_form),
        IN_FOLDER(refuses_values_out_of_range),
        IN_FOLDER(the_budget_can_be_none_and_a_later_file_can_set_it_again),
        cmocka_unit_test(the_budget_of_the_command_line_has_the_same_words),
        IN_FOLDER(refuses_files_that_it_cannot_read),
        IN_FOLDER(says_which_file_of_conf_d_is_wrong),
        cmocka_unit_test(accepts_the_shipped_configuration),
        IN_FOLDER(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
