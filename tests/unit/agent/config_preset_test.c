/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_preset.h"

#include <glob.h>

#include "config_folder.h"

#include "../support/failing_alloc.h"

static void make_in(const struct folder *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* presets/ beside loris.yaml, with one called `two`. */
static void make_presets(const struct folder *folder)
{
    make_in(folder, "presets");
    write_file(folder, "presets/two.yaml",
               "description: two calls\ntargets:\n- syscall:read\n"
               "- {target: syscall:write, errors: errno, sample: 1/16}\n");
}

static void adds_the_targets_of_presets_behind_those_of_files(void **state)
{
    const struct folder *folder = *state;
    make_presets(folder);
    make_conf_d(folder);
    write_file(folder, "presets/one.yaml", "targets: [syscall:close]\n");
    write_file(folder, "conf.d/a.yaml", "presets: [one, two]\ntargets: [syscall:openat]\n");
    _cleanup_(config_free_cleanup) struct config *config =
        load_text(folder, "presets: [two]\ntargets: [span:block-io]\n");
    static const char *const expected[] = {"span:block-io", "syscall:openat", "syscall:read",
                                           "syscall:write", "syscall:close"};
    assert_int_equal(config->presets_count, 2);
    assert_int_equal(config->targets_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(config->targets[i].text, expected[i]);
    assert_int_equal(config->targets[3].error_rule, LORIS_ERROR_ERRNO);
    assert_int_equal(config->targets[3].sample_shift, 4);
    assert_int_equal(config->targets[3].line, 4);
    assert_non_null(strstr(config->files[config->targets[3].file], "/presets/two.yaml"));
}

static void targets_of_presets_are_optional_unless_they_say_otherwise(void **state)
{
    make_presets(*state);
    write_file(*state, "presets/must.yaml",
               "targets: [{target: syscall:close, optional: false}]\n");
    _cleanup_(config_free_cleanup) struct config *config =
        load_text(*state, "presets: [two, must]\ntargets: [syscall:openat]\n");
    assert_false(config_target_find(config, "syscall:openat")->optional);
    assert_true(config_target_find(config, "syscall:read")->optional);
    assert_true(config_target_find(config, "syscall:write")->optional);
    assert_false(config_target_find(config, "syscall:close")->optional);
}

static void the_operators_own_line_wins_wherever_it_stands(void **state)
{
    const struct folder *folder = *state;
    make_presets(folder);
    make_conf_d(folder);
    write_file(folder, "conf.d/z.yaml", "targets: [{target: syscall:write, errors: negative}]\n");
    _cleanup_(config_free_cleanup) struct config *config = load_text(folder, "presets: [two]\n");
    assert_int_equal(config->targets_count, 2);
    const struct config_target *own = config_target_find(config, "syscall:write");
    assert_int_equal(own->error_rule, LORIS_ERROR_NEGATIVE);
    assert_int_equal(own->sample_shift, 0);
    assert_false(own->optional);
}

static void of_two_presets_the_first_one_wins(void **state)
{
    make_presets(*state);
    write_file(*state, "presets/other.yaml",
               "targets: [{target: syscall:write, errors: zero}, syscall:close]\n");
    _cleanup_(config_free_cleanup) struct config *config =
        load_text(*state, "presets: [two, other, two]\n");
    assert_int_equal(config->targets_count, 3);
    assert_int_equal(config_target_find(config, "syscall:write")->error_rule, LORIS_ERROR_ERRNO);
}

static void the_operators_own_rule_replaces_that_of_a_preset(void **state)
{
    static const char rule[] = "alerts:\n- {alert: slow, probe: 'syscall:*', metric: p99, "
                               "above: 200ms, labels: {goal: mine}}\n"
                               "- {alert: slow, probe: 'syscall:*', metric: p99, above: 1s, "
                               "severity: critical, labels: {goal: mine}}\n";
    make_in(*state, "presets");
    write_file(*state, "presets/goal.yaml", rule);
    _cleanup_(config_free_cleanup) struct config *config =
        load_text(*state, "presets: [goal]\nalerts:\n- {alert: slow, probe: 'syscall:f*', "
                          "metric: p95, above: 7ms, labels: {goal: mine}}\n");
    assert_int_equal(config->rules_count, 2);
    assert_string_equal(config->rules[0].probe, "syscall:f*");
    assert_int_equal(config->rules[1].severity, ALERT_CRITICAL);
    assert_string_equal(config->rules[1].probe, "syscall:*");
}

static void a_name_leads_nowhere_else(void **state)
{
    static const char *const wrong[] = {"../secret", "/etc/passwd", "a/b", "..",      ".",
                                        "-rf",       "two.yaml",    "a b", "\\u00e4", "two:1"};
    make_presets(*state);
    write_file(*state, "secret.yaml", "targets: [syscall:close]\n");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char content[128];
        snprintf(content, sizeof(content), "presets: [\"%s\"]\n", wrong[i]);
        assert_refused(*state, content, "1:11", "is not the name of a preset", "letters, digits");
        struct config_preset preset = {0};
        struct diag diag = {0};
        _cleanup_(config_free_cleanup) struct config *asker = load_text(*state, "");
        assert_int_equal(config_preset_load(asker, wrong[i], &preset, &diag), -EINVAL);
        assert_null(preset.content);
    }
    assert_refused(*state, "presets: [\"\"]\n", "1:11", "is not the name", "letters, digits");
    char content[128];
    snprintf(content, sizeof(content), "presets: [%064d]\n", 1);
    assert_refused(*state, content, "1:11", "is not the name of a preset", "at most 63");
}

static void names_the_nearest_presets(void **state)
{
    make_presets(*state);
    write_file(*state, "presets/postgres-elsewhere.yaml", "targets: [syscall:close]\n");
    assert_refused(*state, "targets: []\npresets:\n  - postgre-elsewhere\n", "3:5",
                   "there is no preset postgre-elsewhere", "postgres-elsewhere");
    assert_refused(*state, "presets: [quite-something-else]\n", "1:11",
                   "there is no preset quite-something-else", "/etc/loris/presets");
}

static void refuses_what_is_no_list_of_names(void **state)
{
    make_presets(*state);
    assert_refused(*state, "presets: two\n", "1:10", "is not a list", "[postgres-client, tls]");
    assert_refused(*state, "presets:\n", "1:9", "has no value", "[] for none");
    assert_refused(*state, "presets: [{two: 1}]\n", "1:11", "does not belong here", "letters");
    char content[2048] = "presets:\n";
    for (unsigned i = 0; i < CONFIG_PRESETS_MAX + 1; i++)
        snprintf(content + strlen(content), sizeof(content) - strlen(content), "- p%u\n", i);
    assert_refused(*state, content, "66:3", "is one preset too many", "at most 64");
}

/* what: "LINE:COLUMN: ..." in presets/wrong.yaml */
static void assert_wrong_preset(const struct folder *folder, const char *content, const char *what)
{
    write_file(folder, "presets/wrong.yaml", content);
    write_file(folder, "loris.yaml", "interval: 5s\npresets: [two, wrong]\n");
    struct diag diag;
    char place[256], asked[256];
    assert_int_equal(refused(folder, &diag), -EINVAL);
    snprintf(place, sizeof(place), "%s/presets/wrong.yaml:%s", folder->path, what);
    snprintf(asked, sizeof(asked), "preset wrong is asked for in %s:2:16", folder->main_file);
    if (!strstr(diag.what, place) || strncmp(diag.hint, asked, strlen(asked)) != 0)
        fail_msg("%s\nexpected %s (%s), got\n%s (%s)", content, place, asked, diag.what, diag.hint);
}

static void says_where_a_preset_is_wrong_and_who_asked_for_it(void **state)
{
    make_presets(*state);
    assert_wrong_preset(*state, "targets:\n- bogus:thing\n", "2:3: ");
    assert_wrong_preset(*state, "targets:\n\t- x\n", "2:1: ");
    assert_wrong_preset(*state, "", "1:1: the preset is empty");
    assert_wrong_preset(*state, "# nothing\n", "1:1: the preset is empty");
    assert_wrong_preset(*state, "memory_budget: 64MiB\n", "1:1: unknown key memory_budget");
    assert_wrong_preset(*state, "presets: [two]\n", "1:1: unknown key presets");
    assert_wrong_preset(*state, "target: []\n", "1:1: unknown key target");
    assert_wrong_preset(*state, "description: [a]\n", "1:14: description: a list");
    assert_wrong_preset(*state, "targets: [syscall:close, syscall:close]\n",
                        "1:26: syscall:close is watched already");
    assert_wrong_preset(*state, "alerts: [{alert: a}]\n", "1:10: ");
}

static void refuses_presets_that_are_no_files(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    make_presets(folder);
    make_in(folder, "presets/folder.yaml");
    struct diag diag;
    write_file(folder, "loris.yaml", "presets: [folder]\n");
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "folder.yaml: not a regular file"));
    snprintf(path, sizeof(path), "%s/presets/pipe.yaml", folder->path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not hang */
    write_file(folder, "loris.yaml", "presets: [pipe]\n");
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "pipe.yaml: not a regular file"));
    assert_non_null(strstr(diag.hint, "preset pipe is asked for in"));
}

