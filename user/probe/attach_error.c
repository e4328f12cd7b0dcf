/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* include/linux/errno.h: never meant for user space, and uprobes return it all the same */
#define KERNEL_ENOTSUPP 524

const char *attach_error_text(int error)
{
    if (error < 0 && error > INT_MIN)
        error = -error;
    switch (error) {
    case KERNEL_ENOTSUPP:
        return "the kernel cannot probe this instruction";
    case EPERM:
    case EACCES:
        return "the kernel does not permit it";
    case EINVAL:
        return "the kernel refuses a probe at this place";
    case ENOEXEC:
        return "the kernel cannot decode this instruction";
    case EILSEQ:
        return "this is not the start of an instruction";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case ENOMEM:
        return "the kernel has no memory for it";
    case EBUSY:
        return "something else holds this place";
    default:
        return strerror(error);
    }
}
