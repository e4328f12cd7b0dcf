/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "agent/config_alert.h"
#include "agent/config_file.h"
#include "agent/config_preset.h"
#include "agent/config_schema.h"

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
    free(config->presets);
    for (size_t i = 0; i < config->rules_count; i++)
        alert_rule_done(&config->rules[i]);
    free(config->rules);
    for (size_t i = 0; i < config->files_count; i++)
        free(config->files[i]);
    free(config->files);
    free(config);
}

int config_add_file(struct config *config, char *path)
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
    _cleanup_(config_yaml_free_cleanup) struct config_yaml *yaml = NULL;
    int r = config_file_parse(config->files[file], &yaml, reterr_diag);
    if (r == -ENOENT)
        diag_hint(reterr_diag, "expected the configuration there; packaging/loris.yaml is the "
                               "one that loris ships");
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
        int r = config_add_file(config, path);
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
        r = config_add_file(config, strdup(path));
    if (r < 0)
        return diag_set(reterr_diag, -r, "%.300s: not enough memory to read it", path);
    /* the main file's own errors come before any about conf.d */
    r = apply_file(config, 0, reterr_diag);
    if (r == 0)
        r = add_folder(config, path, reterr_diag);
    for (uint32_t file = 1; r == 0 && file < config->files_count; file++)
        r = apply_file(config, file, reterr_diag);
    /* last, so that the operator's own lines are known, which win */
    if (r == 0)
        r = config_preset_apply(config, reterr_diag);
    if (r == 0)
        r = config_alert_check(config, reterr_diag);
    if (r < 0)
        return r;
    *ret_config = take_ptr(config);
    return 0;
}
