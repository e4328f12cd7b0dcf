/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watched files that are replaced or rewritten while a probe_set watches them. */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "probe/object_file.h"
#include "probe/probe_set_internal.h"

/* What the target's object means by now; false: it means nothing, or was never a file. */
static bool stat_object(const struct watch *watch, struct stat *ret_now)
{
    char path[PATH_MAX];
    return watch->path && object_file_resolve(watch->request.target.object, "", path, NULL) == 0 &&
           stat(path, ret_now) == 0;
}

bool probe_set_watches_file(const struct probe_set *set, const char *name)
{
    for (size_t i = 0; i < set->watches_count; i++) {
        const char *path = set->watches[i]->path;
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (slash && strcmp(slash + 1, name) == 0)
            return true;
    }
    return false;
}

uint32_t probe_set_cut_rewritten(struct probe_set *set)
{
    uint32_t cut = 0;
    for (size_t i = 0; i < set->watches_count; i++) {
        struct stat now;
        struct watch *watch = set->watches[i];
        if (!stat_object(watch, &now) ||
            watched_files_state(&watch->files, &now) != WATCHED_FILE_REWRITTEN)
            continue;
        watched_files_drop(&watch->files, &now);
        cut++;
    }
    return cut;
}

uint32_t probe_set_refresh(struct probe_set *set, struct attach_report *report)
{
    uint32_t replaced = 0;
    (void)probe_set_cut_rewritten(set);
    for (size_t i = 0; i < set->watches_count; i++) {
        struct stat now;
        struct diag diag = {0};
        struct watch *watch = set->watches[i];
        probe_set_mend(set, watch);
        if (!stat_object(watch, &now) ||
            watched_files_state(&watch->files, &now) != WATCHED_FILE_NEW)
            continue;
        if (probe_set_attach_by_kind(set, watch, report, &diag)) {
            attach_report_add(report, "%s was replaced, and cannot be attached again: %s",
                              watch->path, diag.what);
            continue;
        }
        (void)probe_set_enable(set, watch);
        replaced++;
    }
    return replaced;
}

void probe_set_folders(const struct probe_set *set, probe_folder_fn on_folder, void *context)
{
    for (size_t i = 0; i < set->watches_count; i++) {
        char path[PATH_MAX];
        if (!set->watches[i]->path)
            continue;
        snprintf(path, sizeof(path), "%s", set->watches[i]->path);
        on_folder(dirname(path), context);
    }
}
