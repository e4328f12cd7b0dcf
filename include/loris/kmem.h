/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel side counts of the kernel's own allocators, since they are watched. */
#pragma once

#include <linux/types.h>

#define LORIS_KMEM_NAME_BYTES 32
#define LORIS_KMEM_ORDERS     16 /* of pages; more than any kernel has */

/*
 * What allocates: the address of a slab cache; for kmalloc, which does not tell its cache, the
 * bytes that it gave; LORIS_KMEM_KFREE for kfree, which does not tell either. Addresses of the
 * kernel are above all sizes.
 */
#define LORIS_KMEM_KFREE         0
#define LORIS_KMEM_IS_CACHE(key) ((key) >> 63)

/* Of one CPU. */
struct loris_kmem_counts {
    __u64 calls; /* that succeeded */
    __u64 failures;
    __u64 frees;
    __u64 bytes; /* kmalloc: asked for; pages: given; caches: 0, their objects are of one size */
};

/* Of a slab cache, read when it was first seen. */
struct loris_kmem_cache {
    __u32 object_bytes;
    __u32 reserved;
    char name[LORIS_KMEM_NAME_BYTES]; /* not trusted to end in NUL */
};

/* Per CPU: calls for which the table of caches had no room. */
struct loris_kmem_ledger {
    __u64 unnamed_calls;
    __u64 unnamed_frees;
};

_Static_assert(sizeof(struct loris_kmem_counts) == 32, "kmem counts layout");
_Static_assert(sizeof(struct loris_kmem_ledger) == 2 * 8, "kmem ledger layout");
_Static_assert(sizeof(struct loris_kmem_cache) == 40, "kmem cache layout");
