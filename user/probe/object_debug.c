/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Separate debug files, and what DWARF knows about functions that have no symbol. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "probe/object_internal.h"

#define DEBUG_ROOT        "/usr/lib/debug"
#define DEBUG_LINK_MAX    4096
#define CRC_BYTES_MAX     (256u << 20)
#define DWARF_BYTES_MAX   (64u << 20) /* libdw holds the sections in memory */
#define DWARF_ENTRIES_MAX 4000000
#define DWARF_DEPTH_MAX   64

/* As GDB wrote it down: https://sourceware.org/gdb/onlinedocs/gdb/Separate-Debug-Files.html */
static bool has_crc(const struct elf_image *image, uint32_t expected)
{
    enum { BLOCK_BYTES = 1 << 18 };
    if (image->file_bytes > CRC_BYTES_MAX)
        return false;
    _cleanup_free_ unsigned char *block = malloc(BLOCK_BYTES);
    if (!block)
        return false;
    unsigned long crc = crc32(0, NULL, 0);
    for (uint64_t at = 0; at < image->file_bytes;) {
        const uint64_t left = image->file_bytes - at;
        const size_t now = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        if (elf_image_read(image, at, block, now) < 0)
            return false;
        crc = crc32(crc, block, (unsigned)now);
        at += now;
    }
    return crc == expected;
}

static bool same_build_id(const struct elf_image *image, const unsigned char *id, size_t length)
{
    unsigned char other[ELF_BUILD_ID_MAX];
    return elf_image_build_id(image, other) == length && !memcmp(id, other, length);
}

static int open_by_build_id(const unsigned char *id, size_t length, struct elf_image *ret_image,
                            char *ret_path)
{
    char digits[2 * ELF_BUILD_ID_MAX + 1];
    for (size_t i = 0; i < length; i++)
        snprintf(digits + 2 * i, 3, "%02x", id[i]);
    snprintf(ret_path, PATH_MAX, DEBUG_ROOT "/.build-id/%.2s/%s.debug", digits, digits + 2);
    _cleanup_(elf_image_done) struct elf_image image = {.fd = -1};
    int r = elf_image_open(ret_path, &image, NULL);
    if (r < 0)
        return r;
    if (!same_build_id(&image, id, length))
        return -ENOENT;
    *ret_image = image;
    image = (struct elf_image){.fd = -1};
    return 0;
}

static int open_by_link(const struct object_file *object, const unsigned char *id, size_t id_length,
                        struct elf_image *ret_image, char *ret_path)
{
    const Elf64_Shdr *const section = elf_image_find_section(&object->image, ".gnu_debuglink");
    _cleanup_free_ char *link = NULL;
    size_t length;
    if (!section ||
        elf_image_read_section(&object->image, section, DEBUG_LINK_MAX, &link, &length) < 0)
        return -ENOENT;
    uint32_t crc;
    const size_t crc_at = (strlen(link) + 4) & ~(size_t)3;
    if (!*link || strchr(link, '/') || length < sizeof(crc) || crc_at > length - sizeof(crc))
        return -ENOENT;
    memcpy(&crc, link + crc_at, sizeof(crc));

    char directory[PATH_MAX];
    if (!realpath(object->path, directory))
        return -ENOENT;
    *strrchr(directory, '/') = '\0';
    /* Packages may have been built before /lib became a link to /usr/lib. */
    const char *const directories[] = {directory,
                                       strncmp(directory, "/usr/", 5) ? NULL : directory + 4};
    for (size_t i = 0; i < 2 && directories[i]; i++) {
        if (snprintf(ret_path, PATH_MAX, DEBUG_ROOT "%s/%s", directories[i], link) >= PATH_MAX)
            continue;
        _cleanup_(elf_image_done) struct elf_image image = {.fd = -1};
        if (elf_image_open(ret_path, &image, NULL) < 0)
            continue;
        if (id_length ? !same_build_id(&image, id, id_length) : !has_crc(&image, crc))
            continue;
        *ret_image = image;
        image = (struct elf_image){.fd = -1};
        return 0;
    }
    return -ENOENT;
}

