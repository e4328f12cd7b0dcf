/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct target parse(const char *text)
{
    struct target target;
    struct diag diag = {0};
    if (target_parse(text, &target, &diag) < 0)
        fail_msg("%s", diag.what);
    assert_string_equal(target.text, text);
    return target;
}

static void refuse(const char *text, const char *what, const char *hint)
{
    struct target target = {.object_pid = 77};
    struct diag diag = {0};
    assert_int_equal(target_parse(text, &target, &diag), -EINVAL);
    assert_int_equal(target.object_pid, 77);
    if (!strstr(diag.what, what))
        fail_msg("'%s' lacks '%s'", diag.what, what);
    if (!strstr(diag.hint, hint))
        fail_msg("hint '%s' lacks '%s'", diag.hint, hint);
}

static void parses_names_in_the_kernel(void **state)
{
    (void)state;
    struct target target = parse("kernel:tcp_*");
    assert_int_equal(target.kind, TARGET_KERNEL);
    assert_string_equal(target.name, "tcp_*");
    assert_string_equal(target.object, "");
    target = parse("syscall:open[a-z]?");
    assert_int_equal(target.kind, TARGET_SYSCALL);
    target = parse("span:block-io");
    assert_int_equal(target.kind, TARGET_SPAN);
    assert_string_equal(target_kind_name(target.kind), "span");
}

static void parses_functions_of_objects(void **state)
{
    (void)state;
    struct target target = parse("user:libc.so.6:malloc");
    assert_int_equal(target.kind, TARGET_USER);
    assert_string_equal(target.object, "libc.so.6");
    assert_string_equal(target.name, "malloc");
    target = parse("user:/opt/a b/x:ns::f(int, char)");
    assert_string_equal(target.object, "/opt/a b/x");
    assert_string_equal(target.name, "ns::f(int, char)");
    target = parse("user:pid:4194304:ns::f");
    assert_string_equal(target.object, "");
    assert_int_equal(target.object_pid, 4194304);
    assert_string_equal(target.name, "ns::f");
}

static void parses_pairs_of_marks(void **state)
{
    (void)state;
    struct target target = parse("usdt:/bin/x:shop:sell__start..sell__done");
    assert_int_equal(target.kind, TARGET_USDT);
    assert_string_equal(target.object, "/bin/x");
    assert_string_equal(target.provider, "shop");
    assert_string_equal(target.name, "sell__start");
    assert_string_equal(target.end_name, "sell__done");
}

static void says_what_is_wrong_and_what_was_probably_meant(void **state)
{
    (void)state;
    refuse("", "empty", "syscall:openat");
    refuse("openat", "does not say what kind", "syscall:openat");
    refuse("run-queue", "does not say what kind", "span:run-queue");
    refuse("/usr/bin/redis-server", "does not say what kind",
           "user:/usr/bin/redis-server:FUNCTION");
    refuse("vfs_frobnicate", "does not say what kind", "kernel:vfs_frobnicate");
    refuse("libc.so.6:malloc", "no known kind", "user:libc.so.6:malloc");
    refuse("uesr:libc.so.6:malloc", "no known kind", "did you mean user:libc.so.6:malloc?");
    refuse("heap:", "the object is empty", "heap:libc.so.6");
    refuse("heap:libc.so.6:malloc", "names none", "heap:libc.so.6");
    refuse("heap:pid:0", "a pid is a number", "");
    refuse("heap:pid:", "a pid is a number", "");
    refuse("kmem:slub", "slab or pages", "kmem:slab");
    refuse("user:libc.so.6", "names no function", "user:libc.so.6:malloc");
    refuse("user::malloc", "the object is empty", "");
    refuse("user:libc.so.6:", "the function is empty", "");
    refuse("user:pid:0:main", "a pid is a number", "");
    refuse("user:pid:4194305:main", "a pid is a number", "");
    refuse("user:pid:12x:main", "a pid is a number", "");
    refuse("user:pid:12", "names no function", "");
    refuse("usdt:x:shop:sell", "needs two, BEGIN..END", "");
    refuse("usdt:x:shop", "need an object, a provider and two marks", "");
    refuse("usdt:x:shop:..b", "empty", "");
    refuse("usdt:x:shop:a*..b", "not by pattern", "");
    refuse("usdt:pid:7:shop:a..b", "given by file", "");
    refuse("kernel:", "the name is empty", "");
    refuse("kernel:vfs read", "no such name has", "");
    refuse("span:block_io!/", "no such name has", "");
}

static void refuses_control_characters_and_excess(void **state)
{
    (void)state;
    char text[2 * TARGET_TEXT_MAX];
    refuse("user:x:\033[2J", "control characters", "");
    refuse("user:x:a\nb", "control characters", "");
    refuse("user:x:\xc2\x9b", "control characters", "");
    memset(text, 'a', sizeof(text));
    memcpy(text, "user:x:", 7);
    text[TARGET_TEXT_MAX - 1] = '\0';
    assert_int_equal(strlen(parse(text).name), TARGET_TEXT_MAX - 1 - 7);
    text[TARGET_TEXT_MAX - 1] = 'a';
    text[TARGET_TEXT_MAX] = '\0';
    refuse(text, "longer than 511 characters", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_names_in_the_kernel),
        cmocka_unit_test(parses_functions_of_objects),
        cmocka_unit_test(parses_pairs_of_marks),
        cmocka_unit_test(says_what_is_wrong_and_what_was_probably_meant),
        cmocka_unit_test(refuses_control_characters_and_excess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
