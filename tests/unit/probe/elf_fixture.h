/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes small ELF files byte by byte, into memory files: no compiler is needed, and every field
 * can be wrong. */
#pragma once

#include <assert.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIXTURE_BYTES_MAX    32768
#define FIXTURE_SECTIONS_MAX 20
#define FIXTURE_SYMBOLS_MAX  64
#define FIXTURE_CODE_OFFSET  0x200
#define FIXTURE_CODE_BYTES   0x400
#define FIXTURE_DATA_OFFSET  (FIXTURE_CODE_OFFSET + FIXTURE_CODE_BYTES)
#define FIXTURE_DATA_BYTES   0x200
#define FIXTURE_CODE_ADDRESS 0x401200u /* file offset 0x200 */
#define FIXTURE_DATA_ADDRESS 0x601600u /* file offset 0x600 */

struct elf_fixture {
    uint8_t bytes[FIXTURE_BYTES_MAX];
    size_t length;
    Elf64_Shdr sections[FIXTURE_SECTIONS_MAX];
    size_t section_count;
    char names[512];
    size_t names_length;
    Elf64_Sym symbols[FIXTURE_SYMBOLS_MAX];
    size_t symbol_count;
    char strings[4096];
    size_t strings_length;
    char path[64];
    int fd;
};

static inline void fixture_begin(struct elf_fixture *elf)
{
    memset(elf, 0, sizeof(*elf));
    elf->fd = -1;
    elf->length = FIXTURE_DATA_OFFSET + FIXTURE_DATA_BYTES;
    memset(elf->bytes + FIXTURE_CODE_OFFSET, 0xcc, FIXTURE_CODE_BYTES);
    elf->section_count = elf->symbol_count = 1;
    elf->names_length = elf->strings_length = 1;
    Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_ehsize = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 2,
                         .e_shentsize = sizeof(Elf64_Shdr)};
    Elf64_Phdr segments[2] = {{.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_X,
                               .p_offset = FIXTURE_CODE_OFFSET,
                               .p_vaddr = FIXTURE_CODE_ADDRESS,
                               .p_filesz = FIXTURE_CODE_BYTES,
                               .p_memsz = FIXTURE_CODE_BYTES},
                              {.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_W,
                               .p_offset = FIXTURE_DATA_OFFSET,
                               .p_vaddr = FIXTURE_DATA_ADDRESS,
                               .p_filesz = FIXTURE_DATA_BYTES,
                               .p_memsz = FIXTURE_DATA_BYTES}};
    memcpy(elf->bytes, &header, sizeof(header));
    memcpy(elf->bytes + sizeof(header), segments, sizeof(segments));
}

static inline uint32_t fixture_append_string(char *table, size_t size, size_t *length,
                                             const char *string)
{
    const size_t bytes = strlen(string) + 1;
    const size_t at = *length;
    assert(at + bytes <= size);
    (void)size;
    memcpy(table + at, string, bytes);
    *length += bytes;
    return (uint32_t)at;
}

/* Returns the index of the section. contents NULL: none (SHT_NOBITS and the like). */
static inline uint32_t fixture_section(struct elf_fixture *elf, const char *name, Elf64_Shdr shape,
                                       const void *contents, size_t length)
{
    assert(elf->section_count < FIXTURE_SECTIONS_MAX);
    elf->length = (elf->length + 7) & ~(size_t)7;
    assert(elf->length + length <= FIXTURE_BYTES_MAX);
    shape.sh_name = fixture_append_string(elf->names, sizeof(elf->names), &elf->names_length, name);
    shape.sh_offset = elf->length;
    shape.sh_size = length;
    if (length)
        memcpy(elf->bytes + elf->length, contents, length);
    elf->length += length;
    elf->sections[elf->section_count] = shape;
    return (uint32_t)elf->section_count++;
}

