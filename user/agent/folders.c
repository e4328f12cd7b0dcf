/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notices that a watched executable or library was replaced, and attaches the new file. */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "agent/agent.h"
#include "agent/log.h"

#define FOLDERS_MAX 256

/* A package manager replaces many files in a row; look once it is quiet for so long, but do not
 * wait for ever. */
#define SETTLE_US     300000
#define SETTLE_MAX_NS 2000000000ull

struct folder_watch {
    char *path;
    sd_event_source *source;
    bool wanted; /* while following anew */
    bool lost;
};

void folders_look(struct agent *agent)
{
    _cleanup_(attach_report_done) struct attach_report report = {0};
    uint32_t replaced = probe_set_refresh(agent->probes, &report);
    if (replaced)
        log_line(LOG_NOTICE, "%u watched file%s replaced on disk and attached again", replaced,
                 replaced == 1 ? " was" : "s were");
    const char *at = report.messages.bytes;
    for (uint32_t i = 0; i < report.messages_count; i++, at += strlen(at) + 1)
        log_line(LOG_WARNING, "%s", at);
    if (replaced)
        folders_follow(agent);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)usec;
    agent->refresh_timer = sd_event_source_disable_unref(agent->refresh_timer);
    folders_look(agent);
    return 0;
}

/* The folder itself is gone, so its watch is: a new one of that name is followed anew. */
static void lose_folder(struct agent *agent, const sd_event_source *source)
{
    for (size_t i = 0; i < agent->folders_count; i++)
        if (agent->folders[i].source == source)
            agent->folders[i].lost = true;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *context)
{
    struct agent *agent = context;
    if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF))
        lose_folder(agent, source);
    if (event->mask & IN_MODIFY) { /* there may be many, of files that are nobody's business */
        if (event->len == 0 || !probe_set_watches_file(agent->probes, event->name))
            return 0;
        (void)probe_set_cut_rewritten(agent->probes);
    }
    uint64_t now_ns = agent_now_ns();
    if (!agent->refresh_timer) {
        agent->refresh_asked_ns = now_ns;
        return sd_event_add_time_relative(agent->event, &agent->refresh_timer, CLOCK_MONOTONIC,
                                          SETTLE_US, 0, on_settled, agent);
    }
    if (now_ns - agent->refresh_asked_ns > SETTLE_MAX_NS)
        return 0;
    return sd_event_source_set_time_relative(agent->refresh_timer, SETTLE_US);
}

static void want_folder(const char *path, void *context)
{
    struct agent *agent = context;
    for (size_t i = 0; i < agent->folders_count; i++) {
        if (!agent->folders[i].lost && strcmp(agent->folders[i].path, path) == 0) {
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
    int error = folder.path ? sd_event_add_inotify(agent->event, &folder.source, path,
                                                   IN_CREATE | IN_MOVED_TO | IN_MODIFY |
                                                       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                                                   on_change, agent)
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
