/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    char path[128];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/loris-socket-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/run/s", fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char folder[128];
    snprintf(folder, sizeof(folder), "%s/run", fixture->folder);
    int left = rmdir(folder); /* fails when a socket or a lock was left behind */
    if (left < 0 && errno == ENOENT)
        left = 0;
    left |= rmdir(fixture->folder);
    free(fixture);
    return left;
}

static void makes_the_folder_and_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    struct socket_path *server;
    struct diag diag;
    assert_int_equal(socket_path_listen(fixture->path, (gid_t)-1, &server, &diag), 0);
    struct stat made;
    assert_int_equal(stat(fixture->path, &made), 0);
    assert_true(S_ISSOCK(made.st_mode));
    assert_int_equal(made.st_mode & 0777, 0660);
    socket_path_close(server);
    assert_int_equal(access(fixture->path, F_OK), -1);
}

static void refuses_a_second_agent(void **state)
{
    struct fixture *fixture = *state;
    struct socket_path *first, *second = NULL;
    struct diag diag;
    assert_int_equal(socket_path_listen(fixture->path, (gid_t)-1, &first, &diag), 0);
    assert_int_equal(socket_path_listen(fixture->path, (gid_t)-1, &second, &diag), -EADDRINUSE);
    assert_non_null(strstr(diag.what, "another agent answers on"));
    assert_int_equal(access(fixture->path, F_OK), 0); /* the first one's is untouched */
    socket_path_close(first);
}

/* A listener that knows nothing of our lock. */
static int bind_plain(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void refuses_a_live_socket_and_replaces_a_dead_one(void **state)
{
    struct fixture *fixture = *state;
    struct socket_path *server = NULL;
    struct diag diag;
    char folder[128];
    snprintf(folder, sizeof(folder), "%s/run", fixture->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    int stranger = bind_plain(fixture->path);
    assert_int_equal(socket_path_listen(fixture->path, (gid_t)-1, &server, &diag), -EADDRINUSE);
    close(stranger);
    assert_int_equal(access(fixture->path, F_OK), 0);
    assert_int_equal(socket_path_listen(fixture->path, (gid_t)-1, &server, &diag), 0);
    socket_path_close(server);
}

static void refuses_what_is_not_a_socket(void **state)
{
    struct fixture *fixture = *state;
    struct socket_path *server = NULL;
    struct diag diag;
    char path[128];
    snprintf(path, sizeof(path), "%s/file", fixture->folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(socket_path_listen(path, (gid_t)-1, &server, &diag), -ENOTSOCK);
    assert_non_null(strstr(diag.what, "is not a socket"));
    assert_int_equal(unlink(path), 0);
}

static void refuses_bad_paths_with_a_clear_line(void **state)
{
    (void)state;
    struct socket_path *server = NULL;
    struct diag diag;
    char path[200];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(socket_path_listen(path, (gid_t)-1, &server, &diag), -ENAMETOOLONG);
    assert_non_null(strstr(diag.what, "has 199 bytes, 107 are possible"));
    assert_int_equal(socket_path_listen("", (gid_t)-1, &server, &diag), -EINVAL);
    assert_int_equal(socket_path_listen("/tmp/no-such-folder/deeper/s", (gid_t)-1, &server, &diag),
                     -ENOENT);
    assert_non_null(strstr(diag.what, "/tmp/no-such-folder/deeper"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_the_folder_and_leaves_nothing_behind),    TEST(refuses_a_second_agent),
        TEST(refuses_a_live_socket_and_replaces_a_dead_one), TEST(refuses_what_is_not_a_socket),
        TEST(refuses_bad_paths_with_a_clear_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
