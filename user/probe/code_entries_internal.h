/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the code_entries*.c files share about the marks of one object; for nobody else. */
#pragma once

#include "probe/code_entries.h"
#include "probe/object_internal.h"

/* One loaded segment of the file. */
struct code_piece {
    uint64_t address;
    uint64_t bytes;
    uint64_t file_offset;
    uint8_t *marks; /* owned; bit per byte: entered here; NULL: not executable */
    uint8_t *bases; /* owned; bit per four bytes: a jump table may begin here; while scanning */
};

struct code_entries {
    const struct object_file *object;
    struct code_piece pieces[ELF_SEGMENTS_MAX];
    size_t piece_count;
    uint64_t low, high, span; /* around all pieces */
    uint64_t total_bytes;
    uint32_t table_words;
    bool has_packed_relocations;
};

/* False: not an address of code. */
bool code_entries_mark(struct code_entries *entries, uint64_t address);
/* code_entries_tables.c: marks what symbols and relocations lead to. */
int code_entries_mark_listed(struct code_entries *entries) _must_check_;
