/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/whole_file.h"

static int write_bytes(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        bytes += put;
        length -= (size_t)put;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* A rename is on disk when its folder is. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
    _cleanup_close_ int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        (void)fsync(fd);
}

int alert_file_write(const char *path, const char *bytes, size_t length)
{
    _cleanup_free_ char *fresh = NULL;
    if (asprintf(&fresh, "%s.new", path) < 0) {
        fresh = NULL;
        return -ENOMEM;
    }
    /* what a crash left; O_EXCL: nobody's link is followed */
    if (unlink(fresh) < 0 && errno != ENOENT)
        return -errno;
    _cleanup_close_ int fd =
        open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_bytes(fd, bytes, length);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(fresh);
    else
        sync_folder(path);
    return r;
}

int alert_file_read(const char *path, json_t **ret_object)
{
    struct stat status;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size > ALERT_FILE_BYTES_MAX)
        return -EBADMSG;
    size_t length = 0, capacity = (size_t)status.st_size;
    _cleanup_free_ char *bytes = malloc(capacity + 1);
    if (!bytes)
        return -ENOMEM;
    int r = whole_file_read(fd, bytes, capacity, &length);
    if (r < 0)
        return r;
    json_t *object = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return -EBADMSG;
    }
    *ret_object = object;
    return 0;
}
