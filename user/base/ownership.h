/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership in one scope: cleanup attributes and the takes that hand ownership on. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(func)        __attribute__((cleanup(func)))
#define _must_check_           __attribute__((warn_unused_result))
#define _printf_(string, args) __attribute__((format(printf, string, args)))

/* Defines func_cleanup(T **), which calls func on the pointee; func accepts NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
    static inline void func##_cleanup(type *owner)                                                 \
    {                                                                                              \
        func(*owner);                                                                              \
    }                                                                                              \
    struct ownership_semicolon

static inline void free_cleanup(void *owner)
{
    free(*(void **)owner);
}

static inline void close_cleanup(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void fclose_cleanup(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define _cleanup_free_   _cleanup_(free_cleanup)
#define _cleanup_close_  _cleanup_(close_cleanup)
#define _cleanup_fclose_ _cleanup_(fclose_cleanup)

/* Hands the pointer on: the owner no longer frees it. */
#define take_ptr(owner)                                                                            \
    ({                                                                                             \
        __typeof__(owner) *owner_at_ = &(owner);                                                   \
        __typeof__(owner) taken_ = *owner_at_;                                                     \
        *owner_at_ = NULL;                                                                         \
        taken_;                                                                                    \
    })

static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void close_fd(int *fd)
{
    if (*fd >= 0)
        close(take_fd(fd));
}
