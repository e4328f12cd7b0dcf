/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Computes sketch buckets in the kernel, a batch a run, for comparison with user space. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bucket_batch.h"
#include "loris/sketch.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct bucket_batch);
} batches SEC(".maps");

SEC("raw_tp/sys_enter")
int fill_buckets(void *ctx)
{
    u32 zero = 0;
    struct bucket_batch *batch = bpf_map_lookup_elem(&batches, &zero);
    if (!batch)
        return 1;
    /* An opaque index and an early end keep the verifier from walking each round anew. */
    for (u32 i = 0; i < BUCKET_BATCH; i++) {
        u32 at = i;
        barrier_var(at);
        if (at >= BUCKET_BATCH)
            return 2;
        batch->buckets[at] = loris_sketch_bucket(batch->values[at]);
    }
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
