/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries into code that the tables of an object list: symbols and relocations. */
#include <errno.h>
#include <string.h>

#include "probe/code_entries_internal.h"

#define ROWS_AT_ONCE      2048
#define SYMBOLS_BYTES_MAX (512u << 20)
#define SECTION_RELR      19 /* SHT_RELR; not in the headers of older C libraries */

/* Rows of a section, a block at a time. */
struct rows {
    const struct elf_image *image;
    const Elf64_Shdr *section;
    uint64_t done;
};

/* Rows read, 0 at the end. -EINVAL: the section does not fit the file or is no table of these. */
static int next_rows(struct rows *rows, void *block, size_t row_bytes)
{
    const Elf64_Shdr *const section = rows->section;
    if (section->sh_entsize != row_bytes)
        return -EINVAL;
    const uint64_t left = section->sh_size / row_bytes - rows->done;
    const size_t now = left < ROWS_AT_ONCE ? (size_t)left : ROWS_AT_ONCE;
    if (!now)
        return 0;
    int r = elf_image_read(rows->image, section->sh_offset + rows->done * row_bytes, block,
                           now * row_bytes);
    if (r < 0)
        return r;
    rows->done += now;
    return (int)now;
}

static int mark_symbols(struct code_entries *entries, const struct elf_image *image)
{
    _cleanup_free_ Elf64_Sym *block = calloc(ROWS_AT_ONCE, sizeof(*block));
    if (!block)
        return -ENOMEM;
    for (size_t i = 1; i < image->section_count; i++) {
        struct rows rows = {.image = image, .section = &image->sections[i]};
        if (rows.section->sh_type != SHT_SYMTAB && rows.section->sh_type != SHT_DYNSYM)
            continue;
        /* Debug files keep the header of .dynsym without its contents. */
        if (image != &entries->object->image && rows.section->sh_type == SHT_DYNSYM)
            continue;
        int count;
        while ((count = next_rows(&rows, block, sizeof(*block))) > 0) {
            for (int k = 0; k < count; k++) {
                const unsigned type = ELF64_ST_TYPE(block[k].st_info);
                if (block[k].st_shndx != SHN_UNDEF && type != STT_SECTION && type != STT_FILE &&
                    type != STT_TLS)
                    (void)!code_entries_mark(entries, block[k].st_value);
            }
        }
        if (count < 0)
            return count;
    }
    return 0;
}

static int mark_debug_symbols(struct code_entries *entries)
{
    _cleanup_(elf_image_done) struct elf_image debug = {.fd = -1};
    if (!entries->object->debug_path)
        return 0;
    int r = elf_image_open(entries->object->debug_path, &debug, NULL);
    return r < 0 ? r : mark_symbols(entries, &debug);
}

static uint64_t symbol_value(const char *symbols, size_t bytes, uint64_t index)
{
    Elf64_Sym symbol;
    if (index >= bytes / sizeof(symbol))
        return 0;
    memcpy(&symbol, symbols + index * sizeof(symbol), sizeof(symbol));
    return symbol.st_value;
}

static int mark_relocations(struct code_entries *entries, const Elf64_Shdr *section)
{
    const struct elf_image *const image = &entries->object->image;
    struct rows rows = {.image = image, .section = section};
    _cleanup_free_ Elf64_Rela *block = calloc(ROWS_AT_ONCE, sizeof(*block));
    _cleanup_free_ char *symbols = NULL;
    size_t symbols_bytes = 0;
    if (!block)
        return -ENOMEM;
    if (section->sh_link && section->sh_link < image->section_count) {
        int r = elf_image_read_section(image, &image->sections[section->sh_link], SYMBOLS_BYTES_MAX,
                                       &symbols, &symbols_bytes);
        if (r < 0)
            return r;
    }
    int count;
    while ((count = next_rows(&rows, block, sizeof(*block))) > 0) {
        for (int k = 0; k < count; k++) {
            const uint64_t symbol = ELF64_R_SYM(block[k].r_info);
            const uint64_t base = symbol ? symbol_value(symbols, symbols_bytes, symbol) : 0;
            (void)!code_entries_mark(entries, base + (uint64_t)block[k].r_addend);
        }
    }
    return count;
}

int code_entries_mark_listed(struct code_entries *entries)
{
    const struct elf_image *const image = &entries->object->image;
    int r = mark_symbols(entries, image);
    if (r >= 0)
        r = mark_debug_symbols(entries);
    for (size_t i = 1; r >= 0 && i < image->section_count; i++) {
        const Elf64_Shdr *const section = &image->sections[i];
        if (section->sh_type == SECTION_RELR)
            entries->has_packed_relocations = true;
        if (section->sh_type == SHT_RELA && (section->sh_flags & SHF_ALLOC) && section->sh_size)
            r = mark_relocations(entries, section);
    }
    return r;
}
