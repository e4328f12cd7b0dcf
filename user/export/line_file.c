/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum sink {
    SINK_FILE,   /* regular: takes all or says why, can be cut back */
    SINK_STREAM, /* pipe, terminal, device: takes what fits now */
    SINK_SOCKET, /* the same, through send(2) */
};

struct line_file {
    char *path; /* NULL: stdout */
    int fd;
    enum sink sink;
    bool torn;          /* what is out ends within a line that will not be finished */
    bool line_is_begun; /* the backlog begins with the rest of a line */
    size_t begun_bytes; /* SINK_FILE: of that line, that are out */
    off_t begun_end;    /* SINK_FILE: where the file ended then */
    char *backlog;      /* SINK_FILE: no more than the rest of one line */
    size_t backlog_start;
    size_t backlog_bytes; /* from there on */
    struct line_file_figures figures;
};

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t lines = 0;
    const char *end = bytes + length;
    for (const char *at = bytes; at < end; lines++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            break;
        at++;
    }
    return lines;
}

/* Bytes behind the last '\n'. */
static size_t tail_bytes(const char *bytes, size_t length)
{
    const char *last = length ? memrchr(bytes, '\n', length) : NULL;
    return last ? length - (size_t)(last - bytes) - 1 : length;
}

static bool ends_within_a_line(int fd, off_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int open_path(const char *path, int *ret_fd, bool *ret_torn)
{
    /* O_NOFOLLOW: root writes where the configuration says, not where a link leads, which is why
     * a file with a second name is refused as well. O_NONBLOCK: a FIFO without a reader must not
     * hang the agent. O_RDWR: to look at the last byte. */
    _cleanup_close_ int fd = open(
        path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_nlink > 1)
        return -EMLINK;
    *ret_torn = ends_within_a_line(fd, status.st_size);
    *ret_fd = take_fd(&fd);
    return 0;
}

static int find_sink_of_stdout(enum sink *ret_sink)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) < 0)
        return -errno;
    *ret_sink = S_ISREG(status.st_mode)    ? SINK_FILE
                : S_ISSOCK(status.st_mode) ? SINK_SOCKET
                                           : SINK_STREAM;
    return 0;
}

/* stdout is shared with others, who would not expect O_NONBLOCK on it: pipes and terminals are
 * opened once more for ourselves. -1: refused, errno says why. */
