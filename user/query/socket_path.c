/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LOCK_SUFFIX ".lock"
#define LOCK_TRIES  16
#define BACKLOG     64

struct socket_path {
    struct sockaddr_un address;
    char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(LOCK_SUFFIX)];
    int fd;
    int lock_fd;
    struct stat bound; /* the socket we made */
    bool is_bound;
};

static int in_use(const char *path, struct diag *reterr_diag)
{
    diag_set(reterr_diag, EADDRINUSE, "another agent answers on %s", path);
    diag_hint(reterr_diag, "stop it (systemctl stop loris), or give this one its own --socket");
    return -EADDRINUSE;
}

/* The directory's own parent must exist: a whole made-up path is more likely a typing error. */
static int make_directory(const char *path, struct diag *reterr_diag)
{
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
    if (mkdir(directory, 0755) == 0 || errno == EEXIST)
        return 0;
    int error = errno;
    diag_set(reterr_diag, error, "cannot make the socket's directory %s: %s", directory,
             strerror(error));
    if (error == ENOENT)
        diag_hint(reterr_diag, "make its parent directory first, or give another --socket");
    return -error;
}

static int lock_error(const char *lock_path, int error, struct diag *reterr_diag)
{
    return diag_set(reterr_diag, error, "cannot lock %s: %s", lock_path, strerror(error));
}

/* Takes the lock, and makes sure that it is the file under that name: the previous owner removes
 * the file while it still holds the lock. */
static int take_lock(struct socket_path *socket_path, struct diag *reterr_diag)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        _cleanup_close_ int fd = open(socket_path->lock_path,
                                      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return lock_error(socket_path->lock_path, errno, reterr_diag);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                return in_use(socket_path->address.sun_path, reterr_diag);
            return lock_error(socket_path->lock_path, errno, reterr_diag);
        }
        struct stat held, named;
        if (fstat(fd, &held) == 0 && stat(socket_path->lock_path, &named) == 0 &&
            held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
            socket_path->lock_fd = take_fd(&fd);
            return 0;
        }
    }
    return in_use(socket_path->address.sun_path, reterr_diag);
}

/* Whether somebody listens there who does not know our lock. A full backlog counts as alive. */
static bool somebody_answers(const struct sockaddr_un *address)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return true;
    return errno != ECONNREFUSED && errno != ENOENT;
}

static int clear_the_way(const struct sockaddr_un *address, struct diag *reterr_diag)
{
    const char *path = address->sun_path;
    struct stat found;
    if (lstat(path, &found) < 0) {
        if (errno == ENOENT)
            return 0;
        return diag_set(reterr_diag, errno, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(found.st_mode)) {
        diag_set(reterr_diag, ENOTSOCK, "%s exists and is not a socket", path);
        diag_hint(reterr_diag, "remove it or give another --socket");
        return -ENOTSOCK;
    }
    if (somebody_answers(address))
        return in_use(path, reterr_diag);
    if (unlink(path) < 0 && errno != ENOENT)
        return diag_set(reterr_diag, errno, "cannot remove the dead socket %s: %s", path,
                        strerror(errno));
    return 0;
}

/* The socket is private until its owner and mode are right. */
static int bind_and_listen(struct socket_path *socket_path, gid_t gid, struct diag *reterr_diag)
{
    const char *path = socket_path->address.sun_path;
    socket_path->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_path->fd < 0)
        return diag_set(reterr_diag, errno, "cannot make a socket: %s", strerror(errno));
    mode_t old_mask = umask(0177);
    int bound = bind(socket_path->fd, (const struct sockaddr *)&socket_path->address,
                     sizeof(socket_path->address));
    int error = errno;
    umask(old_mask);
    if (bound < 0)
        return diag_set(reterr_diag, error, "cannot bind %s: %s", path, strerror(error));
    socket_path->is_bound = lstat(path, &socket_path->bound) == 0;
    if ((gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0) || chmod(path, 0660) < 0)
        return diag_set(reterr_diag, errno, "cannot set owner and mode of %s: %s", path,
                        strerror(errno));
    if (listen(socket_path->fd, BACKLOG) < 0)
        return diag_set(reterr_diag, errno, "cannot listen on %s: %s", path, strerror(errno));
    return 0;
}

int socket_path_listen(const char *path, gid_t gid, struct socket_path **ret_socket,
                       struct diag *reterr_diag)
{
    _cleanup_(socket_path_close_cleanup) struct socket_path *socket_path =
        calloc(1, sizeof(*socket_path));
    if (!socket_path)
        return diag_set(reterr_diag, ENOMEM, "no memory for the socket");
    socket_path->fd = socket_path->lock_fd = -1;
    size_t length = strlen(path);
    if (length == 0)
        return diag_set(reterr_diag, EINVAL, "the socket path is empty");
    if (length >= sizeof(socket_path->address.sun_path)) {
        diag_set(reterr_diag, ENAMETOOLONG, "the socket path has %zu bytes, %zu are possible: %s",
                 length, sizeof(socket_path->address.sun_path) - 1, path);
        diag_hint(reterr_diag, "choose a shorter path, such as /run/loris/loris.sock");
        return -ENAMETOOLONG;
    }
    socket_path->address.sun_family = AF_UNIX;
    memcpy(socket_path->address.sun_path, path, length + 1);
    memcpy(socket_path->lock_path, path, length);
    memcpy(socket_path->lock_path + length, LOCK_SUFFIX, sizeof(LOCK_SUFFIX));
    int r = make_directory(path, reterr_diag);
    if (r == 0)
        r = take_lock(socket_path, reterr_diag);
    if (r == 0)
        r = clear_the_way(&socket_path->address, reterr_diag);
    if (r == 0)
        r = bind_and_listen(socket_path, gid, reterr_diag);
    if (r < 0)
        return r;
    *ret_socket = take_ptr(socket_path);
    return 0;
}

void socket_path_close(struct socket_path *socket_path)
{
    if (!socket_path)
        return;
    struct stat named;
    const char *path = socket_path->address.sun_path;
    if (socket_path->is_bound && lstat(path, &named) == 0 &&
        named.st_dev == socket_path->bound.st_dev && named.st_ino == socket_path->bound.st_ino)
        unlink(path);
    close_fd(&socket_path->fd);
    if (socket_path->lock_fd >= 0)
        unlink(socket_path->lock_path); /* while it is still locked */
    close_fd(&socket_path->lock_fd);
    free(socket_path);
}

int socket_path_fd(const struct socket_path *socket_path)
{
    return socket_path->fd;
}
