/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "probe/watched_file.h"

static struct stat file_of(ino_t inode)
{
    return (struct stat){.st_dev = 7, .st_ino = inode, .st_size = 100};
}

/* A link stands for any descriptor: what counts is that it is closed. */
static int open_link(struct link_set *links)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(link_set_add(links, fd), 0);
    return fd;
}

static int add_file(struct watched_files *files, ino_t inode)
{
    struct watched_file file = {.seen = file_of(inode), .places.fd = -1};
    int fd = open_link(&file.places.shared);
    watched_files_add(files, &file);
    assert_int_equal(file.places.shared.count, 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void tells_known_rewritten_and_new_files_apart(void **state)
{
    (void)state;
    struct watched_files files = {0};
    add_file(&files, 1);
    struct stat now = file_of(1);
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_KNOWN);
    now.st_size++;
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_REWRITTEN);
    now = file_of(1);
    now.st_mtim.tv_nsec = 1;
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_REWRITTEN);
    now = file_of(1);
    now.st_ctim.tv_sec = 1;
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_REWRITTEN);
    now = file_of(2);
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_NEW);
    now = file_of(1);
    now.st_dev = 8;
    assert_int_equal(watched_files_state(&files, &now), WATCHED_FILE_NEW);
    watched_files_done(&files);
}

static void lets_the_oldest_go_when_there_are_too_many(void **state)
{
    (void)state;
    struct watched_files files = {0};
    int fds[WATCHED_FILES_MAX + 1];
    for (ino_t inode = 0; inode <= WATCHED_FILES_MAX; inode++)
        fds[inode] = add_file(&files, inode);
    assert_int_equal(files.count, WATCHED_FILES_MAX);
    assert_false(is_open(fds[0]));
    for (int i = 1; i <= WATCHED_FILES_MAX; i++)
        assert_true(is_open(fds[i]));
    watched_files_done(&files);
    for (int i = 0; i <= WATCHED_FILES_MAX; i++)
        assert_false(is_open(fds[i]));
}

static void drops_one_file_and_keeps_the_others(void **state)
{
    (void)state;
    struct watched_files files = {0};
    int first = add_file(&files, 1), second = add_file(&files, 2), third = add_file(&files, 3);
    const struct stat middle = file_of(2), stranger = file_of(9);
    watched_files_drop(&files, &stranger);
    watched_files_drop(&files, &middle);
    assert_true(is_open(first) && !is_open(second) && is_open(third));
    assert_int_equal(watched_files_state(&files, &middle), WATCHED_FILE_NEW);
    watched_files_done(&files);
    assert_false(is_open(first) || is_open(third));
}

/* A copy of what was seen, of a file that is pinned. */
static struct watched_file watch_file(const char *path)
{
    struct watched_file file = {.places.fd = open(path, O_PATH | O_CLOEXEC)};
    assert_true(file.places.fd >= 0);
    assert_int_equal(fstat(file.places.fd, &file.seen), 0);
    return file;
}

static void a_file_is_rewritten_by_writing_not_by_naming(void **state)
{
    (void)state;
    char path[] = "/tmp/loris-watched-XXXXXX", other[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "bytes", 5), 5);
    /* Its times are long past, so that what happens now moves them. */
    const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(futimens(fd, past), 0);
    struct watched_file file = watch_file(path);
    assert_false(watched_file_is_rewritten(&file));
    snprintf(other, sizeof(other), "%s.other", path);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other), 0); /* as when it is replaced */
    assert_false(watched_file_is_rewritten(&file));
    assert_int_equal(pwrite(fd, "BYTES", 5, 0), 5);
    assert_true(watched_file_is_rewritten(&file));
    close(fd);
    watched_file_done(&file);

    struct watched_file kernel = {.places.fd = -1};
    assert_false(watched_file_is_rewritten(&kernel));
}

static void links_cut_apart_are_closed_here(void **state)
{
    (void)state;
    struct link_set links = {0};
    int pipe_fds[2];
    char byte;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(link_set_add(&links, pipe_fds[1]), 0);
    int done_fd = link_set_cut_apart(&links);
    assert_int_equal(links.count, 0);
    assert_false(is_open(pipe_fds[1]));
    /* The process apart ends as well, and with it the last copy. */
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
    close(pipe_fds[0]);
    assert_true(done_fd >= 0);
    while (read(done_fd, &byte, 1) < 0) /* it says so after the last copy is closed */
        assert_int_equal(errno, EAGAIN);
    close(done_fd);
    link_set_done(&links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_known_rewritten_and_new_files_apart),
        cmocka_unit_test(lets_the_oldest_go_when_there_are_too_many),
        cmocka_unit_test(drops_one_file_and_keeps_the_others),
        cmocka_unit_test(a_file_is_rewritten_by_writing_not_by_naming),
        cmocka_unit_test(links_cut_apart_are_closed_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
