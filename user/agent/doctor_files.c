/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the small files of /proc, /sys and /etc, whatever is there in their place. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/doctor_internal.h"
#include "base/text.h"

int doctor_path(const struct doctor_machine *machine, const char *path, char out[PATH_MAX])
{
    int length = snprintf(out, PATH_MAX, "%s%s", machine->root, path);
    return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int doctor_find_file(const struct doctor_machine *machine, const char *path)
{
    char whole[PATH_MAX];
    int error = doctor_path(machine, path, whole);
    return error || access(whole, F_OK) == 0 ? error : -errno;
}

static int open_regular(const struct doctor_machine *machine, const char *path)
{
    char whole[PATH_MAX];
    struct stat status;
    int error = doctor_path(machine, path, whole);
    if (error)
        return error;
    _cleanup_close_ int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status))
        return -errno;
    return S_ISREG(status.st_mode) ? take_fd(&fd) : -EINVAL;
}

/* Files of /proc and /sys do not know their size. */
int doctor_read(const struct doctor_machine *machine, const char *path, char **ret_text)
{
    char part[4096];
    _cleanup_text_ struct text text = {.max_bytes = DOCTOR_FILE_MAX};
    _cleanup_close_ int fd = open_regular(machine, path);
    if (fd < 0)
        return fd;
    for (;;) {
        ssize_t got = read(fd, part, sizeof(part));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        text_append(&text, part, (size_t)got);
        if (text.failed)
            return text.failed == -E2BIG ? -EFBIG : text.failed;
    }
    text_append(&text, "", 1); /* an empty file is a string, too */
    if (text.failed)
        return text.failed == -E2BIG ? -EFBIG : text.failed;
    size_t length = strlen(text.bytes);
    if (length > 0 && text.bytes[length - 1] == '\n')
        text.bytes[length - 1] = '\0';
    *ret_text = take_ptr(text.bytes);
    return 0;
}

int doctor_read_number(const struct doctor_machine *machine, const char *path, uint64_t *ret_number)
{
    _cleanup_free_ char *text = NULL;
    int error = doctor_read(machine, path, &text);
    if (error)
        return error;
    return parse_u64(text, ret_number) ? -EINVAL : 0;
}