int object_debug_open(const struct object_file *object, struct elf_image *ret_image,
                      char **ret_path)
{
    unsigned char id[ELF_BUILD_ID_MAX];
    const size_t length = elf_image_build_id(&object->image, id);
    char path[PATH_MAX];
    _cleanup_(elf_image_done) struct elf_image image = {.fd = -1};
    int r = length ? open_by_build_id(id, length, &image, path) : -ENOENT;
    if (r < 0)
        r = open_by_link(object, id, length, &image, path);
    if (r < 0)
        return -ENOENT;
    char *const copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    *ret_path = copy;
    *ret_image = image;
    image = (struct elf_image){.fd = -1};
    return 0;
}

static bool is_named(Dwarf_Die *entry, const char *name)
{
    const char *const plain = dwarf_diename(entry);
    return plain && !strcmp(plain, name);
}

/* Walks one unit with a stack of its own: libdw's walk recurses as deep as the file says. */
static size_t count_in_unit(Dwarf_Die *unit, const char *name, size_t *entries_left)
{
    Dwarf_Die path[DWARF_DEPTH_MAX];
    size_t depth = 0, count = 0;
    if (dwarf_child(unit, &path[0]) != 0)
        return 0;
    while (*entries_left) {
        --*entries_left;
        Dwarf_Die *const entry = &path[depth];
        if (dwarf_tag(entry) == DW_TAG_inlined_subroutine && is_named(entry, name))
            count++;
        if (depth + 1 < DWARF_DEPTH_MAX && dwarf_child(entry, &path[depth + 1]) == 0) {
            depth++;
            continue;
        }
        while (dwarf_siblingof(&path[depth], &path[depth]) != 0) {
            if (depth == 0)
                return count;
            depth--;
        }
    }
    return count;
}

static bool is_small_enough(const struct elf_image *image)
{
    uint64_t bytes = 0;
    for (size_t i = 1; i < image->section_count; i++) {
        const char *const name = elf_image_section_name(image, &image->sections[i]);
        if (strncmp(name, ".debug_", 7) != 0 && strncmp(name, ".zdebug_", 8) != 0)
            continue;
        uint64_t section_bytes = image->sections[i].sh_size;
        /* Compressed at most about a thousandfold; 16 is what debug information really gets to. */
        if (image->sections[i].sh_flags & SHF_COMPRESSED || name[1] == 'z')
            section_bytes *= 16;
        if (section_bytes > DWARF_BYTES_MAX || (bytes += section_bytes) > DWARF_BYTES_MAX)
            return false;
    }
    return bytes > 0;
}

static size_t count_inlined(const struct elf_image *image, const char *name)
{
    if (!is_small_enough(image) || elf_version(EV_CURRENT) == EV_NONE)
        return 0;
    /* Not DWARF_C_READ on the descriptor, which would map the file. */
    Elf *const elf = elf_begin(image->fd, ELF_C_READ, NULL);
    if (!elf)
        return 0;
    Dwarf *const dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
    size_t count = 0, entries_left = DWARF_ENTRIES_MAX, header_bytes;
    Dwarf_Off next;
    for (Dwarf_Off offset = 0;
         dwarf && entries_left &&
         dwarf_nextcu(dwarf, offset, &next, &header_bytes, NULL, NULL, NULL) == 0;
         offset = next) {
        Dwarf_Die unit;
        if (dwarf_offdie(dwarf, offset + header_bytes, &unit))
            count += count_in_unit(&unit, name, &entries_left);
        if (next <= offset)
            break;
    }
    dwarf_end(dwarf);
    elf_end(elf);
    return count;
}

size_t object_debug_inlined(const struct object_file *object, const char *name)
{
    if (elf_image_find_section(&object->image, ".debug_info"))
        return count_inlined(&object->image, name);
    _cleanup_(elf_image_done) struct elf_image debug = {.fd = -1};
    _cleanup_free_ char *path = NULL;
    if (object_debug_open(object, &debug, &path) < 0)
        return 0;
    return count_inlined(&debug, name);
}
