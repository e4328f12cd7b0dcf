/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bucket.bpf.c and its test hand each other: values in, buckets out. */
#pragma once

#include <linux/types.h>

#define BUCKET_BATCH 1024

struct bucket_batch {
    __u64 values[BUCKET_BATCH];
    __u32 buckets[BUCKET_BATCH];
};

_Static_assert(sizeof(struct bucket_batch) == 12 * BUCKET_BATCH, "batch layout");