static void finds_the_versions_that_are_installed(void **state)
{
    const struct folder *folder = *state;
    char content[512];
    make_presets(folder);
    make_in(folder, "v1");
    make_in(folder, "v2");
    make_in(folder, "v3");
    write_file(folder, "v1/program", "");
    write_file(folder, "v2/program", "");
    snprintf(content, sizeof(content),
             "targets:\n- {target: 'user:%s/v*/program:work*', errors: zero}\n"
             "- usdt:%s/*/nothing:a:b..c\n- user:lib*.so:work\n",
             folder->path, folder->path);
    write_file(folder, "presets/versions.yaml", content);
    snprintf(content, sizeof(content), "presets: [versions]\ntargets: ['user:%s/v*/other:work']\n",
             folder->path);
    _cleanup_(config_free_cleanup) struct config *config = load_text(folder, content);
    assert_int_equal(config->targets_count, 5);
    for (unsigned version = 1; version <= 2; version++) {
        snprintf(content, sizeof(content), "user:%s/v%u/program:work*", folder->path, version);
        const struct config_target *target = config_target_find(config, content);
        assert_non_null(target);
        assert_int_equal(target->error_rule, LORIS_ERROR_ZERO);
    }
    /* What matches nothing stays, and is refused in words; sonames and own lines are as written. */
    snprintf(content, sizeof(content), "usdt:%s/*/nothing:a:b..c", folder->path);
    assert_non_null(config_target_find(config, content));
    assert_non_null(config_target_find(config, "user:lib*.so:work"));
    snprintf(content, sizeof(content), "user:%s/v*/other:work", folder->path);
    assert_non_null(config_target_find(config, content));
}

