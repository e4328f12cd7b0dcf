/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of one ELF file, every offset and count checked against the file before use. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

/*
 * Reads with pread(2), never through a mapping: whoever owns the file can truncate it at any time,
 * and a mapping would then end the agent with SIGBUS. The headers are decoded here and not by
 * libelf, which allocates what a section count in the file asks for.
 */
#define ELF_SEGMENTS_MAX      256
#define ELF_SECTIONS_MAX      65536
#define ELF_SECTION_NAMES_MAX (16u << 20)

struct elf_image {
    int fd; /* owned */
    uint64_t file_bytes;
    dev_t device;
    ino_t inode;
    Elf64_Ehdr header;
    Elf64_Phdr *segments; /* owned; NULL when there are none */
    size_t segment_count;
    Elf64_Shdr *sections; /* owned; NULL when there are none */
    size_t section_count;
    char *section_names; /* owned; NUL-terminated */
    size_t section_names_bytes;
};

/*
 * Opens without blocking and without touching devices. -EACCES: not a regular file; -EINVAL: not
 * an ELF file, or broken; -ENOEXEC: another architecture or neither program nor library; other
 * errno values come from open(2).
 */
int elf_image_open(const char *path, struct elf_image *ret_image,
                   struct diag *reterr_diag) _must_check_;
void elf_image_done(struct elf_image *image);

/* The whole range or nothing: -EINVAL beyond the end of the file, -EIO when it shrank. */
int elf_image_read(const struct elf_image *image, uint64_t offset, void *ret_bytes,
                   size_t length) _must_check_;
/* Reads length bytes at a virtual address, which one segment must hold in the file. */
int elf_image_read_address(const struct elf_image *image, uint64_t address, void *ret_bytes,
                           size_t length) _must_check_;
/* Where the byte of a virtual address lies in the file; -ENOENT: in no segment that has flags. */
int elf_image_file_offset(const struct elf_image *image, uint64_t address, uint32_t flags,
                          uint64_t *ret_offset) _must_check_;

/* "" for a broken name */
const char *elf_image_section_name(const struct elf_image *image, const Elf64_Shdr *section);
const Elf64_Shdr *elf_image_find_section(const struct elf_image *image, const char *name);
/* The contents with a NUL behind them; *ret_bytes is the caller's. -ENOENT: nothing in the file
 * (NOBITS, compressed), -E2BIG: larger than max. */
int elf_image_read_section(const struct elf_image *image, const Elf64_Shdr *section, size_t max,
                           char **ret_bytes, size_t *ret_length) _must_check_;

/* One note of a note section or segment; pointers into its contents. */
struct elf_note {
    uint32_t type;
    const char *name; /* NUL-terminated */
    const char *description;
    size_t description_bytes;
};
/* Decodes the note at *offset and moves on; false at the end or at a broken note. */
bool elf_note_next(const char *notes, size_t length, size_t *offset, struct elf_note *ret_note);

#define ELF_BUILD_ID_MAX 64
/* Length of the GNU build-id, 0 when the file has none. */
size_t elf_image_build_id(const struct elf_image *image, unsigned char id[ELF_BUILD_ID_MAX]);
