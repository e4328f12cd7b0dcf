/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/text.h"

static void appends_and_terminates(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    text_append(&text, "", 0);
    assert_null(text.bytes);
    text_append_string(&text, "redis");
    text_append_format(&text, "-%d.%s", 7, "service");
    assert_string_equal(text.bytes, "redis-7.service");
    assert_int_equal(text.length, strlen(text.bytes));
    text_append(&text, "a\0b", 3);
    assert_int_equal(text.length, 18);
    text_clear(&text);
    assert_int_equal(text.length, 0);
    assert_string_equal(text.bytes, "");
    assert_int_equal(text.failed, 0);
}

static void grows_through_every_length(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    for (unsigned i = 0; i < 3000; i++) {
        text_append_format(&text, "%c", 'a' + (int)(i % 26));
        assert_int_equal(text.length, i + 1);
    }
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(text.bytes[i], 'a' + (int)(i % 26));
    text_append_format(&text, "%5000s", "x"); /* longer than what is left, in one piece */
    assert_int_equal(text.failed, 0);
    assert_int_equal(text.length, 8000);
    assert_int_equal(text.bytes[7999], 'x');
}

static void refuses_what_exceeds_max_bytes_once_and_for_all(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {.max_bytes = 10};
    text_append_string(&text, "0123456789");
    assert_int_equal(text.failed, 0);
    text_append_string(&text, "x");
    assert_int_equal(text.failed, -E2BIG);
    assert_string_equal(text.bytes, "0123456789");
    text_clear(&text);
    text_append_string(&text, "01234567");
    text_append_format(&text, "%d", 1234);
    assert_int_equal(text.failed, -E2BIG);
    text_append_string(&text, "8"); /* would fit, but what came before it is missing */
    assert_int_equal(text.length, 8);
    assert_string_equal(text.bytes, "01234567");
    text_clear(&text);
    text_append_string(&text, "again");
    assert_string_equal(text.bytes, "again");
}

static void fill_text(void *context)
{
    (void)context;
    _cleanup_text_ struct text text = {0};
    for (int i = 0; i < 200; i++)
        text_append_format(&text, "%d,", i);
    assert_true(text.failed == 0 || text.failed == -ENOMEM);
    if (text.bytes)
        assert_int_equal(strlen(text.bytes), text.length);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(fill_text, NULL), 2, 20);
}

static void globs_match_like_fnmatch(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *string;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"**", "abc", true},
        {"vfs_*", "vfs_read", true},
        {"vfs_*", "vfs_", true},
        {"vfs_*", "vf", false},
        {"*read", "vfs_read", true},
        {"*read", "vfs_reads", false},
        {"*re*ad*", "pre-read-ahead", true},
        {"a*b*c", "aXbYcZc", true},
        {"a*b*c", "aXbYcZ", false},
        {"t?p", "tcp", true},
        {"t?p", "tp", false},
        {"?", "", false},
        {"tcp_[rs]end", "tcp_send", true},
        {"tcp_[!rs]end", "tcp_send", false},
        {"tcp_[^rs]end", "tcp_lend", true},
        {"[a-cx]1", "b1", true},
        {"[a-cx]1", "d1", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[]-a]", "^", true},
        {"[a-]", "-", true},
        {"[[:digit:]]*", "7up", true},
        {"[[:digit:][:upper:]]", "Q", true},
        {"[[:digit:]]", "q", false},
        {"[[:nothing:]]", "n", false},
        {"[ab", "[ab", true},
        {"[ab", "a", false},
        {"[", "[", true},
        {"*[", "x[", true},
        {"\\*", "\\abc", true},
        {"\\*", "*", false},
        {"user:*:ngx_*", "user:/usr/sbin/nginx:ngx_http", true},
        {"kworker*", "kworker/0:1", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (glob_matches(cases[i].pattern, cases[i].string) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].string);
    assert_true(glob_is("vfs_*"));
    assert_true(glob_is("a?"));
    assert_true(glob_is("[a]"));
    assert_false(glob_is("vfs_read"));
}

static void a_hostile_glob_ends_soon(void **state)
{
    (void)state;
    char pattern[400], string[2001];
    for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 3);
    pattern[sizeof(pattern) - 2] = 'b';
    pattern[sizeof(pattern) - 1] = '\0';
    memset(string, 'a', sizeof(string) - 1);
    string[sizeof(string) - 1] = '\0';
    assert_false(glob_matches(pattern, string));
}

