/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_folder.h"

static void names_both_places_of_a_target_that_is_there_twice(void **state)
{
    const struct folder *folder = *state;
    make_conf_d(folder);
    write_file(folder, "loris.yaml", "targets:\n- syscall:read\n- syscall:openat\n");
    write_file(folder, "conf.d/web.yaml", "\ntargets:\n  - target: syscall:openat\n");
    struct diag diag;
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "/conf.d/web.yaml:3:5: syscall:openat is watched already"));
    char first[160];
    snprintf(first, sizeof(first), "%s:3", folder->main_file);
    assert_non_null(strstr(diag.hint, first));

    write_file(folder, "conf.d/web.yaml", "");
    assert_refused(folder, "targets: [syscall:read, syscall:read]\n", "1:25",
                   "syscall:read is watched already", "loris.yaml:1; keep one");
}

static void refuses_wrong_targets(void **state)
{
    assert_refused(*state, "targets: syscall:read\n", "1:10", "is not a list", "one a line");
    assert_refused(*state, "targets:\n", "1:9", "targets: has no value", "[] for none");
    assert_refused(*state, "targets:\n- syscall:read\n- bogus:thing\n", "3:3", "bogus", "");
    assert_refused(*state, "targets:\n- preset:tls\n", "2:3", "no known kind", "presets: [tls]");
    assert_refused(*state, "targets:\n- errors: errno\n", "2:3", "is missing", "a key target:");
    assert_refused(*state, "targets:\n-\n", "2:2", "has no value", "a target such as");
    assert_refused(*state, "targets:\n- [syscall:read]\n", "2:3", "a list does not belong here",
                   "a target such as");
    assert_refused(*state, "targets:\n- {target: syscall:read, errors: enoent}\n", "2:34",
                   "errors: \"enoent\" is not an error rule", "nonzero or errno");
    assert_refused(*state, "targets:\n- {target: syscall:read, attach: ptrace}\n", "2:34",
                   "not a way to attach", "uprobe-multi");
    assert_refused(*state, "targets:\n- {target: syscall:read, force: yes}\n", "2:33",
                   "neither true nor false", "true or false");
}

static void refuses_wrong_shares_of_calls(void **state)
{
#define SAMPLE(text) "targets:\n- {target: syscall:read, sample: " text "}\n"
    assert_refused(*state, SAMPLE("1/100"), "2:34", "sample: \"1/100\" is no share of calls",
                   "a power of two from 1 to 1024");
    assert_refused(*state, SAMPLE("1/2048"), "2:34", "is no share of calls", "1 to 1024");
    assert_refused(*state, SAMPLE("128"), "2:34", "is no share of calls", "for example 1/128");
    assert_refused(*state, SAMPLE("1%"), "2:34", "is no share of calls", "for example 1/128");
    assert_refused(*state, SAMPLE("[1/2]"), "2:34", "a list does not belong here", "1/128");
    assert_refused(*state, SAMPLE(""), "2:34", "has no value", "1/128");
#undef SAMPLE
}

static void refuses_wrong_filters(void **state)
{
#define FILTER(text) "targets:\n- {target: syscall:read, filter: " text "}\n"
    assert_refused(*state, FILTER("{}"), "2:34", "has no condition", "at least one of pids:");
    assert_refused(*state, FILTER("{follow: true}"), "2:34", "has no condition", "at least one");
    assert_refused(*state, FILTER("{comm: a, follow: true}"), "2:34", "follows nothing", "pids:");
    assert_refused(*state, FILTER("{pids: 7}"), "2:41", "is not a list", "[1234, 5678]");
    assert_refused(*state, FILTER("{pids: []}"), "2:41", "is empty", "[1234, 5678]");
    assert_refused(*state, FILTER("{pids: [0]}"), "2:42", "not a process id", "1 to 4194304");
    assert_refused(*state, FILTER("{pids: [4194305]}"), "2:42", "not a process id", "4194304");
    assert_refused(*state, FILTER("{pids: [-1]}"), "2:42", "not a process id", "1 to 4194304");
    assert_refused(*state, FILTER("{pids: [5, 9, 5]}"), "2:48", "listed twice", "once");
    assert_refused(*state, FILTER("{comm: sixteen-letters-}"), "2:41", "is too long", "15 bytes");
    assert_refused(*state, FILTER("{comm: \"\"}"), "2:41", "is empty", "15 bytes");
#undef FILTER
}

