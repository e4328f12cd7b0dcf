/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "identity/cgroup_units.h"

static struct cgroup_units *new_units(uint32_t max_cgroups)
{
    struct cgroup_units *units = NULL;
    assert_int_equal(cgroup_units_new(max_cgroups, 42, &units), 0);
    return units;
}

static void add(struct cgroup_units *units, uint64_t id, const char *path)
{
    assert_int_equal(cgroup_units_add(units, id, path), 0);
}

static void names_the_unit_of_a_path(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/", "/"},
        {"", "/"},
        {"/init.scope", "init.scope"},
        {"/system.slice", "system.slice"},
        {"/system.slice/redis.service", "redis.service"},
        {"system.slice/redis.service", "redis.service"},
        {"//system.slice//redis.service/", "redis.service"},
        {"/system.slice/redis.service/workers", "redis.service"},
        {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
        {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
        {"/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service",
         "app-foo.service"},
        {"/system.slice/dev-hugepages.mount", "dev-hugepages.mount"},
        {"/system.slice/dev-sda2.swap", "dev-sda2.swap"},
        {"/system.slice/ssh.socket", "ssh.socket"},
        {"/system.slice/dev-disk-by\\x2duuid.mount", "dev-disk-by\\x2duuid.mount"},
        {"/system.slice/_cpu.service", "cpu.service"},
        {"/system.slice/__x.service", "_x.service"},
        {"/system.slice/docker-0a1b.scope", "docker-0a1b.scope"},
        {"/system.slice/docker-0a1b.scope/system.slice/nginx.service", "docker-0a1b.scope"},
        {"/machine.slice/libpod-77.scope/container", "libpod-77.scope"},
        {"/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
         "systemd-nspawn@web.service"},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
         "cri-containerd-9.scope",
         "cri-containerd-9.scope"},
        {"/lxc.payload.web/system.slice/nginx.service", "lxc.payload.web"},
        {"/kubepods/burstable/pod1/9f", "/kubepods/burstable/pod1/9f"},
        {"/docker/0a1b/system.slice/nginx.service", "/docker/0a1b/system.slice/nginx.service"},
        {"/mine/.service", "/mine/.service"},
        {"/mine/myservice", "/mine/myservice"},
        {"/a\nb\x1b", "/a?b?"},
        {"/x/\xff.service", "?.service"},
        {"/_", "/_"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[256];
        cgroup_unit_of_path(cases[i][0], out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void long_paths_keep_their_end(void **state)
{
    (void)state;
    char path[2000], out[256];
    memset(path, 'p', sizeof(path));
    strcpy(path + 1990, "/the-end");
    cgroup_unit_of_path(path, out);
    assert_int_equal(strlen(out), 255);
    assert_memory_equal(out, "...ppp", 6);
    assert_string_equal(out + 255 - 8, "/the-end");
    memset(path, 's', 1990);
    strcpy(path + 1980, ".service"); /* a component no file system can hold */
    cgroup_unit_of_path(path, out);
    assert_int_equal(strlen(out), 255);

    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = new_units(4);
    add(units, 5, path);
    assert_string_equal(cgroup_units_name(units, 5), out);
}

static void learns_and_replaces_names(void **state)
{
    (void)state;
    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = new_units(100);
    assert_string_equal(cgroup_units_name(units, UINT64_MAX), "cgroup:18446744073709551615");
    add(units, 1, "/");
    add(units, 2, "/system.slice/redis.service");
    add(units, 3, "/plain/folder");
    assert_string_equal(cgroup_units_name(units, 1), "/");
    assert_string_equal(cgroup_units_name(units, 2), "redis.service");
    assert_string_equal(cgroup_units_name(units, 3), "/plain/folder");
    uint64_t bytes = cgroup_units_figures(units).bytes;
    add(units, 2, "/system.slice/nginx.service");
    assert_string_equal(cgroup_units_name(units, 2), "nginx.service");
    assert_true(cgroup_units_figures(units).bytes == bytes);
}

static void forgets_the_least_recently_used(void **state)
{
    (void)state;
    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = new_units(3);
    add(units, 1, "/a");
    add(units, 2, "/b");
    add(units, 3, "/c");
    cgroup_units_name(units, 1);
    uint64_t bytes = cgroup_units_figures(units).bytes;
    add(units, 4, "/d");
    assert_true(cgroup_units_figures(units).bytes == bytes);
    assert_string_equal(cgroup_units_name(units, 1), "/a");
    assert_string_equal(cgroup_units_name(units, 2), "cgroup:2");
    assert_string_equal(cgroup_units_name(units, 3), "/c");
    for (uint64_t id = 5; id < 1000; id++)
        add(units, id, "/d");
    assert_true(cgroup_units_figures(units).bytes == bytes);
    assert_string_equal(cgroup_units_name(units, 999), "/d");
    assert_string_equal(cgroup_units_name(units, 996), "cgroup:996");
    struct cgroup_units_figures figures = cgroup_units_figures(units);
    assert_int_equal(figures.cgroups, 3);
    assert_int_equal(figures.max_cgroups, 3);
    assert_int_equal(figures.hits, 4);   /* 1 twice, 3 and 999 */
    assert_int_equal(figures.misses, 2); /* 2 and 996 */
    assert_int_equal(figures.forgotten, 996);
}

static void finds_the_shallowest_and_newest_of_a_name(void **state)
{
    (void)state;
    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = new_units(100);
    add(units, 1, "/");
    add(units, 10, "/system.slice/redis.service/workers");
    add(units, 11, "/system.slice/redis.service");
    add(units, 12, "/system.slice/redis.service/others");
    uint64_t id = 0;
    uint32_t level = 9;
    assert_int_equal(cgroup_units_find(units, "redis.service", &id, &level), 0);
    assert_int_equal(id, 11);
    assert_int_equal(level, 2);
    assert_int_equal(cgroup_units_find(units, "/system.slice/redis.service/others", &id, &level),
                     0);
    assert_int_equal(id, 12);
    assert_int_equal(level, 3);
    add(units, 20, "/system.slice/redis.service"); /* restarted */
    cgroup_units_name(units, 11);
    assert_int_equal(cgroup_units_find(units, "redis.service", &id, &level), 0);
    assert_int_equal(id, 20);
    assert_int_equal(cgroup_units_find(units, "/", &id, &level), 0);
    assert_int_equal(id, 1);
    assert_int_equal(level, 0);
    assert_int_equal(cgroup_units_find(units, "nginx.service", &id, &level), -ENOENT);
    char too_long[2000] = "/";
    memset(too_long + 1, 'x', sizeof(too_long) - 2);
    add(units, 30, too_long);
    assert_int_equal(cgroup_units_find(units, too_long, &id, &level), -ENOENT);
    assert_int_equal(cgroup_units_find(units, "", &id, &level), -ENOENT);
}

static void scans_a_tree(void **state)
{
    (void)state;
    char root[] = "/tmp/loris-cgroup-units-XXXXXX";
    assert_non_null(mkdtemp(root));
    char slice[64], service[128];
    snprintf(slice, sizeof(slice), "%s/system.slice", root);
    snprintf(service, sizeof(service), "%s/cron.service", slice);
    assert_int_equal(mkdir(slice, 0700), 0);
    assert_int_equal(mkdir(service, 0700), 0);
    struct stat status;
    assert_int_equal(stat(service, &status), 0);

    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = new_units(100);
    int scanned = cgroup_units_scan_at(units, root);
    rmdir(service);
    rmdir(slice);
    rmdir(root);
    assert_int_equal(scanned, 0);
    assert_string_equal(cgroup_units_name(units, status.st_ino), "cron.service");
    uint64_t id;
    uint32_t level;
    assert_int_equal(cgroup_units_find(units, "cron.service", &id, &level), 0);
    assert_true(id == status.st_ino);
    assert_int_equal(level, 2);
    assert_int_equal(cgroup_units_scan_at(units, root), -ENOENT);
}

static void refuses_senseless_sizes(void **state)
{
    (void)state;
    struct cgroup_units *units = NULL;
    assert_int_equal(cgroup_units_new(0, 1, &units), -EINVAL);
    assert_int_equal(cgroup_units_new(UINT32_MAX, 1, &units), -EINVAL);
    assert_null(units);
}

static void add_some(void *context)
{
    (void)context;
    _cleanup_(cgroup_units_free_cleanup) struct cgroup_units *units = NULL;
    if (cgroup_units_new(4, 42, &units) < 0)
        return;
    for (uint64_t id = 1; id < 12; id++) {
        int status = cgroup_units_add(units, id % 7, "/system.slice/a.service/b");
        assert_true(status == 0 || status == -ENOMEM);
        if (status == 0)
            assert_string_equal(cgroup_units_name(units, id % 7), "a.service");
    }
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(add_some, NULL), 12, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_unit_of_a_path),
        cmocka_unit_test(long_paths_keep_their_end),
        cmocka_unit_test(learns_and_replaces_names),
        cmocka_unit_test(forgets_the_least_recently_used),
        cmocka_unit_test(finds_the_shallowest_and_newest_of_a_name),
        cmocka_unit_test(scans_a_tree),
        cmocka_unit_test(refuses_senseless_sizes),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
