/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dynamic linker's cache of library names, /etc/ld.so.cache. */
#pragma once

#include <stddef.h>

#include "base/ownership.h"

/* Looks up a soname as ld.so does on this CPU: x86-64 entries, the best glibc-hwcaps level first.
 * ret_path: PATH_MAX bytes, as it stands in the cache. -ENOENT: not there, or no readable cache
 * (a broken one counts as none); reterr_near then has the nearest sonames, "foo.so.1, bar.so.2",
 * or is empty. */
int library_cache_find(const char *cache_path, const char *soname, char *ret_path,
                       char *reterr_near, size_t near_bytes) _must_check_;
