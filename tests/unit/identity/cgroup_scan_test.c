/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "identity/cgroup_scan.h"

static int find_mount(const char *mountinfo, char out[PATH_MAX])
{
    _cleanup_fclose_ FILE *file = fmemopen((void *)(uintptr_t)mountinfo, strlen(mountinfo), "r");
    assert_non_null(file);
    return cgroup_scan_find_mount(file, out);
}

static void finds_the_mount_wherever_it_is(void **state)
{
    (void)state;
    char out[PATH_MAX];
    assert_int_equal(find_mount("22 1 8:1 / / rw - ext4 /dev/sda rw\n"
                                "31 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 "
                                "rw,nsdelegate\n",
                                out),
                     0);
    assert_string_equal(out, "/sys/fs/cgroup");
    assert_int_equal(find_mount("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                                "37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw\n"
                                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n",
                                out),
                     0);
    assert_string_equal(out, "/sys/fs/cgroup/unified");
    assert_int_equal(find_mount("41 31 0:38 / /a\\040b\\134c rw - cgroup2 none rw", out), 0);
    assert_string_equal(out, "/a b\\c");
}

static void prefers_the_whole_hierarchy_to_a_part(void **state)
{
    (void)state;
    char out[PATH_MAX];
    static const char part[] = "40 31 0:38 /docker/1 /part rw - cgroup2 none rw\n";
    static const char whole[] = "41 31 0:38 / /whole rw - cgroup2 none rw\n";
    char both[256];
    snprintf(both, sizeof(both), "%s%s", part, whole);
    assert_int_equal(find_mount(both, out), 0);
    assert_string_equal(out, "/whole");
    snprintf(both, sizeof(both), "%s%s", whole, part);
    assert_int_equal(find_mount(both, out), 0);
    assert_string_equal(out, "/whole");
    assert_int_equal(find_mount(part, out), 0);
    assert_string_equal(out, "/part");
}

static void a_mountinfo_without_cgroup2_is_enoent(void **state)
{
    (void)state;
    char out[PATH_MAX] = "untouched";
    assert_int_equal(find_mount("37 31 0:34 / /freezer rw - cgroup cgroup2 rw\n"
                                "a - cgroup2 none rw\n"
                                "\n"
                                " - cgroup2 \n"
                                "38 31 0:34 / /fake\\040-\\040cgroup2 rw - ext4 none rw\n",
                                out),
                     -ENOENT);
    assert_string_equal(out, "untouched");
}

/* A tree of plain folders stands in for the hierarchy. */
struct tree {
    char root[64];
};

static void make(const struct tree *tree, const char *path)
{
    char full[512];
    snprintf(full, sizeof(full), "%s%s", tree->root, path);
    assert_int_equal(mkdir(full, 0700), 0);
}

static int set_up_tree(void **state)
{
    struct tree *tree = calloc(1, sizeof(*tree));
    if (!tree)
        return -1;
    strcpy(tree->root, "/tmp/loris-cgroup-scan-XXXXXX");
    if (!mkdtemp(tree->root))
        return -1;
    make(tree, "/system.slice");
    make(tree, "/system.slice/redis.service");
    make(tree, "/user.slice");
    char full[512], target[512];
    snprintf(full, sizeof(full), "%s/cgroup.procs", tree->root);
    FILE *file = fopen(full, "w");
    if (!file)
        return -1;
    fclose(file);
    snprintf(full, sizeof(full), "%s/user.slice/loop", tree->root);
    snprintf(target, sizeof(target), "%s", tree->root);
    *state = tree;
    return symlink(target, full);
}

static int tear_down_tree(void **state)
{
    struct tree *tree = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", tree->root);
    int status = system(command);
    free(tree);
    return status;
}

struct seen {
    const struct tree *tree;
    unsigned count;
    int status; /* to return */
    size_t longest;
};

static int on_cgroup(uint64_t cgroup_id, const char *path, void *context)
{
    struct seen *seen = context;
    char full[8192];
    snprintf(full, sizeof(full), "%s%s", seen->tree->root, path);
    struct stat status;
    assert_int_equal(stat(full, &status), 0);
    assert_true(cgroup_id == status.st_ino);
    assert_int_equal(seen->count == 0, strcmp(path, "/") == 0);
    seen->count++;
    if (strlen(path) > seen->longest)
        seen->longest = strlen(path);
    return seen->status;
}

static void walks_folders_only_and_follows_no_links(void **state)
{
    struct seen seen = {.tree = *state};
    assert_int_equal(cgroup_scan_walk(seen.tree->root, 1000, on_cgroup, &seen), 0);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.longest, strlen("/system.slice/redis.service"));
}

static void stops_at_the_bound_and_on_an_error(void **state)
{
    struct seen seen = {.tree = *state};
    assert_int_equal(cgroup_scan_walk(seen.tree->root, 2, on_cgroup, &seen), 0);
    assert_int_equal(seen.count, 2);
    seen = (struct seen){.tree = *state, .status = -ENOSPC};
    assert_int_equal(cgroup_scan_walk(seen.tree->root, 1000, on_cgroup, &seen), -ENOSPC);
    assert_int_equal(seen.count, 1);
    assert_int_equal(cgroup_scan_walk(seen.tree->root, 0, on_cgroup, &seen), 0);
    assert_int_equal(cgroup_scan_walk("/nonexistent/loris", 10, on_cgroup, &seen), -ENOENT);
    assert_int_equal(seen.count, 1);
}

static void goes_no_deeper_than_its_bound(void **state)
{
    struct seen seen = {.tree = *state};
    char path[256] = "/user.slice";
    for (int i = 0; i < CGROUP_SCAN_DEPTH_MAX + 10; i++) {
        strcat(path, "/d");
        make(seen.tree, path);
    }
    assert_int_equal(cgroup_scan_walk(seen.tree->root, 1000, on_cgroup, &seen), 0);
    /* the root is level 0 and user.slice level 1 */
    assert_int_equal(seen.longest, strlen("/user.slice") + 2 * CGROUP_SCAN_DEPTH_MAX);
}

static int count_up(uint64_t cgroup_id, const char *path, void *context)
{
    (void)cgroup_id;
    (void)path;
    ++*(unsigned *)context;
    return 0;
}

static void walk_once(void *context)
{
    const struct tree *tree = context;
    unsigned count = 0;
    int status = cgroup_scan_walk(tree->root, 1000, count_up, &count);
    assert_true(status == -ENOMEM || (status == 0 && count == 4));
    char out[PATH_MAX];
    FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
    if (!mountinfo)
        return;
    status = cgroup_scan_find_mount(mountinfo, out);
    assert_true(status == 0 || status == -ENOMEM || status == -ENOENT);
    fclose(mountinfo);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(walk_once, *state), 6, 100);
}

#define tree_test(test) cmocka_unit_test_setup_teardown(test, set_up_tree, tear_down_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_mount_wherever_it_is),
        cmocka_unit_test(prefers_the_whole_hierarchy_to_a_part),
        cmocka_unit_test(a_mountinfo_without_cgroup2_is_enoent),
        tree_test(walks_folders_only_and_follows_no_links),
        tree_test(stops_at_the_bound_and_on_an_error),
        tree_test(goes_no_deeper_than_its_bound),
        tree_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
