/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notices that a watched executable or library was replaced, and attaches the new file. */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "agent/agent.h"
#include "agent/log.h"

#define FOLDERS_MAX 256

/* A package manager replaces many files in a row; look once it is quiet for so long. */
#define SETTLE_US 300000

struct folder_watch {
    char *path;
    sd_event_source *source;
    bool wanted; /* while following anew */
};

static int on_settled(sd_event_source *source, uint64_t usec, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)usec;
    agent->refresh_timer = sd_event_source_disable_unref(agent->refresh_timer);
    _cleanup_(attach_report_done) struct attach_report report = {0};
    uint32_t replaced = probe_set_refresh(agent->probes, &report);
    if (replaced)
        log_line(LOG_NOTICE, "%u watched file%s replaced on disk and attached again", replaced,
                 replaced == 1 ? " was" : "s were");
    const char *at = report.messages.bytes;
    for (uint32_t i = 0; i < report.messages_count; i++, at += strlen(at) + 1)
        log_line(LOG_WARNING, "%s", at);
    folders_follow(agent);
    return 0;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)event;
    if (agent->refresh_timer)
        return sd_event_source_set_time_relative(agent->refresh_timer, SETTLE_US);
    return sd_event_add_time_relative(agent->event, &agent->refresh_timer, CLOCK_MONOTONIC,
                                      SETTLE_US, 0, on_settled, agent);
}

static void want_folder(const char *path, void *context)
{
    struct agent *agent = context;
    for (size_t i = 0; i < agent->folders_count; i++) {
        if (strcmp(agent->folders[i].path, path) == 0) {
            agent->folders[i].wanted = true;
            return;
        }
    }
    if (agent->folders_count == FOLDERS_MAX)
        return;
    struct folder_watch *folders =
        reallocarray(agent->folders, agent->folders_count + 1, sizeof(*folders));
    if (!folders)
        return;
    agent->folders = folders;
    struct folder_watch folder = {.path = strdup(path), .wanted = true};
    int error = folder.path
                    ? sd_event_add_inotify(agent->event, &folder.source, path,
                                           IN_CREATE | IN_MOVED_TO | IN_ONLYDIR, on_change, agent)
                    : -ENOMEM;
    if (error < 0) {
        log_line(LOG_NOTICE, "changes of %s cannot be noticed: %s", path, strerror(-error));
        free(folder.path);
        return;
    }
    agent->folders[agent->folders_count++] = folder;
}

static void drop_folder(struct folder_watch *folder)
{
    sd_event_source_disable_unref(folder->source);
    free(folder->path);
}

void folders_follow(struct agent *agent)
{
    for (size_t i = 0; i < agent->folders_count; i++)
        agent->folders[i].wanted = false;
    if (agent->probes)
        probe_set_folders(agent->probes, want_folder, agent);
    size_t kept = 0;
    for (size_t i = 0; i < agent->folders_count; i++) {
        if (agent->folders[i].wanted)
            agent->folders[kept++] = agent->folders[i];
        else
            drop_folder(&agent->folders[i]);
    }
    agent->folders_count = kept;
}

void folders_done(struct agent *agent)
{
    agent->refresh_timer = sd_event_source_disable_unref(agent->refresh_timer);
    for (size_t i = 0; i < agent->folders_count; i++)
        drop_folder(&agent->folders[i]);
    free(take_ptr(agent->folders));
    agent->folders_count = 0;
}
