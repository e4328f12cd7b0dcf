/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/elf_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NOTES_MAX (16u << 20)

int elf_image_read(const struct elf_image *image, uint64_t offset, void *ret_bytes, size_t length)
{
    if (offset > image->file_bytes || length > image->file_bytes - offset)
        return -EINVAL;
    char *at = ret_bytes;
    while (length) {
        const ssize_t got = pread(image->fd, at, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        at += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return 0;
}

static int open_regular(const char *path, struct elf_image *image, struct diag *diag)
{
    struct stat status;
    /* Looked at before it is opened: opening a device can do things. */
    if (stat(path, &status) < 0)
        return diag_set(diag, errno, "cannot open %s: %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return diag_set(diag, EACCES, "%s is a directory, not a program or library", path);
    if (!S_ISREG(status.st_mode))
        return diag_set(diag, EACCES, "%s is not a regular file", path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return diag_set(diag, errno, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &status) < 0)
        return diag_set(diag, errno, "cannot examine %s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return diag_set(diag, EACCES, "%s is not a regular file", path);
    image->device = status.st_dev;
    image->inode = status.st_ino;
    image->file_bytes = (uint64_t)status.st_size;
    image->fd = take_fd(&fd);
    return 0;
}

/* A script is what people name when they mean its interpreter. */
static int refuse_not_elf(const struct elf_image *image, const char *path, struct diag *diag)
{
    char line[128] = "";
    const size_t length =
        image->file_bytes < sizeof(line) ? (size_t)image->file_bytes : sizeof(line) - 1;
    if (!length)
        return diag_set(diag, EINVAL, "%s is empty", path);
    if (elf_image_read(image, 0, line, length) < 0 || memcmp(line, "#!", 2) != 0)
        return diag_set(diag, EINVAL, "%s is not an ELF file", path);
    diag_set(diag, EINVAL, "%s is a script, not an ELF file", path);
    line[sizeof(line) - 1] = '\0';
    const char *interpreter = line + 2 + strspn(line + 2, " \t");
    if (!strncmp(interpreter, "/usr/bin/env ", 13))
        interpreter += 13;
    diag_hint(diag, "its interpreter can be watched: user:%.*s:FUNCTION",
              (int)strcspn(interpreter, " \t\r\n"), interpreter);
    return -EINVAL;
}

static int read_header(struct elf_image *image, const char *path, struct diag *diag)
{
    Elf64_Ehdr *const header = &image->header;
    unsigned char ident[EI_NIDENT];
    if (elf_image_read(image, 0, ident, sizeof(ident)) < 0 || memcmp(ident, ELFMAG, SELFMAG) != 0)
        return refuse_not_elf(image, path, diag);
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
        return diag_set(diag, ENOEXEC, "%s is not for this architecture (x86-64)", path);
    if (elf_image_read(image, 0, header, sizeof(*header)) < 0)
        return diag_set(diag, EINVAL, "%s is truncated: its ELF header is not complete", path);
    if (header->e_machine != EM_X86_64)
        return diag_set(diag, ENOEXEC, "%s is not for this architecture (x86-64)", path);
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return diag_set(diag, ENOEXEC, "%s is neither a program nor a shared library", path);
    return 0;
}

static int read_segments(struct elf_image *image)
{
    const Elf64_Ehdr *const header = &image->header;
    if (!header->e_phnum)
        return 0;
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > ELF_SEGMENTS_MAX)
        return -EINVAL;
    image->segments = calloc(header->e_phnum, sizeof(Elf64_Phdr));
    if (!image->segments)
        return -ENOMEM;
    image->segment_count = header->e_phnum;
    return elf_image_read(image, header->e_phoff, image->segments,
                          image->segment_count * sizeof(Elf64_Phdr));
}

static int read_sections(struct elf_image *image)
{
    const Elf64_Ehdr *const header = &image->header;
    if (!header->e_shoff)
        return 0;
    if (header->e_shentsize != sizeof(Elf64_Shdr))
        return -EINVAL;
    Elf64_Shdr first;
    int r = elf_image_read(image, header->e_shoff, &first, sizeof(first));
    if (r < 0)
        return r;
    /* gABI: counts that do not fit the header are in the first section header. */
    const uint64_t count = header->e_shnum ? header->e_shnum : first.sh_size;
    const uint64_t names = header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
    if (!count)
        return 0;
    if (count > ELF_SECTIONS_MAX)
        return -EINVAL;
    image->sections = calloc((size_t)count, sizeof(Elf64_Shdr));
    if (!image->sections)
        return -ENOMEM;
    image->section_count = (size_t)count;
    r = elf_image_read(image, header->e_shoff, image->sections, (size_t)count * sizeof(Elf64_Shdr));
    if (r < 0)
        return r;
    if (names == SHN_UNDEF)
        return 0;
    if (names >= count)
        return -EINVAL;
    return elf_image_read_section(image, &image->sections[names], ELF_SECTION_NAMES_MAX,
                                  &image->section_names, &image->section_names_bytes);
}

int elf_image_open(const char *path, struct elf_image *ret_image, struct diag *reterr_diag)
{
    _cleanup_(elf_image_done) struct elf_image image = {.fd = -1};
    int r = open_regular(path, &image, reterr_diag);
    if (r < 0)
        return r;
    r = read_header(&image, path, reterr_diag);
    if (r < 0)
        return r;
    r = read_segments(&image);
    if (r >= 0)
        r = read_sections(&image);
    if (r == -ENOMEM)
        return diag_set(reterr_diag, ENOMEM, "no memory to read %s", path);
    if (r < 0)
        return diag_set(reterr_diag, EINVAL, "%s is truncated or broken: %s headers do not fit it",
                        path, image.sections ? "section" : "ELF");
    *ret_image = image;
    image = (struct elf_image){.fd = -1};
    return 0;
}

void elf_image_done(struct elf_image *image)
{
    close_fd(&image->fd);
    free(image->segments);
    free(image->sections);
    free(image->section_names);
    image->segments = NULL;
    image->sections = NULL;
    image->section_names = NULL;
    image->segment_count = image->section_count = 0;
}

int elf_image_file_offset(const struct elf_image *image, uint64_t address, uint32_t flags,
                          uint64_t *ret_offset)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *const segment = &image->segments[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & flags) != flags)
            continue;
        if (address < segment->p_vaddr || address - segment->p_vaddr >= segment->p_filesz)
            continue;
        const uint64_t inside = address - segment->p_vaddr;
        if (segment->p_offset >= image->file_bytes ||
            inside >= image->file_bytes - segment->p_offset)
            continue;
        *ret_offset = segment->p_offset + inside;
        return 0;
    }
    return -ENOENT;
}

