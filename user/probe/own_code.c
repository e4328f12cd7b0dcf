/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/own_code.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The ELF header as it was loaded; the linker defines it. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

/* It holds sizes and places of all of the file, so that two programs do not share it. inode 0: any.
 */
static bool is_own_file(const char *path, uint64_t inode)
{
    Elf64_Ehdr header;
    struct stat status;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 && fstat(fd, &status) == 0 && (!inode || status.st_ino == inode) &&
           pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
           memcmp(&header, &__ehdr_start, sizeof(header)) == 0;
}

/* The line of maps that has the address; its file's name may be empty. */
static int find_mapping(uintptr_t address, struct own_code *ret_place, uint64_t *ret_inode)
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return -errno;
    char line[PATH_MAX + 128];
    while (fgets(line, sizeof(line), maps)) {
        uint64_t from, to, offset, inode;
        int name = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64 " %n", &from, &to,
                   &offset, &inode, &name) != 4 ||
            address < from || address >= to)
            continue;
        *ret_inode = inode;
        ret_place->offset = address - from + offset;
        line[strcspn(line, "\n")] = '\0';
        snprintf(ret_place->path, sizeof(ret_place->path), "%s", name ? line + name : "");
        return 0;
    }
    return -ENOENT;
}

int own_code_find(uintptr_t address, struct own_code *ret_place)
{
    struct own_code place;
    uint64_t inode = 0;
    int error = find_mapping(address, &place, &inode);
    if (error)
        return error;
    /* The name may belong to a newer file by now. */
    if (!is_own_file(place.path, inode)) {
        if (!is_own_file("/proc/self/exe", 0))
            return -ENOENT;
        strcpy(place.path, "/proc/self/exe");
    }
    *ret_place = place;
    return 0;
}
