/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/library_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/nearest_names.h"

/* Layout: glibc, sysdeps/generic/dl-cache.h. All offsets count from the new header. */
struct cache_header {
    char magic[20];
    uint32_t entry_count;
    uint32_t strings_bytes;
    uint32_t unused[5];
};

struct cache_entry {
    int32_t flags;
    uint32_t name;
    uint32_t path;
    uint32_t os_version;
    uint64_t hwcap;
};

#define CACHE_MAGIC         "glibc-ld.so.cache1.1"
#define OLD_MAGIC           "ld.so-1.7.0"
#define OLD_HEADER_BYTES    16
#define OLD_ENTRY_BYTES     12
#define CACHE_BYTES_MAX     (16u << 20)
#define CACHE_FLAGS_X86_64  0x0303 /* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
#define CACHE_HWCAP_BY_NAME (1ull << 62)

struct library_cache {
    char *bytes; /* owned; NUL behind the end */
    size_t length;
    const struct cache_entry *entries;
    size_t entry_count;
    const char *origin; /* the new header */
};

static void cache_done(struct library_cache *cache)
{
    free(cache->bytes);
}

static int read_file(const char *path, char **ret_bytes, size_t *ret_length)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size > CACHE_BYTES_MAX)
        return -EINVAL;
    size_t length = 0;
    _cleanup_free_ char *bytes = malloc((size_t)status.st_size + 1);
    if (!bytes)
        return -ENOMEM;
    while (length < (size_t)status.st_size) {
        const ssize_t got = read(fd, bytes + length, (size_t)status.st_size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    bytes[length] = '\0';
    *ret_bytes = take_ptr(bytes);
    *ret_length = length;
    return 0;
}

static int load(const char *path, struct library_cache *cache)
{
    int r = read_file(path, &cache->bytes, &cache->length);
    if (r < 0)
        return r;
    size_t start = 0;
    if (cache->length >= OLD_HEADER_BYTES && !memcmp(cache->bytes, OLD_MAGIC, strlen(OLD_MAGIC))) {
        uint32_t old_count;
        memcpy(&old_count, cache->bytes + OLD_HEADER_BYTES - sizeof(old_count), sizeof(old_count));
        start = (OLD_HEADER_BYTES + (size_t)old_count * OLD_ENTRY_BYTES + 7) & ~(size_t)7;
    }
    struct cache_header header;
    if (start > cache->length || cache->length - start < sizeof(header))
        return -EINVAL;
    memcpy(&header, cache->bytes + start, sizeof(header));
    if (memcmp(header.magic, CACHE_MAGIC, sizeof(header.magic)) != 0 ||
        header.entry_count > (cache->length - start - sizeof(header)) / sizeof(struct cache_entry))
        return -EINVAL;
    cache->origin = cache->bytes + start;
    cache->length -= start;
    /* malloc aligns, start is a multiple of 8, and so is the size of the header. */
    cache->entries = (const void *)(cache->origin + sizeof(header));
    cache->entry_count = header.entry_count;
    return 0;
}

static const char *string_at(const struct library_cache *cache, uint32_t offset)
{
    return offset < cache->length ? cache->origin + offset : "";
}

/* 1 .. 4 for usable entries, best highest; 0 for what this CPU cannot run. */
static int rank(const struct cache_entry *entry, const char *path)
{
    if (entry->flags != CACHE_FLAGS_X86_64)
        return 0;
    if (!entry->hwcap)
        return 1;
    if (!(entry->hwcap & CACHE_HWCAP_BY_NAME))
        return 0;
    __builtin_cpu_init();
    if (strstr(path, "/glibc-hwcaps/x86-64-v2/"))
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") ? 2 : 0;
    if (strstr(path, "/glibc-hwcaps/x86-64-v3/"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? 3 : 0;
    if (strstr(path, "/glibc-hwcaps/x86-64-v4/"))
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") ? 4 : 0;
    return 0;
}

static void keep_stem(struct nearest_names *by_stem, const char *name)
{
    for (size_t i = 0; i < by_stem->count; i++)
        if (!strcmp(by_stem->names[i], name))
            return;
    if (by_stem->count < NEAREST_NAMES_MAX)
        by_stem->names[by_stem->count++] = name;
}

/* "libpq" or "pq" for libpq.so.5 comes before every misspelling. */
static void suggest(const struct library_cache *cache, const char *soname, char *ret_near,
                    size_t near_bytes)
{
    struct nearest_names nearest, by_stem = {0};
    nearest_names_init(&nearest, soname);
    const size_t length = strlen(soname);
    for (size_t i = 0; i < cache->entry_count; i++) {
        const char *const name = string_at(cache, cache->entries[i].name);
        const char *const stem = strncmp(name, "lib", 3) ? name : name + 3;
        nearest_names_offer(&nearest, name);
        const char *const from = strncmp(name, soname, length) ? stem : name;
        if (!strncmp(from, soname, length) && !strncmp(from + length, ".so", 3))
            keep_stem(&by_stem, name);
    }
    nearest_names_format(by_stem.count ? &by_stem : &nearest, ret_near, near_bytes);
}

int library_cache_find(const char *cache_path, const char *soname, char *ret_path,
                       char *reterr_near, size_t near_bytes)
{
    reterr_near[0] = '\0';
    _cleanup_(cache_done) struct library_cache cache = {0};
    int r = load(cache_path, &cache);
    if (r < 0)
        return r == -ENOMEM ? r : -ENOENT;
    const char *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < cache.entry_count; i++) {
        const struct cache_entry *const entry = &cache.entries[i];
        if (strcmp(string_at(&cache, entry->name), soname) != 0)
            continue;
        const char *const path = string_at(&cache, entry->path);
        if (path[0] == '/' && strlen(path) < PATH_MAX && rank(entry, path) > best_rank) {
            best = path;
            best_rank = rank(entry, path);
        }
    }
    if (!best) {
        suggest(&cache, soname, reterr_near, near_bytes);
        return -ENOENT;
    }
    strcpy(ret_path, best);
    return 0;
}