static void loads_one_preset_by_itself(void **state)
{
    make_presets(*state);
    _cleanup_(config_free_cleanup) struct config *asker =
        load_text(*state, "targets: [syscall:write]\n");
    _cleanup_(config_preset_done) struct config_preset preset = {0};
    struct diag diag = {0};
    assert_int_equal(config_preset_load(asker, "two", &preset, &diag), 0);
    assert_string_equal(preset.description, "two calls");
    assert_int_equal(preset.content->targets_count, 2);
    assert_int_equal(asker->targets_count, 1);
    struct config_preset none = {0};
    write_file(*state, "presets/only_two.yaml", "targets: [syscall:close]\n");
    assert_int_equal(config_preset_load(asker, "only_too", &none, &diag), -ENOENT);
    assert_non_null(strstr(diag.hint, "only_two"));
}

static void lists_each_name_once_and_in_order(void **state)
{
    make_presets(*state);
    write_file(*state, "presets/zz.yaml", "");
    write_file(*state, "presets/a.yaml", "");
    write_file(*state, "presets/.hidden.yaml", "");
    write_file(*state, "presets/with blank.yaml", "");
    write_file(*state, "presets/b.yaml~", "");
    write_file(*state, "presets/.yaml", "");
    _cleanup_(config_free_cleanup) struct config *asker = load_text(*state, "");
    _cleanup_(config_preset_names_done) struct config_preset_names names = {0};
    assert_int_equal(config_preset_names_find(asker, &names), 0);
    unsigned found = 0; /* the machine may have some in /etc/loris/presets */
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.names[i];
        assert_true(i == 0 || strcmp(names.names[i - 1], name) < 0);
        assert_null(strpbrk(name, " .~"));
        found += !strcmp(name, "a") || !strcmp(name, "two") || !strcmp(name, "zz");
    }
    assert_int_equal(found, 3);
}

