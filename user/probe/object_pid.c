/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The executable files a process has mapped. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/object_file.h"

#define PID_FILES_MAX 4096
#define MAPS_LINE_MAX (4 * PATH_MAX + 256) /* the kernel writes "\012" for a newline in a path */

struct mapped_file {
    uint64_t device; /* major << 32 | minor, as maps has it */
    uint64_t inode;
};

struct mapping {
    uint64_t start, end;
    struct mapped_file file;
    const char *path;
};

/* False for what is not an executable mapping of a file. */
static bool parse_mapping(const char *line, struct mapping *ret_mapping)
{
    struct mapping mapping;
    char permissions[5];
    unsigned major_number, minor_number;
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n", &mapping.start,
               &mapping.end, permissions, &major_number, &minor_number, &mapping.file.inode,
               &path_at) < 6 ||
        !path_at)
        return false;
    mapping.file.device = (uint64_t)major_number << 32 | minor_number;
    mapping.path = line + path_at;
    if (strlen(permissions) != 4 || permissions[2] != 'x' || !mapping.file.inode ||
        mapping.path[0] != '/')
        return false;
    *ret_mapping = mapping;
    return true;
}

static bool is_seen(struct mapped_file *seen, size_t count, const struct mapped_file *file)
{
    for (size_t i = 0; i < count; i++)
        if (seen[i].inode == file->inode && seen[i].device == file->device)
            return true;
    return false;
}

/* Which name opens the mapped file now. Only the inode is compared with maps: on btrfs and overlay
 * file systems stat(2) has another device. */
static bool find_path(int32_t pid, const struct mapping *mapping, char *ret_path)
{
    char below_root[PATH_MAX];
    struct stat below, plain;
    if (snprintf(below_root, sizeof(below_root), "/proc/%d/root%s", pid, mapping->path) <
            (int)sizeof(below_root) &&
        stat(below_root, &below) == 0 && below.st_ino == mapping->file.inode) {
        if (!S_ISREG(below.st_mode))
            return false;
        const bool here = stat(mapping->path, &plain) == 0 && plain.st_ino == below.st_ino &&
                          plain.st_dev == below.st_dev;
        strcpy(ret_path, here ? mapping->path : below_root);
        return true;
    }
    snprintf(ret_path, PATH_MAX, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, mapping->start,
             mapping->end);
    return stat(ret_path, &below) == 0 && S_ISREG(below.st_mode);
}

int object_files_of_pid(int32_t pid, object_path_fn on_object, void *context,
                        struct diag *reterr_diag)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    _cleanup_fclose_ FILE *maps = pid > 0 ? fopen(path, "re") : NULL;
    if (!maps && (pid <= 0 || errno == ENOENT || errno == ESRCH))
        return diag_set(reterr_diag, ESRCH, "no process has the pid %d", pid);
    if (!maps)
        return diag_set(reterr_diag, errno, "cannot read the mappings of process %d: %s", pid,
                        strerror(errno));
    _cleanup_free_ struct mapped_file *seen = calloc(PID_FILES_MAX, sizeof(*seen));
    _cleanup_free_ char *line = malloc(MAPS_LINE_MAX);
    if (!seen || !line)
        return diag_set(reterr_diag, ENOMEM, "no memory for the mappings of process %d", pid);
    size_t count = 0;
    errno = 0;
    while (count < PID_FILES_MAX && fgets(line, MAPS_LINE_MAX, maps)) {
        struct mapping mapping;
        const size_t length = strcspn(line, "\n");
        const bool is_whole = line[length] == '\n';
        line[length] = '\0';
        if (is_whole && parse_mapping(line, &mapping) && !is_seen(seen, count, &mapping.file)) {
            seen[count++] = mapping.file;
            if (find_path(pid, &mapping, path))
                on_object(path, mapping.path, context);
        }
        errno = 0;
    }
    if (ferror(maps) && errno)
        return diag_set(reterr_diag, errno, "cannot read the mappings of process %d: %s", pid,
                        strerror(errno));
    if (!count)
        return diag_set(reterr_diag, ESRCH,
                        "process %d has no program mapped (a kernel thread, or it has exited)",
                        pid);
    return 0;
}
