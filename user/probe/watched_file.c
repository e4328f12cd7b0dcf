/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/watched_file.h"

#include <string.h>

static bool is_same_file(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

static bool is_same_time(struct timespec left, struct timespec right)
{
    return left.tv_sec == right.tv_sec && left.tv_nsec == right.tv_nsec;
}

static bool has_same_bytes(const struct stat *left, const struct stat *right)
{
    return left->st_size == right->st_size && is_same_time(left->st_mtim, right->st_mtim);
}

/* That it lost its name, or got another one, moves the time of change as well. */
bool watched_file_is_rewritten(const struct watched_file *file)
{
    struct stat now;
    if (file->places.fd < 0)
        return false;
    if (fstat(file->places.fd, &now))
        return true;
    return !has_same_bytes(&file->seen, &now) ||
           (file->seen.st_nlink == now.st_nlink && !is_same_time(file->seen.st_ctim, now.st_ctim));
}

void watched_file_done(struct watched_file *file)
{
    linked_places_done(&file->places);
}

static size_t find_file(const struct watched_files *files, const struct stat *file)
{
    size_t at = 0;
    while (at < files->count && !is_same_file(&files->files[at].seen, file))
        at++;
    return at;
}

static void remove_at(struct watched_files *files, size_t at)
{
    watched_file_done(&files->files[at]);
    files->count--;
    memmove(&files->files[at], &files->files[at + 1],
            (files->count - at) * sizeof(files->files[0]));
}

void watched_files_add(struct watched_files *files, struct watched_file *file)
{
    if (files->count == WATCHED_FILES_MAX)
        remove_at(files, 0);
    files->files[files->count++] = *file;
    *file = (struct watched_file){.places.fd = -1};
}

enum watched_file_state watched_files_state(const struct watched_files *files,
                                            const struct stat *now)
{
    size_t at = find_file(files, now);
    if (at == files->count)
        return WATCHED_FILE_NEW;
    const struct stat *seen = &files->files[at].seen;
    bool unchanged = has_same_bytes(seen, now) && is_same_time(seen->st_ctim, now->st_ctim);
    return unchanged ? WATCHED_FILE_KNOWN : WATCHED_FILE_REWRITTEN;
}

void watched_files_drop(struct watched_files *files, const struct stat *file)
{
    size_t at = find_file(files, file);
    if (at < files->count)
        remove_at(files, at);
}

void watched_files_done(struct watched_files *files)
{
    while (files->count > 0)
        remove_at(files, files->count - 1);
}
