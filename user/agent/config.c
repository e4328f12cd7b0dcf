/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config_alert.h"
#include "agent/config_schema.h"
#include "agent/config_yaml.h"

#define MIB (1024ull * 1024)
#define S   1000000000ull

int config_default(struct config **ret_config)
{
    _cleanup_(config_free_cleanup) struct config *config = malloc(sizeof(*config));
    if (!config)
        return -ENOMEM;
    *config = (struct config){
        .memory_budget_bytes = 64 * MIB,
        .overhead_budget_ratio = 0.01,
        .interval_ns = 10 * S,
        .window_slices = 6,
        .window_slice_ns = 10 * S,
        .idle_ttl_ns = 600 * S,
        .socket_path = CONFIG_SOCKET_DEFAULT,
        .socket_group = "loris",
        .probes_max = 2048,
        .drain_min_ns = S / 100,
        .drain_max_ns = S,
        .summaries_by = CONFIG_BY_PROCESS,
        .summaries_limit = 1000,
        .alerting = {.interval_ns = 10 * S,
                     .notice_interval_ns = 60 * S,
                     .history = 200,
                     .self = true,
                     .journal = true,
                     .state = CONFIG_ALERT_STATE},
    };
    *ret_config = take_ptr(config);
    return 0;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->targets);
    for (size_t i = 0; i < config->rules_count; i++)
        alert_rule_done(&config->rules[i]);
    free(config->rules);
    for (size_t i = 0; i < config->files_count; i++)
        free(config->files[i]);
    free(config->files);
    free(config);
}

/* A full disk, a directory, a device: said before the parser could be confused by it. */
static int open_file(const char *path, struct stat *ret_status, struct diag *reterr_diag)
{
    /* O_NONBLOCK: a FIFO must not hang the agent */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, ret_status) < 0) {
        int error = errno;
        int r = diag_set(reterr_diag, error, "%.300s: %s", path, strerror(error));
        if (error == ENOENT)
            diag_hint(reterr_diag, "expected the configuration there; packaging/loris.yaml is the "
                                   "one that loris ships");
        return r;
    }
    if (!S_ISREG(ret_status->st_mode)) {
        int r = diag_set(reterr_diag, EINVAL, "%.300s: not a regular file", path);
        diag_hint(reterr_diag, "expected a YAML file");
        return r;
    }
    return take_fd(&fd);
}

/* At most one byte more than allowed, so that the parser refuses what has grown meanwhile. */
static int read_file(const char *path, char **ret_bytes, size_t *ret_length,
                     struct diag *reterr_diag)
{
    struct stat status;
    _cleanup_close_ int fd = open_file(path, &status, reterr_diag);
    if (fd < 0)
        return fd;
    size_t capacity = status.st_size > CONFIG_YAML_BYTES_MAX ? CONFIG_YAML_BYTES_MAX + 1
                                                             : (size_t)status.st_size + 1;
    _cleanup_free_ char *bytes = malloc(capacity);
    if (!bytes)
        return diag_set(reterr_diag, ENOMEM, "%.300s: not enough memory to read it", path);
    size_t length = 0;
    while (length < capacity) {
        ssize_t got = read(fd, bytes + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            return diag_set(reterr_diag, error, "%.300s: %s", path, strerror(error));
        }
        if (got == 0)
            break;
        length += (size_t)got;
    }
    *ret_bytes = take_ptr(bytes);
    *ret_length = length;
    return 0;
}

/* Takes the path, whatever happens. */
static int add_file(struct config *config, char *path)
{
    char **grown =
        path ? reallocarray(config->files, config->files_count + 1, sizeof(*grown)) : NULL;
    if (!grown) {
        free(path);
        return -ENOMEM;
    }
    config->files = grown;
    config->files[config->files_count++] = path;
    return 0;
}

static int apply_file(struct config *config, uint32_t file, struct diag *reterr_diag)
{
    const char *path = config->files[file];
    _cleanup_free_ char *bytes = NULL;
    size_t length = 0;
    int r = read_file(path, &bytes, &length, reterr_diag);
    if (r < 0)
        return r;
    _cleanup_(config_yaml_free_cleanup) struct config_yaml *yaml = NULL;
    r = config_yaml_parse(path, bytes, length, &yaml, reterr_diag);
    if (r < 0)
        return r;
    return config_schema_apply(config, file, yaml, reterr_diag);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool is_configuration_name(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > strlen(".yaml") &&
           strcmp(name + length - strlen(".yaml"), ".yaml") == 0;
}

static int add_folder_entries(struct config *config, DIR *folder, const char *folder_path,
                              struct diag *reterr_diag)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry && errno) {
            int error = errno;
            return diag_set(reterr_diag, error, "%.300s: %s", folder_path, strerror(error));
        }
        if (!entry)
            return 0;
        if (!is_configuration_name(entry->d_name))
            continue;
        if (config->files_count == CONFIG_FILES_MAX) {
            int r = diag_set(reterr_diag, EINVAL, "%.300s: too many files", folder_path);
            diag_hint(reterr_diag, "at most %d files that end in .yaml", CONFIG_FILES_MAX - 1);
            return r;
        }
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder_path, entry->d_name) < 0)
            path = NULL;
        int r = add_file(config, path);
        if (r < 0)
            return diag_set(reterr_diag, -r, "%.300s: not enough memory to list it", folder_path);
    }
}

/* The files of conf.d beside path, in name order behind it. */
static int add_folder(struct config *config, const char *path, struct diag *reterr_diag)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder_path = NULL;
    if (asprintf(&folder_path, "%.*sconf.d", slash ? (int)(slash - path) + 1 : 0, path) < 0) {
        folder_path = NULL;
        return diag_set(reterr_diag, ENOMEM, "%.300s: not enough memory to read it", path);
    }
    DIR *folder = opendir(folder_path);
    if (!folder) {
        int error = errno;
        if (error == ENOENT)
            return 0;
        return diag_set(reterr_diag, error, "%.300s: %s", folder_path, strerror(error));
    }
    int r = add_folder_entries(config, folder, folder_path, reterr_diag);
    closedir(folder);
    if (r < 0)
        return r;
    qsort(config->files + 1, config->files_count - 1, sizeof(*config->files), by_name);
    return 0;
}

int config_load(const char *path, struct config **ret_config, struct diag *reterr_diag)
{
    _cleanup_(config_free_cleanup) struct config *config = NULL;
    int r = config_default(&config);
    if (r == 0)
        r = add_file(config, strdup(path));
    if (r < 0)
        return diag_set(reterr_diag, -r, "%.300s: not enough memory to read it", path);
    /* the main file's own errors come before any about conf.d */
    r = apply_file(config, 0, reterr_diag);
    if (r == 0)
        r = add_folder(config, path, reterr_diag);
    for (uint32_t file = 1; r == 0 && file < config->files_count; file++)
        r = apply_file(config, file, reterr_diag);
    if (r == 0)
        r = config_alert_check(config, reterr_diag);
    if (r < 0)
        return r;
    *ret_config = take_ptr(config);
    return 0;
}