static int open_stream_again(void)
{
    return open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

void line_file_own_stdout(void)
{
    enum sink sink;
    if (find_sink_of_stdout(&sink) < 0 || sink != SINK_STREAM)
        return;
    _cleanup_close_ int fd = open_stream_again();
    if (fd >= 0)
        (void)dup2(fd, STDOUT_FILENO);
}

/* Where stdout is not ours and cannot be opened, writes may block. */
static int open_stdout(int *ret_fd, enum sink *ret_sink)
{
    int r = find_sink_of_stdout(ret_sink);
    if (r < 0)
        return r;
    int fd = *ret_sink == SINK_STREAM ? open_stream_again() : -1;
    if (fd < 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/* As many bytes at once as a stream takes or refuses as a whole: others write to stdout as well
 * (alerts, log lines of `2>&1`), and would do so within a line that is begun. A line that is longer
 * has to take its chance. */
static size_t bite_of(const struct line_file *file, const char *bytes, size_t length)
{
    if (file->sink == SINK_FILE || length <= PIPE_BUF)
        return length;
    size_t whole = PIPE_BUF - tail_bytes(bytes, PIPE_BUF);
    const char *end = whole ? NULL : memchr(bytes, '\n', length);
    return whole ? whole : end ? (size_t)(end - bytes) + 1 : length;
}

/* Writes until all is out, nothing more goes in (-EAGAIN) or it fails. */
static int put_bytes(struct line_file *file, const char *bytes, size_t length, size_t *ret_done)
{
    size_t done = 0;
    int r = 0;
    while (r == 0 && done < length) {
        size_t bite = bite_of(file, bytes + done, length - done);
        ssize_t put = file->sink == SINK_SOCKET
                          ? send(file->fd, bytes + done, bite, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : write(file->fd, bytes + done, bite);
        if (put > 0)
            done += (size_t)put;
        else if (put == 0)
            r = -EIO;
        else if (errno != EINTR)
            r = -errno;
    }
    *ret_done = done;
    return r;
}

/* Ends the line that somebody else, or a failure of ours, has left without its end. */
static int mend(struct line_file *file)
{
    size_t done = 0;
    int r = file->torn ? put_bytes(file, "\n", 1, &done) : 0;
    if (r == 0)
        file->torn = false;
    return r;
}

/* Takes back the part of a line that was written last. Not possible once another process has
 * appended behind it, or on an append-only file: then the part is ended as a line of its own. */
static void cut_tail(struct line_file *file, size_t bytes)
{
    if (bytes == 0)
        return;
    struct stat status;
    off_t end = lseek(file->fd, 0, SEEK_CUR);
    bool is_last = end >= (off_t)bytes && fstat(file->fd, &status) == 0 && status.st_size == end;
    if (!is_last || ftruncate(file->fd, end - (off_t)bytes) < 0) {
        file->torn = true;
        return;
    }
    /* a stdout without O_APPEND would leave a hole there; seeking back in a file cannot fail */
    (void)lseek(file->fd, end - (off_t)bytes, SEEK_SET);
}

static void clear_backlog(struct line_file *file)
{
    free(take_ptr(file->backlog));
    file->backlog_start = 0;
    file->backlog_bytes = 0;
}

/* The rest of a line that does not go in now. The file is not cut back instead: one who follows it
 * (rsyslog, syslog-ng) takes a file that shrinks for a new one and reads it all again. */
static int keep_rest(struct line_file *file, const char *rest, size_t length, size_t begun_bytes)
{
    off_t end = lseek(file->fd, 0, SEEK_CUR);
    char *kept = end >= 0 ? malloc(length) : NULL;
    if (!kept) {
        cut_tail(file, begun_bytes);
        return -ENOMEM;
    }
    memcpy(kept, rest, length);
    file->backlog = kept;
    file->backlog_bytes = length;
    file->begun_bytes = begun_bytes;
    file->begun_end = end;
    file->line_is_begun = true;
    file->figures.pending = 1;
    return 0;
}

static void forget_rest(struct line_file *file)
{
    clear_backlog(file);
    file->line_is_begun = false;
    file->figures.pending = 0;
    file->figures.failed++;
}

/* Writes the rest of the line that was begun. Where the file has been cut, or another process has
 * appended to it, the rest belongs nowhere. */
static int finish_line(struct line_file *file)
{
    struct stat status;
    if (!file->line_is_begun)
        return 0;
    if (fstat(file->fd, &status) < 0 || status.st_size != file->begun_end) {
        forget_rest(file);
        file->torn = ends_within_a_line(file->fd, lseek(file->fd, 0, SEEK_END));
        return 0;
    }
    size_t done = 0;
    int r = put_bytes(file, file->backlog + file->backlog_start, file->backlog_bytes, &done);
    file->backlog_start += done;
    file->backlog_bytes -= done;
    file->begun_bytes += done;
    file->begun_end += (off_t)done;
    if (r < 0)
        return r;
    clear_backlog(file);
    file->line_is_begun = false;
    file->figures.pending = 0;
    file->figures.written++;
    return 0;
}

/* Before the file goes out of our hands: a begun line is finished or taken back. */
static void leave_no_begun_line(struct line_file *file)
{
    if (finish_line(file) == 0)
        return;
    cut_tail(file, file->begun_bytes);
    forget_rest(file);
}

/* A disk that is full or read-only may not stay so. */
static bool will_pass(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EROFS;
}

static bool is_at_its_path(const struct line_file *file, const struct stat *open_file)
{
    struct stat status;
    if (lstat(file->path, &status) < 0)
        return errno != ENOENT;
    return status.st_ino == open_file->st_ino && status.st_dev == open_file->st_dev;
}

/*
 * One who follows the name reads a file that was moved away to its end and is done with it, and
 * nobody reads one that was deleted: nothing more goes there. -errno: nothing can take its place;
 * a file that still has a name is then better than none.
 */
static int ensure_file(struct line_file *file, bool *ret_usable)
{
    struct stat status = {.st_nlink = 0};
    *ret_usable = true;
    if (!file->path)
        return 0;
    if (file->fd >= 0 && (fstat(file->fd, &status) < 0 || is_at_its_path(file, &status)))
        return 0;
    if (status.st_nlink == 0 && file->line_is_begun)
        forget_rest(file);
    int r = line_file_reopen(file);
    *ret_usable = r == 0 || status.st_nlink > 0;
    return r;
}

static int write_file(struct line_file *file, const char *lines, size_t length)
{
    size_t done = 0;
    bool usable;
    int elsewhere = ensure_file(file, &usable);
    int r = usable ? 0 : elsewhere;
    if (r == 0)
        r = finish_line(file);
    if (r == 0)
        r = mend(file);
    if (r == 0)
        r = put_bytes(file, lines, length, &done);
    file->figures.written += count_lines(lines, done);
    size_t begun_bytes = tail_bytes(lines, done);
    const char *rest = lines + done;
    if (begun_bytes > 0) {
        size_t rest_bytes = (size_t)((const char *)memchr(rest, '\n', length - done) + 1 - rest);
        if (keep_rest(file, rest, rest_bytes, begun_bytes) == 0)
            rest += rest_bytes;
    }
    file->figures.failed += count_lines(rest, (size_t)(lines + length - rest));
    return r < 0 ? r : elsewhere;
}

/* The reader is gone: nothing that waits for it will be read. */
static void drop_backlog(struct line_file *file)
{
    file->figures.failed += file->figures.pending;
    file->figures.pending = 0;
    file->torn |= file->line_is_begun;
    file->line_is_begun = false;
    clear_backlog(file);
}

int line_file_flush(struct line_file *file)
{
    if (file->backlog_bytes == 0)
        return 0;
    if (file->sink == SINK_FILE)
        return finish_line(file);
    const char *waiting = file->backlog + file->backlog_start;
    size_t done = 0;
    int r = file->line_is_begun ? 0 : mend(file);
    if (r == 0)
        r = put_bytes(file, waiting, file->backlog_bytes, &done);
    uint64_t written = count_lines(waiting, done);
    file->figures.written += written;
    file->figures.pending -= written;
    if (done > 0)
        file->line_is_begun = waiting[done - 1] != '\n';
    file->backlog_start += done;
    file->backlog_bytes -= done;
    if (r < 0 && r != -EAGAIN)
        drop_backlog(file);
    else if (file->backlog_bytes == 0)
        clear_backlog(file);
    return r == -EAGAIN ? 0 : r;
}

/* The longest run of whole lines from the start of `lines` that has room. */
static size_t bytes_that_fit(const struct line_file *file, const char *lines, size_t length)
{
    size_t room = LINE_FILE_BACKLOG_MAX - file->backlog_bytes;
    if (length <= room)
        return length;
    return room - tail_bytes(lines, room);
}

/* Keeps what could not be written yet; `lines` may begin within a line. */
static int append_backlog(struct line_file *file, const char *lines, size_t length)
{
    size_t kept = bytes_that_fit(file, lines, length);
    int r = kept < length ? -ENOBUFS : 0;
    if (kept && file->backlog_start > 0) {
        memmove(file->backlog, file->backlog + file->backlog_start, file->backlog_bytes);
        file->backlog_start = 0;
    }
    char *grown = kept ? realloc(file->backlog, file->backlog_bytes + kept) : NULL;
    if (kept && !grown) {
        kept = 0;
        r = -ENOMEM;
    }
    if (kept) {
        memcpy(grown + file->backlog_bytes, lines, kept);
        file->backlog = grown;
        file->backlog_bytes += kept;
    }
    if (file->line_is_begun && file->backlog_bytes == 0) {
        file->line_is_begun = false;
        file->torn = true;
    }
    file->figures.pending += count_lines(lines, kept);
    file->figures.failed += count_lines(lines + kept, length - kept);
    return r;
}

static int write_stream(struct line_file *file, const char *lines, size_t length)
{
    int r = line_file_flush(file);
    if (r == 0 && file->backlog_bytes == 0)
        r = mend(file);
    size_t done = 0;
    if (r == 0 && file->backlog_bytes == 0) {
        r = put_bytes(file, lines, length, &done);
        file->figures.written += count_lines(lines, done);
        file->line_is_begun = done > 0 && lines[done - 1] != '\n';
    }
    if (r == 0 || r == -EAGAIN)
        return done < length ? append_backlog(file, lines + done, length - done) : 0;
    file->figures.failed += count_lines(lines + done, length - done);
    file->torn |= file->line_is_begun;
    file->line_is_begun = false;
    return r;
}

int line_file_open(const char *path, struct line_file **ret_file)
{
    _cleanup_(line_file_close_cleanup) struct line_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->fd = -1;
    int r;
    if (strcmp(path, "-") == 0) {
        r = open_stdout(&file->fd, &file->sink);
    } else {
        file->path = strdup(path);
        r = file->path ? open_path(path, &file->fd, &file->torn) : -ENOMEM;
        if (will_pass(r))
            r = 0;
    }
    if (r < 0)
        return r;
    *ret_file = take_ptr(file);
    return 0;
}

void line_file_close(struct line_file *file)
{
    if (!file)
        return;
    if (file->sink == SINK_FILE && file->fd >= 0)
        leave_no_begun_line(file);
    close_fd(&file->fd);
    free(file->backlog);
    free(file->path);
    free(file);
}

int line_file_write(struct line_file *file, const char *lines, size_t length)
{
    if (length == 0)
        return 0;
    if (lines[length - 1] != '\n')
        return -EINVAL;
    return file->sink == SINK_FILE ? write_file(file, lines, length)
                                   : write_stream(file, lines, length);
}

int line_file_fd(const struct line_file *file)
{
    return file->sink == SINK_FILE ? -1 : file->fd;
}

int line_file_reopen(struct line_file *file)
{
    if (!file->path)
        return 0;
    int fd = -1;
    bool torn = false;
    int r = open_path(file->path, &fd, &torn);
    if (r < 0)
        return r;
    if (file->fd >= 0)
        leave_no_begun_line(file);
    close_fd(&file->fd);
    file->fd = fd;
    file->torn = torn;
    file->figures.reopened++;
    return 0;
}

struct line_file_figures line_file_figures(const struct line_file *file)
{
    return file->figures;
}