int elf_image_read_address(const struct elf_image *image, uint64_t address, void *ret_bytes,
                           size_t length)
{
    uint64_t first, last;
    if (!length || address + (length - 1) < address)
        return -EINVAL;
    int r = elf_image_file_offset(image, address, PF_R, &first);
    if (r >= 0)
        r = elf_image_file_offset(image, address + (length - 1), PF_R, &last);
    if (r < 0)
        return r;
    if (last - first != length - 1)
        return -EINVAL;
    return elf_image_read(image, first, ret_bytes, length);
}

const char *elf_image_section_name(const struct elf_image *image, const Elf64_Shdr *section)
{
    return section->sh_name < image->section_names_bytes ? image->section_names + section->sh_name
                                                         : "";
}

const Elf64_Shdr *elf_image_find_section(const struct elf_image *image, const char *name)
{
    for (size_t i = 1; i < image->section_count; i++)
        if (!strcmp(elf_image_section_name(image, &image->sections[i]), name))
            return &image->sections[i];
    return NULL;
}

int elf_image_read_section(const struct elf_image *image, const Elf64_Shdr *section, size_t max,
                           char **ret_bytes, size_t *ret_length)
{
    if (section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL ||
        (section->sh_flags & SHF_COMPRESSED))
        return -ENOENT;
    /* Before it is allocated: the size is only what the file says. */
    if (section->sh_offset > image->file_bytes ||
        section->sh_size > image->file_bytes - section->sh_offset)
        return -EINVAL;
    if (section->sh_size > max)
        return -E2BIG;
    const size_t length = (size_t)section->sh_size;
    _cleanup_free_ char *bytes = malloc(length + 1);
    if (!bytes)
        return -ENOMEM;
    int r = elf_image_read(image, section->sh_offset, bytes, length);
    if (r < 0)
        return r;
    bytes[length] = '\0';
    *ret_bytes = take_ptr(bytes);
    *ret_length = length;
    return 0;
}

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

bool elf_note_next(const char *notes, size_t length, size_t *offset, struct elf_note *ret_note)
{
    Elf64_Nhdr header;
    if (*offset > length || length - *offset < sizeof(header))
        return false;
    memcpy(&header, notes + *offset, sizeof(header));
    size_t left = length - *offset - sizeof(header);
    const char *const name = notes + *offset + sizeof(header);
    const size_t name_bytes = padded(header.n_namesz);
    if (name_bytes > left || !header.n_namesz || name[header.n_namesz - 1] != '\0')
        return false;
    left -= name_bytes;
    if (header.n_descsz > left)
        return false;
    *ret_note = (struct elf_note){.type = header.n_type,
                                  .name = name,
                                  .description = name + name_bytes,
                                  .description_bytes = header.n_descsz};
    const size_t description_bytes = padded(header.n_descsz);
    *offset = length - left + (description_bytes < left ? description_bytes : left);
    return true;
}

size_t elf_image_build_id(const struct elf_image *image, unsigned char id[ELF_BUILD_ID_MAX])
{
    for (size_t i = 1; i < image->section_count; i++) {
        if (image->sections[i].sh_type != SHT_NOTE)
            continue;
        _cleanup_free_ char *notes = NULL;
        size_t length, offset = 0;
        if (elf_image_read_section(image, &image->sections[i], NOTES_MAX, &notes, &length) < 0)
            continue;
        struct elf_note note;
        while (elf_note_next(notes, length, &offset, &note)) {
            if (note.type != NT_GNU_BUILD_ID || strcmp(note.name, "GNU") != 0)
                continue;
            if (!note.description_bytes || note.description_bytes > ELF_BUILD_ID_MAX)
                return 0;
            memcpy(id, note.description, note.description_bytes);
            return note.description_bytes;
        }
    }
    return 0;
}
