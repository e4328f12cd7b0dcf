/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the object_*.c files share about one open object; for nobody else. */
#pragma once

#include "probe/elf_image.h"
#include "probe/object_file.h"

#define OBJECT_STRING_TABLES_MAX 3 /* .symtab, .dynsym, .symtab of the debug file */

struct object_file {
    char *path;
    char *debug_path; /* separate debug file whose .symtab was read, or NULL */
    struct elf_image image;
    struct object_function *functions; /* sorted by name, then address */
    size_t function_count;
    size_t function_capacity;
    uint32_t *by_address; /* indices of functions, sorted by address, then name */
    char *string_tables[OBJECT_STRING_TABLES_MAX]; /* the names of functions point into these */
    size_t string_table_count;
    struct object_mark *marks; /* sorted by provider, name, offset */
    size_t mark_count;
    char *mark_notes; /* names of marks point into it */
    bool has_symtab;
    bool is_go;
    bool unwinds;
};

/* object_symbols.c. symbols: the image whose tables are read, the object itself or its debug
 * file; type: SHT_SYMTAB or SHT_DYNSYM. Returns 1 when there was such a table, else 0. */
int object_symbols_load(struct object_file *object, const struct elf_image *symbols,
                        uint32_t type) _must_check_;
/* Sorts, drops duplicates, gives memory back, builds the order by address. */
int object_symbols_finish(struct object_file *object) _must_check_;
/* Index into by_address of the first function at or above an address. */
size_t object_first_at_or_above(const struct object_file *object, uint64_t address);

/* object_marks.c */
int object_marks_load(struct object_file *object) _must_check_;

/* object_debug.c. -ENOENT: there is no separate debug file that belongs to the object.
 * ret_path: owned by the caller. */
int object_debug_open(const struct object_file *object, struct elf_image *ret_image,
                      char **ret_path) _must_check_;
/* Places where the debug information says that the function was inlined; 0 also when there is no
 * debug information or too much of it to look. */
size_t object_debug_inlined(const struct object_file *object, const char *name);
