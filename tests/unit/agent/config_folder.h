/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of config*.c: a folder with loris.yaml and conf.d, and what loading it must say. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"
#include "agent/config_yaml.h"

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

/* A folder of its own for every test, with loris.yaml and conf.d in it. */
struct folder {
    char path[64];
    char main_file[96];
};

static inline int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    assert_non_null(folder);
    strcpy(folder->path, "/tmp/loris-config-test.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->main_file, sizeof(folder->main_file), "%s/loris.yaml", folder->path);
    *state = folder;
    return 0;
}

static inline int remove_folder(void **state)
{
    struct folder *folder = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder->path);
    assert_int_equal(system(command), 0);
    free(folder);
    return 0;
}

static inline void write_bytes(const struct folder *folder, const char *name, const char *bytes,
                               size_t length)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static inline void write_file(const struct folder *folder, const char *name, const char *content)
{
    write_bytes(folder, name, content, strlen(content));
}

static inline void make_conf_d(const struct folder *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/conf.d", folder->path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static inline struct config *load(const struct folder *folder)
{
    struct config *config = NULL;
    struct diag diag = {0};
    int r = config_load(folder->main_file, &config, &diag);
    if (r < 0)
        fail_msg("%s (%s)", diag.what, diag.hint);
    return config;
}

static inline struct config *load_text(const struct folder *folder, const char *content)
{
    write_file(folder, "loris.yaml", content);
    return load(folder);
}

static inline int refused(const struct folder *folder, struct diag *ret_diag)
{
    struct config *config = NULL;
    memset(ret_diag, 0, sizeof(*ret_diag));
    int r = config_load(folder->main_file, &config, ret_diag);
    assert_null(config);
    assert_true(r < 0);
    assert_true(ret_diag->what[0] != '\0');
    return r;
}

/* position: "LINE:COLUMN" as it must stand behind the file's name */
static inline void assert_refused(const struct folder *folder, const char *content,
                                  const char *position, const char *what, const char *hint)
{
    write_file(folder, "loris.yaml", content);
    struct diag diag;
    assert_int_equal(refused(folder, &diag), -EINVAL);
    char beginning[160];
    snprintf(beginning, sizeof(beginning), "%s:%s: ", folder->main_file, position);
    if (strncmp(diag.what, beginning, strlen(beginning)) != 0 || !strstr(diag.what, what) ||
        !strstr(diag.hint, hint) || diag.hint[0] == '\0')
        fail_msg("%s\nexpected %s %s (%s), got\n%s (%s)", content, position, what, hint, diag.what,
                 diag.hint);
}

/* Every key of the schema, none at its default. */
static const char every_key[] __attribute__((unused)) =
    "memory_budget: 12MiB\n"
    "overhead_budget: 0.25%\n"
    "interval: 1m\n"
    "window: {slices: 60, length: 1s}\n"
    "idle_ttl: 1h\n"
    "socket: \"/tmp/loris sock\"\n"
    "socket_group: none\n"
    "rings:\n"
    "  latency: 64KiB\n"
    "  rare: auto\n"
    "processes_max: 50000\n"
    "probes_max: 8192\n"
    "drain: {min: 1ms, max: 100ms}\n"
    "summaries: {file: \"-\", by: unit, limit: 7, layout: ecs, journal: true}\n"
    "targets:\n"
    "  - syscall:*\n"
    "  - target: user:libc.so.6:malloc\n"
    "    errors: zero\n"
    "    attach: uprobe-session\n"
    "    sample: 1/128\n"
    "    force: true\n"
    "    optional: true\n"
    "    filter:\n"
    "      pids: [20, 3, 10]\n"
    "      comm: redis-server\n"
    "      unit: redis.service\n"
    "      follow: true\n"
    "alerting: {interval: 1s, notice_interval: 5m, history: 10, self: false, journal: false,\n"
    "           file: \"-\", layout: ecs, state: none}\n"
    "alerts:\n"
    "  - alert: slow\n"
    "    probe: user:libpq.so.5:PQ*\n"
    "    metric: p99.9\n"
    "    above: 200ms\n"
    "    clear: 150ms\n"
    "    for: 5m\n"
    "    keep_firing_for: 10m\n"
    "    min_count: 20\n"
    "    window: 1m\n"
    "    by: unit\n"
    "    severity: critical\n"
    "    labels: {team: db, area: web}\n"
    "    annotations: {summary: \"{probe} takes {value} in {unit}, {labels.team}\"}\n"
    "presets: []\n";
