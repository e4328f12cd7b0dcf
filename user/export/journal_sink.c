/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/journal_sink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct journal_sink {
    struct sockaddr_un address;
    int fd;
    bool connected;      /* connected sockets alone tell when journald has room again */
    struct text backlog; /* entries, each behind its length as a uint32_t */
    size_t backlog_start;
    struct journal_sink_figures figures;
};

int journal_sink_open(const char *path, struct journal_sink **ret_sink)
{
    _cleanup_(journal_sink_close_cleanup) struct journal_sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return -ENOMEM;
    sink->fd = -1;
    sink->backlog.max_bytes = JOURNAL_SINK_BACKLOG_MAX;
    sink->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(sink->address.sun_path))
        return -ENAMETOOLONG;
    strcpy(sink->address.sun_path, path);
    sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sink->fd < 0)
        return -errno;
    *ret_sink = take_ptr(sink);
    return 0;
}

void journal_sink_close(struct journal_sink *sink)
{
    if (!sink)
        return;
    close_fd(&sink->fd);
    text_done(&sink->backlog);
    free(sink);
}

static int send_now(struct journal_sink *sink, const char *entry, size_t length)
{
    for (;;) {
        if (!sink->connected &&
            connect(sink->fd, (const struct sockaddr *)&sink->address, sizeof(sink->address)) < 0)
            return -errno;
        bool was_connected = sink->connected;
        sink->connected = true;
        if (send(sink->fd, entry, length, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET) {
            /* the journald of that connection is gone, there may be another one */
            sink->connected = false;
            if (!was_connected)
                return -ECONNREFUSED;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

static void clear_backlog(struct journal_sink *sink)
{
    text_done(&sink->backlog);
    sink->backlog_start = 0;
    sink->figures.pending = 0;
}

int journal_sink_flush(struct journal_sink *sink)
{
    int r = 0;
    while (sink->figures.pending > 0) {
        uint32_t length;
        const char *at = sink->backlog.bytes + sink->backlog_start;
        memcpy(&length, at, sizeof(length));
        r = send_now(sink, at + sizeof(length), length);
        if (r == -EAGAIN)
            return 0;
        if (r < 0)
            break;
        sink->backlog_start += sizeof(length) + length;
        sink->figures.pending--;
        sink->figures.written++;
    }
    sink->figures.failed += sink->figures.pending;
    clear_backlog(sink);
    return r;
}

/* Room at the end instead of what has been sent from the start. */
static void pack_backlog(struct journal_sink *sink)
{
    struct text *backlog = &sink->backlog;
    if (sink->backlog_start == 0 || sink->backlog_start < backlog->length / 2)
        return;
    backlog->length -= sink->backlog_start;
    memmove(backlog->bytes, backlog->bytes + sink->backlog_start, backlog->length);
    sink->backlog_start = 0;
}

static int append_backlog(struct journal_sink *sink, const struct text *entry)
{
    struct text *backlog = &sink->backlog;
    uint32_t length = (uint32_t)entry->length;
    pack_backlog(sink);
    size_t before = backlog->length;
    text_append(backlog, (const char *)&length, sizeof(length));
    text_append(backlog, entry->bytes, length);
    if (backlog->failed) {
        int r = backlog->failed == -E2BIG ? -ENOBUFS : backlog->failed;
        backlog->failed = 0;
        backlog->length = before;
        return r;
    }
    sink->figures.pending++;
    return 0;
}

int journal_sink_write(struct journal_sink *sink, const struct journal_field *fields, size_t count)
{
    _cleanup_text_ struct text entry = {0};
    int r = journal_line_format(&entry, fields, count);
    if (r == 0)
        r = journal_sink_flush(sink);
    if (r == 0) {
        r = sink->figures.pending > 0 ? -EAGAIN : send_now(sink, entry.bytes, entry.length);
        if (r == 0) {
            sink->figures.written++;
            return 0;
        }
        if (r == -EAGAIN)
            r = append_backlog(sink, &entry);
    }
    if (r < 0)
        sink->figures.failed++;
    return r;
}

int journal_sink_fd(const struct journal_sink *sink)
{
    return sink->fd;
}

struct journal_sink_figures journal_sink_figures(const struct journal_sink *sink)
{
    return sink->figures;
}
