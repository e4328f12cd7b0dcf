/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/whole_file.h"

#include <errno.h>
#include <unistd.h>

int whole_file_read(int fd, char *bytes, size_t capacity, size_t *ret_length)
{
    size_t length = 0;
    while (length < capacity) {
        ssize_t got = read(fd, bytes + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    *ret_length = length;
    return 0;
}