/* The textbook matrix. */
static unsigned plain_distance(const char *left, const char *right)
{
    unsigned cost[16][16];
    size_t rows = strlen(left), columns = strlen(right);
    for (unsigned i = 0; i <= rows; i++) {
        for (unsigned j = 0; j <= columns; j++) {
            unsigned best = i == 0   ? j
                            : j == 0 ? i
                                     : cost[i - 1][j - 1] + (left[i - 1] != right[j - 1]);
            if (i > 0 && cost[i - 1][j] + 1 < best)
                best = cost[i - 1][j] + 1;
            if (j > 0 && cost[i][j - 1] + 1 < best)
                best = cost[i][j - 1] + 1;
            cost[i][j] = best;
        }
    }
    return cost[rows][columns];
}

static void edit_distance_agrees_with_the_plain_matrix(void **state)
{
    (void)state;
    unsigned random = 12345;
    for (int round = 0; round < 20000; round++) {
        char words[2][12];
        for (int w = 0; w < 2; w++) {
            unsigned length = (random = random * 1103515245 + 12345) >> 16 & 7;
            for (unsigned i = 0; i < length; i++)
                words[w][i] = "abc"[((random = random * 1103515245 + 12345) >> 16) % 3];
            words[w][length] = '\0';
        }
        unsigned truth = plain_distance(words[0], words[1]);
        for (unsigned limit = 0; limit < 10; limit++)
            assert_int_equal(edit_distance(words[0], words[1], limit),
                             truth <= limit ? truth : limit + 1);
    }
    assert_int_equal(edit_distance("vfs_raed", "vfs_read", 3), 2);
    assert_int_equal(edit_distance("", "", 0), 0);
}

static void edit_distance_limit_is_bounded(void **state)
{
    (void)state;
    char left[200], right[200];
    memset(left, 'a', sizeof(left));
    memset(right, 'b', sizeof(right));
    left[199] = right[199] = '\0';
    assert_int_equal(edit_distance(left, right, 1000), EDIT_DISTANCE_LIMIT_MAX + 1);
    assert_int_equal(edit_distance(left, left, EDIT_DISTANCE_LIMIT_MAX), 0);
    assert_int_equal(edit_distance(left, "", EDIT_DISTANCE_LIMIT_MAX), EDIT_DISTANCE_LIMIT_MAX + 1);
}

static void knows_well_formed_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t left, expected;
    } cases[] = {
        {"a", 1, 1},
        {"a", 0, 0},
        {"\xc3\xa4", 2, 2},
        {"\xc3\xa4", 1, 0},
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xc3\x41", 2, 0},
        {"\x80", 1, 0},
        {"\xe2\x82\xac", 3, 3},
        {"\xe0\x9f\xbf", 3, 0},
        {"\xe0\xa0\x80", 3, 3},
        {"\xed\xa0\x80", 3, 0},
        {"\xed\x9f\xbf", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf0\x9f\x98\x80", 3, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_utf8_bytes(cases[i].bytes, cases[i].left), cases[i].expected);
}

static void sanitizes_what_a_terminal_would_obey(void **state)
{
    (void)state;
    char out[17];
    text_sanitize("redis-server", 16, out);
    assert_string_equal(out, "redis-server");
    text_sanitize("0123456789abcdefNOT", 16, out);
    assert_string_equal(out, "0123456789abcdef");
    text_sanitize("a\x1b[31m\n\x7f", 16, out);
    assert_string_equal(out, "a?[31m??");
    text_sanitize("\xc2\x9b"
                  "x\xc3\xa4",
                  16, out); /* C1 CSI goes, an umlaut stays */
    assert_string_equal(out, "??x\xc3\xa4");
    text_sanitize("\xe2\x80\xae"
                  "cod",
                  16, out); /* right-to-left override */
    assert_string_equal(out, "???cod");
    text_sanitize("\xe2\x82\xac", 2, out); /* cut inside a character, as the kernel cuts a comm */
    assert_string_equal(out, "??");
    char in_place[] = "x\x01y";
    text_sanitize(in_place, 3, in_place);
    assert_string_equal(in_place, "x?y");
    text_sanitize("", 16, out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_terminates),
        cmocka_unit_test(grows_through_every_length),
        cmocka_unit_test(refuses_what_exceeds_max_bytes_once_and_for_all),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(globs_match_like_fnmatch),
        cmocka_unit_test(a_hostile_glob_ends_soon),
        cmocka_unit_test(edit_distance_agrees_with_the_plain_matrix),
        cmocka_unit_test(edit_distance_limit_is_bounded),
        cmocka_unit_test(knows_well_formed_utf8),
        cmocka_unit_test(sanitizes_what_a_terminal_would_obey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
