/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "probe/library_cache.h"
#include "probe/object_file.h"

/* --- the linker's cache -------------------------------------------------------------------- */

#define CACHE_BYTES 512

struct cache_entry {
    int32_t flags;
    uint32_t name, path, os_version;
    uint64_t hwcap;
};

/* Three entries: foo for another architecture, foo for this one, libbar.so.2. */
static size_t build_cache(uint8_t *bytes)
{
    static const char strings[] = "foo.so.1\0/lib32/foo.so.1\0/lib64/foo.so.1\0libbar.so.2\0/l/b";
    const uint32_t strings_at = 48 + 3 * sizeof(struct cache_entry);
    const struct cache_entry entries[3] = {
        {.flags = 0x0003, .name = strings_at, .path = strings_at + 9},
        {.flags = 0x0303, .name = strings_at, .path = strings_at + 25},
        {.flags = 0x0303, .name = strings_at + 41, .path = strings_at + 53},
    };
    memset(bytes, 0, CACHE_BYTES);
    memcpy(bytes, "glibc-ld.so.cache1.1", 20);
    bytes[20] = 3;
    bytes[24] = sizeof(strings);
    memcpy(bytes + 48, entries, sizeof(entries));
    memcpy(bytes + strings_at, strings, sizeof(strings));
    return strings_at + sizeof(strings);
}

struct cache_file {
    int fd;
    char path[64];
};

