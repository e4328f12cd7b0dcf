/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_folder.h"

static void refuses_what_plain_yaml_would_allow(void **state)
{
    assert_refused(*state, "interval: &a 1s\n", "1:11", "the anchor &a", "quotes");
    assert_refused(*state, "rings: &a {}\n", "1:8", "the anchor &a", "write the value out");
    assert_refused(*state, "targets: &a []\n", "1:10", "the anchor &a", "write the value out");
    assert_refused(*state, "interval: *a\n", "1:11", "the alias *a", "quotes");
    assert_refused(*state, "*a : 1\n", "1:1", "the alias *a", "quotes");
    assert_refused(*state, "interval: !!str 1s\n", "1:11", "the tag", "quotes");
    assert_refused(*state, "interval: ! 1s\n", "1:11", "the tag !", "quotes");
    assert_refused(*state, "rings: !!map {}\n", "1:8", "the tag", "write the value out");
    assert_refused(*state, "%YAML 1.1\n---\ninterval: 1s\n", "1:1", "directives", "%");
    assert_refused(*state, "interval: 1s\n---\ninterval: 1s\n", "2:1", "second document",
                   "one document");
    assert_refused(*state, "? [a]\n: b\n", "1:3", "a key that is not a word", "key: value");
    assert_refused(*state, "? {a: b}\n: b\n", "1:3", "a key that is not a word", "key: value");
    assert_refused(*state, "\"\": b\n", "1:1", "a key that is not a word", "key: value");
    assert_refused(*state, "socket: \"/a\\nb\"\n", "1:9", "control character", "one line");
    assert_refused(*state, "socket: \"/a\\0b\"\n", "1:9", "control character", "one line");
    assert_refused(*state, "socket: |\n  /a\n  b\n", "1:9", "control character", "one line");
}

static void refuses_what_is_no_yaml_with_a_likely_reason(void **state)
{
    assert_refused(*state, "rings:\n\tlatency: auto\n", "2:1", "cannot start any token",
                   "spaces; YAML allows no tabs");
    assert_refused(*state, "socket: @a\n", "1:9", "cannot start any token", "begins with @");
    assert_refused(*state, "summaries:\n  file: -\n", "2:9", "sequence", "\"-\"");
    assert_refused(*state, "interval 10s\nsocket: /a\n", "2:7", "not allowed", "`key: value`");
    assert_refused(*state, "targets: [syscall:read\n", "2:1", "expected", "bracket");
    assert_refused(*state, "socket: \"/a\n", "2:1", "quoted scalar that began in line 1", "quote");
    assert_refused(*state, "socket: \x01\n", "1:9", "control characters", "UTF-8");
    assert_refused(*state, "\ninterval: 1s # \xc3\xa4 \xff\n", "2:18", "UTF-8", "UTF-8");
}

static void bounds_what_a_file_can_make_it_do(void **state)
{
    const struct folder *folder = *state;
    assert_refused(folder, "targets: [[[[[[[[a]]]]]]]]\n", "1:17", "too many levels of nesting",
                   "at most 8");

    static char big[CONFIG_YAML_BYTES_MAX + 2];
    memset(big, '\n', sizeof(big) - 1);
    write_bytes(folder, "loris.yaml", big, CONFIG_YAML_BYTES_MAX);
    _cleanup_(config_free_cleanup) struct config *config = load(folder);
    assert_int_equal(config->targets_count, 0);
    write_bytes(folder, "loris.yaml", big, CONFIG_YAML_BYTES_MAX + 1);
    struct diag diag;
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "too many for a configuration"));

    size_t at = (size_t)sprintf(big, "targets:\n");
    for (unsigned i = 0; i <= CONFIG_YAML_ENTRIES_MAX; i++)
        at += (size_t)sprintf(big + at, "- a\n");
    assert_refused(folder, big, "4098:3", "too many items in one list", "at most 4096");

    at = 0;
    for (unsigned i = 0; i <= CONFIG_YAML_KEYS_MAX; i++)
        at += (size_t)sprintf(big + at, "k%u: a\n", i);
    assert_refused(folder, big, "65:1", "too many keys in one mapping", "at most 64");

    at = (size_t)sprintf(big, "targets:\n");
    for (unsigned i = 0; i <= CONFIG_TARGETS_MAX; i++)
        at += (size_t)sprintf(big + at, "- kernel:f%u\n", i);
    assert_refused(folder, big, "1026:3", "one target too many", "at most 1024");

    at = (size_t)sprintf(big, "targets:\n");
    for (unsigned i = 0; i < LORIS_FILTERS_MAX; i++)
        at += (size_t)sprintf(big + at, "- {target: kernel:f%u, filter: {pids: [%u]}}\n", i, i + 1);
    assert_refused(folder, big, "33:3", "filter is one too many", "at most 31");

    at = (size_t)sprintf(big, "targets: [{target: kernel:f, filter: {pids: [1");
    for (unsigned i = 2; i <= CONFIG_FILTER_PIDS_MAX + 1; i++)
        at += (size_t)sprintf(big + at, ",%u", i);
    strcpy(big + at, "]}}]\n");
    assert_refused(folder, big, "1:229", "one process too many", "at most 64");

    at = (size_t)sprintf(big, "socket: /");
    memset(big + at, 'x', CONFIG_YAML_SCALAR_BYTES);
    strcpy(big + at + CONFIG_YAML_SCALAR_BYTES, "\n");
    assert_refused(folder, big, "1:9", "a text of 4097 bytes", "at most 4095");
}

static void messages_stay_one_line_whatever_the_file_says(void **state)
{
    char big[3000];
    int at = sprintf(big, "interval: ");
    memset(big + at, 'x', 2000);
    strcpy(big + at + 2000, "\n");
    assert_refused(*state, big, "1:11", "xxx...\" is not understood", "1s to 1h");
    memset(big, 'k', 900);
    strcpy(big + 900, ": 1\n");
    assert_refused(*state, big, "1:1", "unknown key kkk", "known here");
}

static void a_message_shows_the_end_of_a_long_path(void **state)
{
    (void)state;
    char path[1000];
    memset(path, 'p', sizeof(path));
    strcpy(path + 900, "/loris.yaml");
    struct diag diag = {0};
    struct config_yaml *yaml = NULL;
    assert_int_equal(config_yaml_parse(path, "a: [\n", 5, &yaml, &diag), -EINVAL);
    assert_memory_equal(diag.what, "...ppp", 6);
    assert_non_null(strstr(diag.what, "/loris.yaml:2:1: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(refuses_what_plain_yaml_would_allow),
        IN_FOLDER(refuses_what_is_no_yaml_with_a_likely_reason),
        IN_FOLDER(bounds_what_a_file_can_make_it_do),
        IN_FOLDER(messages_stay_one_line_whatever_the_file_says),
        cmocka_unit_test(a_message_shows_the_end_of_a_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
