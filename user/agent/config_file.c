/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/whole_file.h"

/* A full disk, a directory, a device: said before the parser could be confused by it. */
static int open_file(const char *path, struct stat *ret_status, struct diag *reterr_diag)
{
    /* O_NONBLOCK: a FIFO must not hang the agent */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, ret_status) < 0) {
        int error = errno;
        return diag_set(reterr_diag, error, "%.300s: %s", path, strerror(error));
    }
    if (!S_ISREG(ret_status->st_mode)) {
        int r = diag_set(reterr_diag, EINVAL, "%.300s: not a regular file", path);
        diag_hint(reterr_diag, "expected a YAML file");
        return r;
    }
    return take_fd(&fd);
}

/* At most one byte more than allowed, so that the parser refuses what has grown meanwhile. */
static int read_file(const char *path, char **ret_bytes, size_t *ret_length,
                     struct diag *reterr_diag)
{
    struct stat status;
    _cleanup_close_ int fd = open_file(path, &status, reterr_diag);
    if (fd < 0)
        return fd;
    size_t capacity = status.st_size > CONFIG_YAML_BYTES_MAX ? CONFIG_YAML_BYTES_MAX + 1
                                                             : (size_t)status.st_size + 1;
    _cleanup_free_ char *bytes = malloc(capacity);
    if (!bytes)
        return diag_set(reterr_diag, ENOMEM, "%.300s: not enough memory to read it", path);
    size_t length = 0;
    int r = whole_file_read(fd, bytes, capacity, &length);
    if (r < 0)
        return diag_set(reterr_diag, -r, "%.300s: %s", path, strerror(-r));
    *ret_bytes = take_ptr(bytes);
    *ret_length = length;
    return 0;
}

int config_file_parse(const char *path, struct config_yaml **ret_yaml, struct diag *reterr_diag)
{
    _cleanup_free_ char *bytes = NULL;
    size_t length = 0;
    int r = read_file(path, &bytes, &length, reterr_diag);
    if (r < 0)
        return r;
    return config_yaml_parse(path, bytes, length, ret_yaml, reterr_diag);
}
