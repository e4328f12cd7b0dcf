/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/listing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#include "elf_fixture.h"
#include "probe/target.h"

struct listed {
    size_t count;
    struct listing_totals totals;
    char targets[8][128];
    char notes[8][128];
    uint64_t offsets[8];
    bool has_object;
};

static void on_listing(const struct listing *listing, void *context)
{
    struct listed *const listed = context;
    if (listed->count < 8) {
        snprintf(listed->targets[listed->count], 128, "%s", listing->target);
        snprintf(listed->notes[listed->count], 128, "%s", listing->note ? listing->note : "");
        listed->offsets[listed->count] = listing->file_offset;
    }
    listed->has_object |= listing->object != NULL;
    listed->count++;
}

static struct listed list(const char *pattern, size_t limit)
{
    struct listed listed = {0};
    struct diag diag = {0};
    const struct listing_request request = {.pattern = pattern, .limit = limit};
    if (listing_find(&request, on_listing, &listed, &listed.totals, &diag) < 0)
        fail_msg("%s", diag.what);
    return listed;
}

static void refuse(const char *pattern, int error, const char *what, const char *hint)
{
    struct listed listed = {0};
    struct diag diag = {0};
    const struct listing_request request = {.pattern = pattern, .limit = 10};
    assert_int_equal(listing_find(&request, on_listing, &listed, &listed.totals, &diag), -error);
    if (!strstr(diag.what, what) || !strstr(diag.hint, hint))
        fail_msg("'%s' (%s) lacks '%s' (%s)", diag.what, diag.hint, what, hint);
}

static void lists_syscalls_and_spans(void **state)
{
    (void)state;
    struct listed listed = list("syscall:openat*", 10);
    assert_int_equal(listed.totals.matched, 2);
    assert_string_equal(listed.targets[0], "syscall:openat");
    assert_false(listed.has_object);
    listed = list("span:", 10);
    assert_int_equal(listed.totals.matched, 4);
    assert_string_equal(listed.targets[0], "span:block-io");
    assert_true(listed.notes[0][0] != '\0');
}

static void stops_at_the_limit_and_counts_on(void **state)
{
    (void)state;
    struct listed listed = list("syscall:*", 3);
    assert_int_equal(listed.count, 3);
    assert_true(listed.totals.matched > 300);
    assert_int_equal(list("syscall:*", 0).count, 0);
}

static void looks_for_a_bare_word_everywhere(void **state)
{
    (void)state;
    struct listed listed = list("openat", 10);
    assert_true(listed.totals.matched >= 1);
    assert_string_equal(listed.targets[0], "syscall:openat");
    assert_string_equal(list("run-queue", 10).targets[0], "span:run-queue");
    refuse("opnat", ENOENT, "no syscall, span or kernel function matches 'opnat'", "openat");
    refuse("/bin/true", EINVAL, "looks like a file", "user:/bin/true");
}

static const char *build_object(struct elf_fixture *elf, bool is_go)
{
    static const uint8_t code[] = {0x90, 0xc3};
    fixture_begin(elf);
    for (unsigned i = 0; i < 4; i++)
        fixture_function(elf, (const char *const[]){"work", "work.isra.0", "idle", "_Z1fi"}[i],
                         4 * i, code, sizeof(code));
    fixture_symbol(elf, "chooses", STT_GNU_IFUNC, FIXTURE_CODE_ADDRESS + 16, 2);
    fixture_symbol_table(elf, SHT_SYMTAB);
    if (is_go)
        fixture_section(elf, ".gopclntab", (Elf64_Shdr){.sh_type = SHT_PROGBITS}, "x", 1);

    uint8_t notes[512];
    static const char marks[][24] = {"shop\0sell__start\0", "shop\0sell__done\0", "shop\0opened\0",
                                     "gate\0opened\0"};
    size_t length = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct {
            uint64_t addresses[3];
            char names[24];
        } mark = {.addresses = {FIXTURE_CODE_ADDRESS + i}};
        memcpy(mark.names, marks[i], sizeof(mark.names));
        length += fixture_note(notes + length, "stapsdt", 3, &mark, sizeof(mark));
    }
    fixture_section(elf, ".note.stapsdt", (Elf64_Shdr){.sh_type = SHT_NOTE}, notes, length);
    return fixture_end(elf);
}

static const char *pattern_of(const char *kind, const char *object, const char *rest)
{
    static char pattern[256];
    snprintf(pattern, sizeof(pattern), "%s:%s%s", kind, object, rest);
    return pattern;
}

