/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/program_path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define SYSTEM_FOLDERS "/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/loris"

static bool is_program(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode) && access(path, X_OK) == 0;
}

static bool is_in(const char *folder, size_t folder_length, const char *name, char path[PATH_MAX])
{
    /* relative entries of PATH are somebody's working directory: not a place for a root agent */
    if (folder_length == 0 || folder[0] != '/')
        return false;
    int length = snprintf(path, PATH_MAX, "%.*s/%s", (int)folder_length, folder, name);
    return length > 0 && length < PATH_MAX && is_program(path);
}

static bool is_in_list(const char *folders, const char *name, char path[PATH_MAX])
{
    while (folders && *folders) {
        size_t length = strcspn(folders, ":");
        if (length < PATH_MAX && is_in(folders, length, name, path))
            return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

int program_path_find(const char *name, char ret_path[PATH_MAX])
{
    char path[PATH_MAX], self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    bool found = false;
    if (length > 0) {
        self[length] = '\0';
        char *slash = strrchr(self, '/');
        found = slash && is_in(self, (size_t)(slash - self), name, path);
        /* installed as PREFIX/bin/loris and PREFIX/sbin/lorisd */
        if (!found && slash && slash - self >= 4 && memcmp(slash - 4, "/bin", 4) == 0) {
            int written =
                snprintf(path, sizeof(path), "%.*s/sbin/%s", (int)(slash - 4 - self), self, name);
            found = written > 0 && (size_t)written < sizeof(path) && is_program(path);
        }
    }
    if (!found && !is_in_list(getenv("PATH"), name, path) &&
        !is_in_list(SYSTEM_FOLDERS, name, path))
        return -ENOENT;
    memcpy(ret_path, path, strlen(path) + 1);
    return 0;
}