static inline void fixture_symbol(struct elf_fixture *elf, const char *name, unsigned type,
                                  uint64_t address, uint64_t size_bytes)
{
    assert(elf->symbol_count < FIXTURE_SYMBOLS_MAX);
    elf->symbols[elf->symbol_count++] =
        (Elf64_Sym){.st_name = fixture_append_string(elf->strings, sizeof(elf->strings),
                                                     &elf->strings_length, name),
                    .st_info = ELF64_ST_INFO(STB_GLOBAL, type),
                    .st_shndx = address ? 1 : SHN_UNDEF,
                    .st_value = address,
                    .st_size = size_bytes};
}

/* Places code and names it. */
static inline void fixture_function(struct elf_fixture *elf, const char *name, size_t at,
                                    const void *code, size_t length)
{
    assert(at + length <= FIXTURE_CODE_BYTES);
    memcpy(elf->bytes + FIXTURE_CODE_OFFSET + at, code, length);
    fixture_symbol(elf, name, STT_FUNC, FIXTURE_CODE_ADDRESS + at, length);
}

/* Turns the symbols so far into a table and begins a new one. */
static inline void fixture_symbol_table(struct elf_fixture *elf, uint32_t type)
{
    const uint32_t strings =
        fixture_section(elf, type == SHT_SYMTAB ? ".strtab" : ".dynstr",
                        (Elf64_Shdr){.sh_type = SHT_STRTAB}, elf->strings, elf->strings_length);
    fixture_section(
        elf, type == SHT_SYMTAB ? ".symtab" : ".dynsym",
        (Elf64_Shdr){.sh_type = type, .sh_link = strings, .sh_entsize = sizeof(Elf64_Sym)},
        elf->symbols, elf->symbol_count * sizeof(Elf64_Sym));
    elf->symbol_count = elf->strings_length = 1;
}

static inline size_t fixture_note(uint8_t *out, const char *name, uint32_t type,
                                  const void *description, size_t length)
{
    const Elf64_Nhdr header = {(uint32_t)strlen(name) + 1, (uint32_t)length, type};
    size_t at = sizeof(header);
    memcpy(out, &header, sizeof(header));
    memcpy(out + at, name, header.n_namesz);
    at = (at + header.n_namesz + 3) & ~(size_t)3;
    memcpy(out + at, description, length);
    return (at + length + 3) & ~(size_t)3;
}

/* Rewrites the memory file with what the fixture holds now, or with its first bytes only. */
static inline const char *fixture_write(struct elf_fixture *elf, size_t length)
{
    if (elf->fd < 0) {
        elf->fd = memfd_create("elf", MFD_CLOEXEC);
        assert(elf->fd >= 0);
        snprintf(elf->path, sizeof(elf->path), "/proc/self/fd/%d", elf->fd);
    }
    int r = ftruncate(elf->fd, 0);
    assert(r == 0);
    ssize_t written = pwrite(elf->fd, elf->bytes, length, 0);
    assert(written == (ssize_t)length);
    (void)r;
    (void)written;
    return elf->path;
}

/* Appends section names and headers; the path opens the finished file. */
static inline const char *fixture_end(struct elf_fixture *elf)
{
    const uint32_t names = fixture_section(elf, ".shstrtab", (Elf64_Shdr){.sh_type = SHT_STRTAB},
                                           elf->names, sizeof(elf->names));
    elf->length = (elf->length + 7) & ~(size_t)7;
    Elf64_Ehdr header;
    memcpy(&header, elf->bytes, sizeof(header));
    header.e_shoff = elf->length;
    header.e_shnum = (uint16_t)elf->section_count;
    header.e_shstrndx = (uint16_t)names;
    memcpy(elf->bytes, &header, sizeof(header));
    const size_t bytes = elf->section_count * sizeof(Elf64_Shdr);
    assert(elf->length + bytes <= FIXTURE_BYTES_MAX);
    memcpy(elf->bytes + elf->length, elf->sections, bytes);
    elf->length += bytes;
    return fixture_write(elf, elf->length);
}

static inline void fixture_done(struct elf_fixture *elf)
{
    if (elf->fd >= 0)
        close(elf->fd);
    elf->fd = -1;
}