static void lists_functions_as_targets_to_give(void **state)
{
    (void)state;
    struct elf_fixture elf;
    const char *path = build_object(&elf, false);
    struct listed listed = list(pattern_of("user", path, ":work"), 10);
    assert_int_equal(listed.totals.matched, 2);
    struct target target;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(target_parse(listed.targets[i], &target, NULL), 0);
        assert_string_equal(target.object, path);
        assert_string_equal(target.name, "work");
        assert_int_equal(listed.offsets[i], FIXTURE_CODE_OFFSET + 4 * i);
        assert_string_equal(listed.notes[i], "");
    }
    assert_true(listed.has_object);
    assert_int_equal(list(pattern_of("user", path, ""), 10).totals.matched, 5);
    assert_string_equal(list(pattern_of("user", path, ":_Z1fi"), 10).notes[0], "f(int)");
    assert_non_null(strstr(list(pattern_of("user", path, ":chooses"), 10).notes[0], "ifunc"));
    refuse(pattern_of("user", path, ":wrok"), ENOENT, "no function 'wrok'", "nearest names: work");
    fixture_done(&elf);

    path = build_object(&elf, true);
    listed = list(pattern_of("user", path, ":idle"), 10);
    assert_string_equal(listed.notes[0], "Go code: a return probe corrupts its stacks");
    fixture_done(&elf);
}

static void pairs_the_marks_of_an_operation(void **state)
{
    (void)state;
    struct elf_fixture elf;
    const char *path = build_object(&elf, false);
    struct listed listed = list(pattern_of("usdt", path, ":sell__done"), 10);
    assert_int_equal(listed.totals.matched, 1);
    struct target target;
    assert_int_equal(target_parse(listed.targets[0], &target, NULL), 0);
    assert_string_equal(target.provider, "shop");
    assert_string_equal(target.name, "sell__start");
    assert_string_equal(target.end_name, "sell__done");
    assert_int_equal(listed.offsets[0], FIXTURE_CODE_OFFSET);
    listed = list(pattern_of("usdt", path, ""), 10);
    assert_int_equal(listed.totals.matched, 3);
    assert_int_equal(list(pattern_of("usdt", path, ":gate:*"), 10).totals.matched, 1);
    assert_non_null(strstr(list(pattern_of("usdt", path, ":*opened"), 10).notes[0], "two ends"));
    refuse(pattern_of("usdt", path, ":frob"), ENOENT, "none of the 4 static marks", "");
    fixture_done(&elf);
    refuse("usdt:/proc/self/exe", ENOENT, "has no static marks", "");
}

static void lists_the_functions_of_a_process(void **state)
{
    (void)state;
    char pid[32];
    snprintf(pid, sizeof(pid), "pid:%d", getpid());
    struct listed listed = list(pattern_of("user", pid, ":lists_the_functions_of_a_process"), 10);
    assert_int_equal(listed.totals.matched, 1);
    assert_string_equal(listed.targets[0],
                        pattern_of("user", pid, ":lists_the_functions_of_a_process"));
    refuse(pattern_of("user", pid, ":no_such_function_at_all"), ENOENT, "no function matches", "");
    refuse("user:pid:0:x", EINVAL, "'0:x' is no pid", "");
    refuse("user:pid:2147483647:x", ESRCH, "no process has the pid", "");
}

static void refuses_patterns_of_no_kind(void **state)
{
    (void)state;
    refuse("", EINVAL, "empty", "");
    refuse("user:", EINVAL, "names no object", "");
    refuse("sycall:openat", EINVAL, "no known kind", "syscall:openat");
    refuse("span:frob", ENOENT, "no span matches", "block-io");
    refuse("syscall:opnat", ENOENT, "no syscall matches", "openat");
    refuse("user:loris-no-such-thing:x", ENOENT, "no library or program", "");
}

static void on_placed(const struct listing *listing, void *context)
{
    size_t *const emulated = context;
    assert_non_null(listing->placement);
    if (!listing->placement->is_emulated)
        return;
    ++*emulated;
    assert_int_equal(listing->placement->offset_bytes, 0);
    assert_string_equal(listing->placement->instruction, "nop");
}

static void tells_where_probes_would_go_and_counts_beyond_the_limit(void **state)
{
    (void)state;
    struct elf_fixture elf;
    const struct placement_options options = {0};
    struct listing_request request = {.limit = 2, .placement = &options};
    struct listing_totals totals = {0};
    size_t emulated = 0;
    request.pattern = pattern_of("user", build_object(&elf, false), ":*");
    assert_int_equal(listing_find(&request, on_placed, &emulated, &totals, NULL), 0);
    assert_int_equal(emulated, 2);
    assert_int_equal(totals.matched, 5);
    assert_int_equal(totals.placed, 5);
    assert_int_equal(totals.cheap_at_entry, 4);
    assert_int_equal(totals.cheap, 4);
    fixture_done(&elf);

    request.pattern = "syscall:open*";
    assert_int_equal(listing_find(&request, on_listing, &(struct listed){0}, &totals, NULL), 0);
    assert_int_equal(totals.placed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_where_probes_would_go_and_counts_beyond_the_limit),
        cmocka_unit_test(lists_syscalls_and_spans),
        cmocka_unit_test(stops_at_the_limit_and_counts_on),
        cmocka_unit_test(looks_for_a_bare_word_everywhere),
        cmocka_unit_test(lists_functions_as_targets_to_give),
        cmocka_unit_test(pairs_the_marks_of_an_operation),
        cmocka_unit_test(lists_the_functions_of_a_process),
        cmocka_unit_test(refuses_patterns_of_no_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