static struct cache_file write_cache(const uint8_t *bytes, size_t length)
{
    struct cache_file file = {.fd = memfd_create("cache", MFD_CLOEXEC)};
    assert_true(file.fd >= 0);
    assert_int_equal(write(file.fd, bytes, length), length);
    snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

static void finds_entries_of_this_architecture(void **state)
{
    (void)state;
    uint8_t bytes[CACHE_BYTES];
    char path[PATH_MAX], near[128];
    struct cache_file file = write_cache(bytes, build_cache(bytes));
    assert_int_equal(library_cache_find(file.path, "foo.so.1", path, near, sizeof(near)), 0);
    assert_string_equal(path, "/lib64/foo.so.1");
    assert_int_equal(library_cache_find(file.path, "libbar", path, near, sizeof(near)), -ENOENT);
    assert_string_equal(near, "libbar.so.2");
    assert_int_equal(library_cache_find(file.path, "bar", path, near, sizeof(near)), -ENOENT);
    assert_string_equal(near, "libbar.so.2");
    assert_int_equal(library_cache_find(file.path, "fooo.so.1", path, near, sizeof(near)), -ENOENT);
    assert_string_equal(near, "foo.so.1");
    close(file.fd);
}

static void skips_the_old_cache_in_front(void **state)
{
    (void)state;
    uint8_t bytes[CACHE_BYTES], both[2 * CACHE_BYTES] = "ld.so-1.7.0";
    char path[PATH_MAX], near[128];
    const size_t length = build_cache(bytes);
    both[12] = 1; /* one old entry of 12 bytes, then alignment to 8 */
    memcpy(both + 32, bytes, length);
    struct cache_file file = write_cache(both, 32 + length);
    assert_int_equal(library_cache_find(file.path, "foo.so.1", path, near, sizeof(near)), 0);
    assert_string_equal(path, "/lib64/foo.so.1");
    close(file.fd);
}

static void survives_broken_caches(void **state)
{
    (void)state;
    uint8_t bytes[CACHE_BYTES];
    char path[PATH_MAX], near[128];
    const size_t length = build_cache(bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 0xff;
        struct cache_file flipped = write_cache(bytes, length);
        bytes[i] ^= 0xff;
        struct cache_file cut = write_cache(bytes, i);
        int r = library_cache_find(flipped.path, "foo.so.1", path, near, sizeof(near));
        assert_true(r == 0 || r == -ENOENT);
        r = library_cache_find(cut.path, "foo.so.1", path, near, sizeof(near));
        assert_true(r == 0 || r == -ENOENT);
        close(flipped.fd);
        close(cut.fd);
    }
    assert_int_equal(library_cache_find("/dev/zero", "foo", path, near, sizeof(near)), -ENOENT);
    assert_int_equal(library_cache_find("/nonexistent", "foo", path, near, sizeof(near)), -ENOENT);
}

/* --- objects ------------------------------------------------------------------------------- */

static char folder[] = "/tmp/loris-resolve-XXXXXX";

static const char *inside(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void make_file(const char *name)
{
    int fd = open(inside(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    close(fd);
}

static int make_root(void **state)
{
    (void)state;
    static const char *const folders[] = {"usr", "usr/lib", "usr/bin", "etc", "data"};
    if (!mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(inside(folders[i]), 0700) < 0)
            return -1;
    make_file("usr/lib/libreal.so.1.2");
    make_file("usr/bin/tool");
    return symlink("/usr/lib/libreal.so.1.2", inside("usr/lib/libreal.so.1")) ||
           symlink("../../../../../../usr/lib", inside("data/up")) ||
           symlink("loop", inside("data/loop")) || mkfifo(inside("data/fifo"), 0600);
}

static int remove_root(void **state)
{
    (void)state;
    static const char *const names[] = {"usr/lib/libreal.so.1",
                                        "usr/lib/libreal.so.1.2",
                                        "usr/bin/tool",
                                        "data/up",
                                        "data/loop",
                                        "data/fifo",
                                        "usr/lib",
                                        "usr/bin",
                                        "usr",
                                        "etc",
                                        "data",
                                        ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove(inside(names[i]));
    return 0;
}

static void expect_file(const char *object, const char *root, const char *expected)
{
    char path[PATH_MAX];
    struct diag diag = {0};
    if (object_file_resolve(object, root, path, &diag) < 0)
        fail_msg("%s", diag.what);
    assert_string_equal(path, inside(expected));
}

static void expect_nothing(const char *object, const char *root, int error, const char *words)
{
    char path[PATH_MAX];
    struct diag diag = {0};
    assert_int_equal(object_file_resolve(object, root, path, &diag), -error);
    if (!strstr(diag.what, words))
        fail_msg("'%s' lacks '%s'", diag.what, words);
}

static void absolute_links_stay_below_a_root(void **state)
{
    (void)state;
    expect_file("/usr/lib/libreal.so.1", folder, "usr/lib/libreal.so.1.2");
    expect_file("/data/up/libreal.so.1", folder, "usr/lib/libreal.so.1.2");
    expect_file("/../../usr/./bin//tool", folder, "usr/bin/tool");
    expect_nothing("/data/loop", folder, ELOOP, "symbolic links");
    expect_nothing("/data/fifo", folder, EACCES, "cannot open");
    expect_nothing("/usr/lib/missing.so", folder, ENOENT, "No such file");
}

static void looks_for_sonames_and_commands_below_a_root(void **state)
{
    (void)state;
    expect_file("libreal.so.1", folder, "usr/lib/libreal.so.1.2");
    expect_file("tool", folder, "usr/bin/tool");
    expect_nothing("libc.so.6", folder, ENOENT, "no library or program named 'libc.so.6'");
}

static void keeps_links_whose_text_is_not_where_they_lead(void **state)
{
    (void)state;
    int fd = memfd_create("program", MFD_CLOEXEC);
    char given[64], path[PATH_MAX], below_root[PATH_MAX];
    struct diag diag = {0};
    snprintf(given, sizeof(given), "/proc/self/fd/%d", fd);
    assert_int_equal(object_file_resolve(given, "", path, &diag), 0);
    assert_string_equal(path, given);
    close(fd);
    /* The root of a process is kept, and so are links inside it. */
    snprintf(below_root, sizeof(below_root), "/proc/%d/root%s", getpid(), inside("usr/bin/tool"));
    assert_int_equal(object_file_resolve(below_root, "", path, &diag), 0);
    assert_string_equal(path, below_root);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    expect_nothing(folder, "", EACCES, "is a directory");
    expect_nothing(inside("data/fifo"), "", EACCES, "is not a regular file");
    expect_nothing("", "", EINVAL, "empty");
    expect_nothing("loris-no-such-thing", "", ENOENT, "no library or program named");
    char name[PATH_MAX + 1];
    memset(name, 'a', sizeof(name));
    name[PATH_MAX] = '\0';
    expect_nothing(name, "", ENAMETOOLONG, "too long");
}

static void finds_the_c_library_of_this_machine(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct diag diag = {0};
    struct object_file *object = NULL;
    assert_int_equal(object_file_resolve("libc.so.6", "", path, &diag), 0);
    assert_int_equal(path[0], '/');
    assert_int_equal(object_file_open(path, &object, &diag), 0);
    assert_int_equal(object_file_match(object, "malloc", NULL, NULL), 1);
    object_file_free(object);
    assert_int_equal(object_file_resolve("libc", "", path, &diag), -ENOENT);
    assert_non_null(strstr(diag.hint, "libc.so.6"));
}

/* --- objects of a process ------------------------------------------------------------------- */

struct seen {
    size_t count;
    bool has_program;
    bool has_deleted;
    char program[PATH_MAX];
};

static void on_object(const char *path, const char *seen_path, void *context)
{
    struct seen *const seen = context;
    struct stat status;
    seen->count++;
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    seen->has_program |= !strcmp(path, seen->program);
    seen->has_deleted |= strstr(seen_path, "deleted-mapping") && strstr(path, "/map_files/");
}

static void lists_the_files_a_process_has_mapped(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct diag diag = {0};
    assert_true(readlink("/proc/self/exe", seen.program, sizeof(seen.program) - 1) > 0);
    int fd = memfd_create("deleted-mapping", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), 0);
    void *mapping = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_true(mapping != MAP_FAILED);
    char map_file[64];
    snprintf(map_file, sizeof(map_file), "/proc/self/map_files/%lx-%lx", (unsigned long)mapping,
             (unsigned long)mapping + 4096);
    struct stat status;
    const bool may_open_map_files = stat(map_file, &status) == 0; /* takes privileges */
    assert_int_equal(object_files_of_pid(getpid(), on_object, &seen, &diag), 0);
    assert_true(seen.count >= 2); /* the program and the C library */
    assert_true(seen.has_program);
    assert_int_equal(seen.has_deleted, may_open_map_files);
    munmap(mapping, 4096);
    close(fd);
}

static void says_when_there_is_no_such_process(void **state)
{
    (void)state;
    static const int32_t pids[] = {-1, 0, INT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct diag diag = {0};
        assert_int_equal(object_files_of_pid(pids[i], on_object, NULL, &diag), -ESRCH);
        assert_non_null(strstr(diag.what, "no process has the pid"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_entries_of_this_architecture),
        cmocka_unit_test(skips_the_old_cache_in_front),
        cmocka_unit_test(survives_broken_caches),
        cmocka_unit_test(absolute_links_stay_below_a_root),
        cmocka_unit_test(looks_for_sonames_and_commands_below_a_root),
        cmocka_unit_test(keeps_links_whose_text_is_not_where_they_lead),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(finds_the_c_library_of_this_machine),
        cmocka_unit_test(lists_the_files_a_process_has_mapped),
        cmocka_unit_test(says_when_there_is_no_such_process),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