/* When the test runs in the source tree, as `make check-unit` does. */
static void accepts_every_shipped_preset(void **state)
{
    glob_t found;
    if (glob("packaging/presets/*.yaml", 0, NULL, &found) != 0) {
        print_message("packaging/presets is not below the working directory\n");
        skip();
    }
    make_in(*state, "presets");
    assert_true(found.gl_pathc >= 20);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[CONFIG_PRESET_BYTES + 8], link[PATH_MAX], target[PATH_MAX];
        assert_non_null(realpath(found.gl_pathv[i], target));
        snprintf(name, sizeof(name), "%s", strrchr(target, '/') + 1);
        snprintf(link, sizeof(link), "%s/presets/%s", ((struct folder *)*state)->path, name);
        assert_int_equal(symlink(target, link), 0);
        name[strlen(name) - strlen(".yaml")] = '\0';
        _cleanup_(config_free_cleanup) struct config *asker = load_text(*state, "");
        _cleanup_(config_preset_done) struct config_preset preset = {0};
        struct diag diag = {0};
        if (config_preset_load(asker, name, &preset, &diag) < 0)
            fail_msg("%s (%s)", diag.what, diag.hint);
        assert_true(preset.description[0] != '\0');
        assert_true(preset.content->targets_count > 0);
        for (size_t k = 0; k < preset.content->targets_count; k++)
            assert_true(preset.content->targets[k].optional);
        assert_int_equal(strncmp(name, "goal-", 5) == 0, preset.content->rules_count > 0);
    }
    globfree(&found);
}

static void load_and_free(void *context)
{
    const struct folder *folder = context;
    struct config *config = NULL;
    struct diag diag = {0};
    int r = config_load(folder->main_file, &config, &diag);
    assert_true(r == 0 || (r < 0 && diag.what[0]));
    config_free(config);
}

static void survives_every_failed_allocation(void **state)
{
    const struct folder *folder = *state;
    char content[256];
    make_presets(folder);
    make_in(folder, "v1");
    write_file(folder, "v1/program", "");
    snprintf(content, sizeof(content),
             "description: d\ntargets: ['user:%s/v*/program:work']\n"
             "alerts: [{alert: a, probe: p, metric: p99, above: 1ms}]\n",
             folder->path);
    write_file(folder, "presets/all.yaml", content);
    write_file(folder, "loris.yaml", "presets: [two, all]\n");
    assert_in_range(failing_alloc_each(load_and_free, *state), 50, 2000);
    write_file(folder, "loris.yaml", "presets: [nowhere]\n");
    assert_in_range(failing_alloc_each(load_and_free, *state), 10, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(adds_the_targets_of_presets_behind_those_of_files),
        IN_FOLDER(targets_of_presets_are_optional_unless_they_say_otherwise),
        IN_FOLDER(the_operators_own_line_wins_wherever_it_stands),
        IN_FOLDER(of_two_presets_the_first_one_wins),
        IN_FOLDER(the_operators_own_rule_replaces_that_of_a_preset),
        IN_FOLDER(a_name_leads_nowhere_else),
        IN_FOLDER(names_the_nearest_presets),
        IN_FOLDER(refuses_what_is_no_list_of_names),
        IN_FOLDER(says_where_a_preset_is_wrong_and_who_asked_for_it),
        IN_FOLDER(refuses_presets_that_are_no_files),
        IN_FOLDER(finds_the_versions_that_are_installed),
        IN_FOLDER(loads_one_preset_by_itself),
        IN_FOLDER(lists_each_name_once_and_in_order),
        IN_FOLDER(accepts_every_shipped_preset),
        IN_FOLDER(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
