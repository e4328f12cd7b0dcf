/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity/cgroup_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

/* One level of the walk: an open directory and where its path ends. */
struct level {
    DIR *directory;
    size_t path_bytes;
};

struct walk {
    struct level levels[CGROUP_SCAN_DEPTH_MAX + 1];
    unsigned depth; /* levels in use */
    struct text path;
    dev_t device;
    uint32_t left; /* cgroups that may still be reported */
    cgroup_scan_fn on_cgroup;
    void *context;
};

static bool is_octal(char byte)
{
    return byte >= '0' && byte <= '7';
}

/* Undoes the kernel's \ooo for blanks and backslashes. False when it does not fit. */
static bool unescape_mount_point(const char *in, char out[PATH_MAX])
{
    size_t length = 0;
    for (; *in; in++) {
        if (length == PATH_MAX - 1)
            return false;
        if (in[0] == '\\' && is_octal(in[1]) && is_octal(in[2]) && is_octal(in[3])) {
            out[length++] = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
            in += 3;
        } else {
            out[length++] = *in;
        }
    }
    out[length] = '\0';
    return true;
}

/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAG...] - FSTYPE SOURCE OPTIONS; cuts the line
 * up. False unless it is a cgroup2 mount. */
static bool parse_mount(char *line, const char **ret_root, const char **ret_mount_point)
{
    char *separator = strstr(line, " - ");
    if (!separator || strncmp(separator + 3, "cgroup2 ", 8) != 0)
        return false;
    *separator = '\0';
    char *state = NULL;
    const char *fields[5];
    for (int i = 0; i < 5; i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &state);
        if (!fields[i])
            return false;
    }
    *ret_root = fields[3];
    *ret_mount_point = fields[4];
    return true;
}

int cgroup_scan_find_mount(FILE *mountinfo, char out[PATH_MAX])
{
    _cleanup_free_ char *line = NULL;
    size_t line_bytes = 0;
    bool found = false;
    errno = 0;
    while (getline(&line, &line_bytes, mountinfo) > 0) {
        const char *root, *mount_point;
        if (!parse_mount(line, &root, &mount_point))
            continue;
        bool whole = strcmp(root, "/") == 0;
        if (found && !whole)
            continue;
        if (!unescape_mount_point(mount_point, out))
            continue;
        found = true;
        if (whole)
            break;
    }
    if (found)
        return 0;
    return ferror(mountinfo) || errno == ENOMEM ? -errno : -ENOENT;
}

static void walk_done(struct walk *walk)
{
    while (walk->depth > 0)
        closedir(walk->levels[--walk->depth].directory);
    text_done(&walk->path);
}

/* Reports the directory and makes it the top level; owns fd. 1: it is not to be entered. */
static int enter(struct walk *walk, int owned_fd)
{
    _cleanup_close_ int fd = owned_fd;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (walk->depth == 0)
        walk->device = status.st_dev;
    else if (status.st_dev != walk->device)
        return 1;
    walk->left--;
    int result =
        walk->on_cgroup(status.st_ino, walk->path.length ? walk->path.bytes : "/", walk->context);
    if (result < 0)
        return result;
    if (walk->depth == sizeof(walk->levels) / sizeof(walk->levels[0]))
        return 1;
    DIR *directory = fdopendir(fd);
    if (!directory)
        return -errno;
    take_fd(&fd);
    walk->levels[walk->depth++] = (struct level){directory, walk->path.length};
    return 0;
}

static bool is_walkable(const struct dirent *entry)
{
    return (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
           strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* One directory entry of the top level. */
static int step(struct walk *walk)
{
    struct level *top = &walk->levels[walk->depth - 1];
    const struct dirent *entry = readdir(top->directory);
    if (!entry) {
        closedir(top->directory);
        walk->depth--;
        return 0;
    }
    if (!is_walkable(entry))
        return 0;
    int fd = openat(dirfd(top->directory), entry->d_name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) /* gone, or not a directory after all; descriptors and memory may run out */
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
    size_t path_bytes = top->path_bytes;
    walk->path.length = path_bytes;
    text_append(&walk->path, "/", 1);
    text_append_string(&walk->path, entry->d_name);
    if (walk->path.failed) {
        close(fd);
        return walk->path.failed;
    }
    int result = enter(walk, fd);
    return result < 0 ? result : 0;
}

int cgroup_scan_walk(const char *root_path, uint32_t max_cgroups, cgroup_scan_fn on_cgroup,
                     void *context)
{
    _cleanup_(walk_done) struct walk walk = {
        .left = max_cgroups,
        .on_cgroup = on_cgroup,
        .context = context,
    };
    if (max_cgroups == 0)
        return 0;
    int fd = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = enter(&walk, fd);
    while (result >= 0 && walk.depth > 0 && walk.left > 0)
        result = step(&walk);
    return result < 0 ? result : 0;
}
