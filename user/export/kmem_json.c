/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/kmem_json.h"

void kmem_json_write(struct json_writer *json, const char *key, const struct kmem_json *kmem)
{
    const struct loris_kmem_counts *counts = &kmem->counts;
    bool is_balanced = kmem->calls_known && kmem->frees_known;
    json_begin_object(json, key);
    json_string_z(json, "schema", KMEM_JSON_SCHEMA);
    json_string_z(json, "time", kmem->time);
    json_string_z(json, "kind", kmem->kind);
    if (kmem->name)
        json_string_z(json, "name", kmem->name);
    else
        json_u64(json, "order", kmem->order);
    if (kmem->object_bytes)
        json_u64(json, "object_bytes", kmem->object_bytes);
    if (kmem->calls_known) {
        json_u64(json, "calls", counts->calls);
        json_u64(json, "failures", counts->failures);
        json_u64(json, "bytes", counts->bytes);
    }
    if (kmem->frees_known)
        json_u64(json, "frees", counts->frees);
    if (is_balanced) {
        int64_t grown = (int64_t)(counts->calls - counts->frees);
        json_i64(json, "live_count", grown);
        json_i64(json, "live_bytes", grown * (int64_t)kmem->object_bytes);
    }
    json_end_object(json);
}