static void targets_may_share_a_filter(void **state)
{
    static char big[8192];
    size_t at = (size_t)sprintf(big, "targets:\n");
    for (unsigned i = 0; i < 3 * (LORIS_FILTERS_MAX - 1); i++)
        at += (size_t)sprintf(big + at, "- {target: kernel:f%u, filter: {pids: [%u]}}\n", i,
                              i / 3 + 1);
    _cleanup_(config_free_cleanup) struct config *config = load_text(*state, big);
    assert_int_equal(config->targets_count, 93);
    assert_true(config_filter_equal(&config->targets[0].filter, &config->targets[2].filter));
    assert_false(config_filter_equal(&config->targets[0].filter, &config->targets[3].filter));
}

static void finds_what_a_reload_changed(void **state)
{
    _cleanup_(config_free_cleanup) struct config *before = load_text(*state, every_key);
    _cleanup_(config_free_cleanup) struct config *same = load_text(*state, every_key);
    for (size_t i = 0; i < before->targets_count; i++) {
        const struct config_target *found = config_target_find(same, before->targets[i].text);
        assert_non_null(found);
        assert_true(config_target_equal(found, &before->targets[i]));
    }
    assert_null(config_target_find(same, "syscall:open"));

    struct config_target changed = before->targets[1];
    changed.line++;
    changed.file++;
    assert_true(config_target_equal(&changed, &before->targets[1]));
#define ASSERT_DIFFERS(change)                                                                     \
    do {                                                                                           \
        changed = before->targets[1];                                                              \
        change;                                                                                    \
        assert_false(config_target_equal(&changed, &before->targets[1]));                          \
    } while (0)
    ASSERT_DIFFERS(strcpy(changed.text, "user:libc.so.6:free"));
    ASSERT_DIFFERS(changed.has_error_rule = false);
    ASSERT_DIFFERS(changed.error_rule = LORIS_ERROR_ERRNO);
    ASSERT_DIFFERS(changed.attach = ATTACH_UPROBE);
    ASSERT_DIFFERS(changed.sample_shift++);
    ASSERT_DIFFERS(changed.force = false);
    ASSERT_DIFFERS(changed.optional = false);
    ASSERT_DIFFERS(changed.filter.pids_count = 2);
    ASSERT_DIFFERS(changed.filter.pids[1] = 11);
    ASSERT_DIFFERS(changed.filter.comm[0] = 'x');
    ASSERT_DIFFERS(changed.filter.unit[0] = 'x');
    ASSERT_DIFFERS(changed.filter.follow = false);
#undef ASSERT_DIFFERS
}

static void a_share_of_calls_is_one_of_a_power_of_two(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",      "1",    "128",   "1/",    "1/0",   "1/3",
        "1/100", "2/4",  "0/2",   "1/-2",  "1/+2",  "1/2048",
        " 1/2",  "1/2 ", "1 / 2", "1/0x8", "1/2.0", "1/18446744073709551618",
        "0.5",   "50%",  "none",  "all",   "1/2/2", "1/1e3",
    };
    uint8_t shift = 99;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (config_sample_parse(wrong[i], &shift) != -EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
    assert_int_equal(shift, 99);
    for (uint8_t expected = 0; expected <= LORIS_THIN_MAX; expected++) {
        char word[16];
        snprintf(word, sizeof(word), "1/%u", 1u << expected);
        assert_int_equal(config_sample_parse(word, &shift), 0);
        assert_int_equal(shift, expected);
    }
}

static void the_words_of_choices_read_back(void **state)
{
    (void)state;
    for (uint8_t rule = LORIS_ERROR_NEVER; rule <= LORIS_ERROR_ERRNO; rule++) {
        uint8_t read_back = 99;
        assert_int_equal(config_error_rule_parse(config_error_rule_name(rule), &read_back), 0);
        assert_int_equal(read_back, rule);
    }
    for (int i = CONFIG_BY_PROCESS; i <= CONFIG_BY_NONE; i++) {
        enum config_group read_back = CONFIG_BY_PROCESS;
        assert_int_equal(config_group_parse(config_group_name(i), &read_back), 0);
        assert_int_equal(read_back, i);
    }
    uint8_t rule = 0;
    assert_int_equal(config_error_rule_parse("", &rule), -EINVAL);
    assert_string_equal(config_error_rule_name(200), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(names_both_places_of_a_target_that_is_there_twice),
        IN_FOLDER(refuses_wrong_targets),
        IN_FOLDER(refuses_wrong_shares_of_calls),
        IN_FOLDER(refuses_wrong_filters),
        IN_FOLDER(targets_may_share_a_filter),
        IN_FOLDER(finds_what_a_reload_changed),
        cmocka_unit_test(a_share_of_calls_is_one_of_a_power_of_two),
        cmocka_unit_test(the_words_of_choices_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
