/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an OBJECT as people write it to a file. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/library_cache.h"
#include "probe/object_file.h"

#define LINKS_MAX 40 /* as the kernel */

static const char *const library_directories[] = {"/lib/x86_64-linux-gnu",
                                                  "/usr/lib/x86_64-linux-gnu",
                                                  "/lib64",
                                                  "/usr/lib64",
                                                  "/lib",
                                                  "/usr/lib"};

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Removes the last component of resolved, which never gets shorter than its root. */
static void drop_component(char *resolved, size_t root_length)
{
    size_t length = strlen(resolved);
    while (length > root_length && resolved[length - 1] != '/')
        length--;
    if (length > root_length)
        length--;
    resolved[length] = '\0';
}

/*
 * realpath(3) below a root: absolute links and ".." stay inside, which realpath cannot do (the
 * links of /proc/N/root/... mean what they mean to process N).
 */
static int resolve_below(const char *root, const char *rest, char *ret_path)
{
    char resolved[PATH_MAX], component[NAME_MAX + 1], link[PATH_MAX];
    char to_walk[PATH_MAX], joined[2 * PATH_MAX];
    const size_t root_length = strlen(root);
    unsigned links = 0;
    if (root_length >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(resolved, root, root_length + 1);
    while (*(rest += strspn(rest, "/"))) {
        const size_t length = strcspn(rest, "/");
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(component, rest, length);
        component[length] = '\0';
        rest += length;
        if (!strcmp(component, "."))
            continue;
        if (!strcmp(component, "..")) {
            drop_component(resolved, root_length);
            continue;
        }
        const size_t used = strlen(resolved);
        if (used + 1 + length >= sizeof(resolved))
            return -ENAMETOOLONG;
        resolved[used] = '/';
        memcpy(resolved + used + 1, component, length + 1);
        const ssize_t link_length = readlink(resolved, link, sizeof(link) - 1);
        if (link_length < 0) {
            if (errno == EINVAL)
                continue;
            return -errno;
        }
        if (++links > LINKS_MAX)
            return -ELOOP;
        link[link_length] = '\0';
        resolved[link[0] == '/' ? root_length : used] = '\0';
        if (snprintf(joined, sizeof(joined), "%s/%s", link, rest) >= PATH_MAX)
            return -ENAMETOOLONG;
        rest = strcpy(to_walk, joined);
    }
    strcpy(ret_path, resolved);
    return 0;
}

/*
 * realpath(3), except where the text of a link is not where it leads: below /proc/N/root, for
 * /proc/N/exe and map_files, of deleted files. There the path stays as it was given.
 */
static int resolve_here(const char *path, char *ret_path)
{
    struct stat given, found;
    if (stat(path, &given) < 0)
        return -errno;
    if (realpath(path, ret_path) && stat(ret_path, &found) == 0 && found.st_dev == given.st_dev &&
        found.st_ino == given.st_ino)
        return 0;
    if (path[0] == '/') {
        strcpy(ret_path, path);
        return 0;
    }
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof(folder)))
        return -errno;
    return snprintf(ret_path, PATH_MAX, "%s/%s", folder, path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ret_path: the file, resolved, when it is a regular one. */
static int try_file(const char *root, const char *path, char *ret_path)
{
    char found[PATH_MAX];
    struct stat status;
    int r = *root ? resolve_below(root, path, found) : resolve_here(path, found);
    if (r < 0)
        return r;
    if (stat(found, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EACCES;
    strcpy(ret_path, found);
    return 0;
}

static int try_in(const char *root, const char *directory, size_t directory_length,
                  const char *name, char *ret_path)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%.*s/%s", (int)directory_length, directory, name) >= PATH_MAX)
        return -ENAMETOOLONG;
    return try_file(root, path, ret_path);
}

/* Length of a leading /proc/N/root, 0 without one. */
static size_t process_root_length(const char *path)
{
    int length = 0;
    unsigned pid;
    return sscanf(path, "/proc/%9u/root%n", &pid, &length) == 1 && length && path[length] == '/'
               ? (size_t)length
               : 0;
}

static int resolve_path(const char *object, const char *root, char *ret_path, struct diag *diag)
{
    char process_root[32];
    const size_t root_length = *root ? 0 : process_root_length(object);
    if (root_length && root_length < sizeof(process_root)) {
        memcpy(process_root, object, root_length);
        process_root[root_length] = '\0';
        root = process_root;
        object += root_length;
    }
    /* A relative path is relative to us, not to a root that we look into from outside. */
    int r = try_file(object[0] == '/' ? root : "", object, ret_path);
    if (r == -EACCES) {
        struct stat status;
        if (stat(object, &status) == 0 && !S_ISREG(status.st_mode))
            return diag_set(diag, EACCES, "%.300s is %s, not a program or library", object,
                            S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
    }
    if (r < 0)
        return diag_set(diag, -r, "cannot open %s%.300s: %s", object[0] == '/' ? root : "", object,
                        strerror(-r));
    return 0;
}

static int find_library(const char *soname, const char *root, char *ret_path, char *reterr_near,
                        size_t near_bytes)
{
    char cached[PATH_MAX], cache[PATH_MAX] = "/etc/ld.so.cache";
    if (*root && try_file(root, "/etc/ld.so.cache", cache) < 0)
        cache[0] = '\0';
    reterr_near[0] = '\0';
    if (cache[0] && library_cache_find(cache, soname, cached, reterr_near, near_bytes) == 0 &&
        try_file(root, cached, ret_path) == 0)
        return 0;
    for (size_t i = 0; i < sizeof(library_directories) / sizeof(library_directories[0]); i++)
        if (try_in(root, library_directories[i], strlen(library_directories[i]), soname,
                   ret_path) == 0)
            return 0;
    return -ENOENT;
}

static int find_command(const char *name, const char *root, char *ret_path)
{
    const char *path = *root ? NULL : getenv("PATH");
    if (!path || !*path)
        path = default_path;
    for (const char *at = path;; at++) {
        const size_t length = strcspn(at, ":");
        /* An empty or relative entry would mean the working directory of the agent. */
        if (length && at[0] == '/' && try_in(root, at, length, name, ret_path) == 0)
            return 0;
        at += length;
        if (!*at)
            return -ENOENT;
    }
}

int object_file_resolve(const char *object, const char *root, char *ret_path,
                        struct diag *reterr_diag)
{
    if (!*object)
        return diag_set(reterr_diag, EINVAL, "the object is empty");
    if (strlen(object) >= PATH_MAX)
        return diag_set(reterr_diag, ENAMETOOLONG, "the name of the object is too long");
    if (strchr(object, '/'))
        return resolve_path(object, root, ret_path, reterr_diag);
    char near[256];
    if (find_library(object, root, ret_path, near, sizeof(near)) == 0 ||
        find_command(object, root, ret_path) == 0)
        return 0;
    diag_set(reterr_diag, ENOENT, "no library or program named '%.200s'", object);
    if (near[0])
        diag_hint(reterr_diag, "did you mean %s?", near);
    else
        diag_hint(reterr_diag, "give its path, or the name the dynamic linker knows (ldconfig -p)");
    return -ENOENT;
}
