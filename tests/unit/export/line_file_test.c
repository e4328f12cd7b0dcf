/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

struct fixture {
    char folder[64];
    char path[96];
    char moved[96];
    int saved_stdout;
    struct rlimit saved_limit;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/loris-line-file-test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/out", fixture->folder);
    snprintf(fixture->moved, sizeof(fixture->moved), "%s/out.1", fixture->folder);
    fflush(stdout);
    fixture->saved_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(fixture->saved_stdout >= 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &fixture->saved_limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    setrlimit(RLIMIT_FSIZE, &fixture->saved_limit);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
    close(fixture->saved_stdout);
    unlink(fixture->path);
    unlink(fixture->moved);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

/* A disk that is full after so many bytes; the kernel writes what still fits. */
static void limit_files_to(const struct fixture *fixture, rlim_t bytes)
{
    struct rlimit limit = fixture->saved_limit;
    if (bytes != RLIM_INFINITY)
        limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct line_file *open_file(const char *path)
{
    struct line_file *file = NULL;
    assert_int_equal(line_file_open(path, &file), 0);
    return file;
}

static int put(struct line_file *file, const char *lines)
{
    return line_file_write(file, lines, strlen(lines));
}

static void write_raw(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void assert_holds(const char *path, const char *expected)
{
    char content[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t length = read(fd, content, sizeof(content) - 1);
    close(fd);
    assert_true(length >= 0);
    content[length] = '\0';
    assert_string_equal(content, expected);
}

static void assert_figures(const struct line_file *file, uint64_t written, uint64_t failed,
                           uint64_t pending)
{
    struct line_file_figures figures = line_file_figures(file);
    assert_int_equal(figures.written, written);
    assert_int_equal(figures.failed, failed);
    assert_int_equal(figures.pending, pending);
}

static void creates_a_file_for_its_group_and_appends(void **state)
{
    const struct fixture *fixture = *state;
    mode_t mask = umask(0);
    struct line_file *file = open_file(fixture->path);
    umask(mask);
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(line_file_fd(file), -1);
    assert_int_equal(put(file, "a\nb\n"), 0);
    assert_int_equal(put(file, ""), 0);
    assert_figures(file, 2, 0, 0);
    line_file_close(file);

    file = open_file(fixture->path);
    assert_int_equal(put(file, "c\n"), 0);
    assert_figures(file, 1, 0, 0);
    line_file_close(file);
    assert_holds(fixture->path, "a\nb\nc\n");
}

static void refuses_a_line_without_its_end(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    assert_int_equal(put(file, "a\nb"), -EINVAL);
    assert_figures(file, 0, 0, 0);
    line_file_close(file);
    assert_holds(fixture->path, "");
}

static void refuses_what_is_not_a_file_of_its_own(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = NULL;
    assert_int_equal(line_file_open(fixture->folder, &file), -EISDIR);
    assert_int_equal(line_file_open("/dev/null", &file), -EINVAL);
    assert_int_equal(line_file_open("/nowhere/at/all", &file), -ENOENT);
    assert_int_equal(symlink("/etc/passwd", fixture->path), 0);
    assert_int_equal(line_file_open(fixture->path, &file), -ELOOP);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_int_equal(line_file_open(fixture->path, &file), -EINVAL);
    assert_int_equal(unlink(fixture->path), 0);
    write_raw(fixture->path, "");
    assert_int_equal(link(fixture->path, fixture->moved), 0);
    assert_int_equal(line_file_open(fixture->path, &file), -EMLINK);
    assert_null(file);
}

static void ends_a_line_that_a_crash_left_torn(void **state)
{
    const struct fixture *fixture = *state;
    write_raw(fixture->path, "whole\nhal");
    struct line_file *file = open_file(fixture->path);
    assert_holds(fixture->path, "whole\nhal");
    assert_int_equal(put(file, "a\n"), 0);
    assert_int_equal(put(file, "b\n"), 0);
    assert_figures(file, 2, 0, 0);
    line_file_close(file);
    assert_holds(fixture->path, "whole\nhal\na\nb\n");
}

static void finishes_the_line_that_a_full_disk_took_a_part_of(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    limit_files_to(fixture, 10);
    assert_int_equal(put(file, "12\n45\n7890123\nabc\n"), -EFBIG);
    assert_figures(file, 2, 1, 1);
    assert_holds(fixture->path, "12\n45\n7890");
    assert_int_equal(put(file, "x\n"), -EFBIG);
    assert_figures(file, 2, 2, 1);
    limit_files_to(fixture, 12);
    assert_int_equal(put(file, "y\n"), -EFBIG);
    assert_figures(file, 2, 3, 1);
    assert_holds(fixture->path, "12\n45\n789012");

    limit_files_to(fixture, RLIM_INFINITY);
    assert_int_equal(put(file, "again\n"), 0);
    assert_figures(file, 4, 3, 0);
    line_file_close(file);
    assert_holds(fixture->path, "12\n45\n7890123\nagain\n");
}

static void takes_back_a_begun_line_when_it_ends_on_a_full_disk(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    limit_files_to(fixture, 5);
    assert_int_equal(put(file, "12\n4567\n"), -EFBIG);
    assert_holds(fixture->path, "12\n45");
    assert_int_equal(rename(fixture->path, fixture->moved), 0);
    assert_int_equal(line_file_reopen(file), 0);
    assert_holds(fixture->moved, "12\n");
    assert_figures(file, 1, 1, 0);
    assert_int_equal(put(file, "ab\ncde\n"), -EFBIG);
    assert_int_equal(line_file_flush(file), -EFBIG);
    assert_figures(file, 2, 1, 1);
    line_file_close(file);
    limit_files_to(fixture, RLIM_INFINITY);
    assert_holds(fixture->path, "ab\n");
}

static void forgets_the_rest_of_a_line_whose_start_was_cut_away(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    limit_files_to(fixture, 5);
    assert_int_equal(put(file, "12\n4567\n"), -EFBIG);
    limit_files_to(fixture, RLIM_INFINITY);
    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(put(file, "a\n"), 0);
    assert_figures(file, 2, 1, 0);
    assert_holds(fixture->path, "a\n");

    limit_files_to(fixture, 4);
    assert_int_equal(put(file, "4567\n"), -EFBIG);
    limit_files_to(fixture, RLIM_INFINITY);
    write_raw(fixture->path, "other");
    assert_int_equal(put(file, "b\n"), 0);
    assert_figures(file, 3, 2, 0);
    line_file_close(file);
    assert_holds(fixture->path, "a\n45other\nb\n");
}

static void makes_a_deleted_file_anew(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    assert_int_equal(put(file, "a\n"), 0);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(put(file, "b\n"), 0);
    assert_figures(file, 2, 0, 0);
    assert_int_equal(line_file_figures(file).reopened, 1);
    assert_holds(fixture->path, "b\n");

    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_int_equal(put(file, "c\n"), -EINVAL);
    assert_figures(file, 2, 1, 0);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(put(file, "d\n"), 0);
    line_file_close(file);
    assert_holds(fixture->path, "d\n");
}

static void leaves_no_hole_in_a_stdout_that_is_a_file(void **state)
{
    const struct fixture *fixture = *state;
    int out = open(fixture->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
    close(out);
    struct line_file *file = open_file("-");
    limit_files_to(fixture, 5);
    int short_write = put(file, "12\n4567\n");
    limit_files_to(fixture, RLIM_INFINITY);
    int next_write = put(file, "abc\n"); /* behind the rest of the begun line */
    int reopened = line_file_reopen(file);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
    assert_int_equal(short_write, -EFBIG);
    assert_int_equal(next_write, 0);
    assert_int_equal(reopened, 0);
    assert_figures(file, 3, 0, 0);
    line_file_close(file);
    assert_holds(fixture->path, "12\n4567\nabc\n");
}

static void reopens_after_a_rotation(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    assert_int_equal(put(file, "a\n"), 0);
    assert_int_equal(rename(fixture->path, fixture->moved), 0);
    assert_int_equal(line_file_reopen(file), 0);
    assert_int_equal(put(file, "b\n"), 0);
    assert_int_equal(line_file_figures(file).reopened, 1);
    assert_holds(fixture->moved, "a\n");
    assert_holds(fixture->path, "b\n");

    /* nobody reads more than what there was in a file that moved */
    assert_int_equal(rename(fixture->path, fixture->moved), 0);
    assert_int_equal(put(file, "c\n"), 0);
    assert_figures(file, 3, 0, 0);
    assert_int_equal(line_file_figures(file).reopened, 2);
    assert_holds(fixture->moved, "b\n");
    assert_holds(fixture->path, "c\n");

    /* what cannot be opened changes nothing */
    assert_int_equal(rename(fixture->path, fixture->moved), 0);
    assert_int_equal(symlink("/etc/passwd", fixture->path), 0);
    assert_int_equal(line_file_reopen(file), -ELOOP);
    assert_int_equal(put(file, "d\n"), -ELOOP);
    assert_figures(file, 4, 0, 0);
    assert_int_equal(line_file_figures(file).reopened, 2);
    assert_holds(fixture->moved, "c\nd\n");
    line_file_close(file);
}

static void follows_a_file_that_was_truncated_in_place(void **state)
{
    const struct fixture *fixture = *state;
    struct line_file *file = open_file(fixture->path);
    assert_int_equal(put(file, "a\n"), 0);
    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(put(file, "b\n"), 0);
    line_file_close(file);
    assert_holds(fixture->path, "b\n");
}

/* --- stdout that takes only so much ------------------------------------------------------------
 */

struct reader {
    int fd;
    char *bytes;
    size_t length, capacity;
};

static void read_all(struct reader *reader)
{
    for (;;) {
        if (reader->capacity - reader->length < 65536) {
            reader->capacity += 1024 * 1024;
            reader->bytes = realloc(reader->bytes, reader->capacity);
            assert_non_null(reader->bytes);
        }
        ssize_t got =
            read(reader->fd, reader->bytes + reader->length, reader->capacity - reader->length);
        if (got <= 0)
            return;
        reader->length += (size_t)got;
    }
}

/* Every line is whole and is `NUMBER xxx...\n`, numbers ascending. */
static uint64_t count_whole_lines(const struct reader *reader)
{
    uint64_t lines = 0;
    long last = -1;
    const char *at = reader->bytes, *end = at + reader->length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(newline);
        assert_int_equal(newline - at, 99);
        assert_true(at[0] >= '0' && at[0] <= '9');
        long number = strtol(at, NULL, 10);
        assert_true(number > last);
        last = number;
        lines++;
        at = newline + 1;
    }
    return lines;
}

static size_t fill_batch(char *batch, unsigned first, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++) {
        char *line = batch + (size_t)i * 100;
        memset(line, 'x', 100);
        int length = snprintf(line, 100, "%08u ", first + i);
        line[length] = 'x';
        line[99] = '\n';
    }
    return (size_t)lines * 100;
}

#define BATCH_LINES 1000u

static void check_slow_reader(const struct fixture *fixture, int read_fd, int write_fd)
{
    static char batch[BATCH_LINES * 100];
    struct reader reader = {.fd = read_fd};
    assert_int_equal(fcntl(read_fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(write_fd, STDOUT_FILENO), STDOUT_FILENO);
    close(write_fd);
    struct line_file *file = open_file("-");
    assert_true(line_file_fd(file) >= 0);

    unsigned given = 0;
    uint64_t refusals = 0;
    for (unsigned round = 0; round < 60; round++) {
        int r = line_file_write(file, batch, fill_batch(batch, given, BATCH_LINES));
        given += BATCH_LINES;
        refusals += r == -ENOBUFS;
        struct line_file_figures figures = line_file_figures(file);
        assert_true(r == 0 || r == -ENOBUFS);
        assert_int_equal(figures.written + figures.failed + figures.pending, given);
        assert_true(figures.pending * 100 <= LINE_FILE_BACKLOG_MAX + 100);
    }
    assert_true(refusals > 10);
    for (unsigned round = 0; line_file_figures(file).pending > 0; round++) {
        assert_true(round < 10000);
        read_all(&reader);
        assert_int_equal(line_file_flush(file), 0);
    }
    read_all(&reader); /* makes room */
    assert_int_equal(line_file_write(file, batch, fill_batch(batch, given, 1)), 0);
    read_all(&reader);
    struct line_file_figures figures = line_file_figures(file);
    assert_int_equal(figures.written + figures.failed, given + 1);
    assert_true(figures.failed > 0);
    assert_int_equal(count_whole_lines(&reader), figures.written);

    close(read_fd);
    assert_int_equal(put(file, "nobody\nreads\n"), -EPIPE);
    assert_int_equal(line_file_figures(file).failed, figures.failed + 2);
    line_file_close(file);
    free(reader.bytes);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
}

static void a_pipe_without_a_reader_never_blocks_and_gets_whole_lines(void **state)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_slow_reader(*state, ends[0], ends[1]);
}

static void a_socket_without_a_reader_never_blocks_and_gets_whole_lines(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_slow_reader(*state, ends[0], ends[1]);
}

static void two_who_share_a_pipe_do_not_tear_each_others_lines(void **state)
{
    const struct fixture *fixture = *state;
    static char batch[BATCH_LINES * 100];
    struct line_file *files[2];
    uint64_t written = 0;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[1]);
    for (unsigned i = 0; i < 2; i++) { /* the second finds the pipe full */
        files[i] = open_file("-");
        assert_int_equal(line_file_write(files[i], batch, fill_batch(batch, 0, BATCH_LINES)), 0);
    }
    struct reader reader = {.fd = ends[0]};
    for (unsigned i = 1; line_file_figures(files[0]).pending > 0; i++) {
        read_all(&reader);
        assert_int_equal(line_file_flush(files[i % 2]), 0);
    }
    while (line_file_figures(files[1]).pending > 0) {
        read_all(&reader);
        assert_int_equal(line_file_flush(files[1]), 0);
    }
    read_all(&reader);
    for (unsigned i = 0; i < 2; i++) {
        written += line_file_figures(files[i]).written;
        line_file_close(files[i]);
    }
    assert_int_equal(written, 2 * BATCH_LINES);
    assert_int_equal(reader.length, written * 100);
    for (size_t at = 0; at < reader.length; at += 100)
        assert_ptr_equal(memchr(reader.bytes + at, '\n', 100), reader.bytes + at + 99);
    free(reader.bytes);
    close(ends[0]);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
}

static void what_waits_fails_when_the_reader_goes(void **state)
{
    const struct fixture *fixture = *state;
    static char batch[BATCH_LINES * 100];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[1]);
    struct line_file *file = open_file("-");
    assert_int_equal(line_file_write(file, batch, fill_batch(batch, 0, BATCH_LINES)), 0);
    struct line_file_figures before = line_file_figures(file);
    assert_true(before.pending > 0 && before.written > 0);
    close(ends[0]);
    assert_int_equal(line_file_flush(file), -EPIPE);
    assert_figures(file, before.written, before.pending, 0);
    assert_int_equal(line_file_flush(file), 0);
    line_file_close(file);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
}

static void does_not_make_the_shared_stdout_nonblocking(void **state)
{
    const struct fixture *fixture = *state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    struct line_file *file = open_file("-");
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    line_file_close(file);
    int still_open = fcntl(STDOUT_FILENO, F_GETFD);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
    assert_false(flags & O_NONBLOCK);
    assert_true(still_open >= 0);
    close(ends[0]);
    close(ends[1]);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static void write_a_little(void *context)
{
    const struct fixture *fixture = context;
    struct line_file *file = NULL;
    int r = line_file_open(fixture->path, &file);
    assert_true(r == 0 || r == -ENOMEM);
    if (r == 0)
        assert_int_equal(put(file, "a\n"), 0);
    line_file_close(file);
}

static void write_too_much_for_a_pipe(void *context)
{
    static char line[100 * 1000]; /* as a whole it goes nowhere */
    const struct fixture *fixture = context;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[1]);
    struct line_file *file = NULL;
    int r = line_file_open("-", &file);
    dup2(fixture->saved_stdout, STDOUT_FILENO);
    assert_true(r == 0 || r == -ENOMEM);
    if (r == 0) {
        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        r = line_file_write(file, line, sizeof(line));
        assert_true(r == 0 || r == -ENOMEM);
        struct line_file_figures figures = line_file_figures(file);
        assert_int_equal(figures.failed + figures.pending, 1);
        /* the torn line is ended before the next one begins */
        static char taken[65536];
        size_t length = 0;
        ssize_t got;
        while ((got = read(ends[0], taken + length, sizeof(taken) - length)) > 0)
            length += (size_t)got;
        r = put(file, "next\n");
        assert_true(r == 0 || r == -ENOMEM);
        got = read(ends[0], taken, sizeof(taken));
        assert_true(got > 0);
        if (figures.failed > 0)
            assert_memory_equal(taken, "\nnext\n", 6);
    }
    line_file_close(file);
    close(ends[0]);
}

static void survives_every_failed_allocation(void **state)
{
    assert_in_range(failing_alloc_each(write_a_little, *state), 2, 10);
    assert_in_range(failing_alloc_each(write_too_much_for_a_pipe, *state), 2, 10);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(creates_a_file_for_its_group_and_appends),
        WITH_FIXTURE(refuses_a_line_without_its_end),
        WITH_FIXTURE(refuses_what_is_not_a_file_of_its_own),
        WITH_FIXTURE(ends_a_line_that_a_crash_left_torn),
        WITH_FIXTURE(finishes_the_line_that_a_full_disk_took_a_part_of),
        WITH_FIXTURE(takes_back_a_begun_line_when_it_ends_on_a_full_disk),
        WITH_FIXTURE(forgets_the_rest_of_a_line_whose_start_was_cut_away),
        WITH_FIXTURE(makes_a_deleted_file_anew),
        WITH_FIXTURE(leaves_no_hole_in_a_stdout_that_is_a_file),
        WITH_FIXTURE(reopens_after_a_rotation),
        WITH_FIXTURE(follows_a_file_that_was_truncated_in_place),
        WITH_FIXTURE(a_pipe_without_a_reader_never_blocks_and_gets_whole_lines),
        WITH_FIXTURE(a_socket_without_a_reader_never_blocks_and_gets_whole_lines),
        WITH_FIXTURE(what_waits_fails_when_the_reader_goes),
        WITH_FIXTURE(two_who_share_a_pipe_do_not_tear_each_others_lines),
        WITH_FIXTURE(does_not_make_the_shared_stdout_nonblocking),
        WITH_FIXTURE(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
