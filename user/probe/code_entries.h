/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the code of an object can be entered other than by running on: a superset, found without
 * decoding. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/object_file.h"

/*
 * Instructions cannot be told from their operands without decoding, so every byte is taken for the
 * start of one: what is marked may not be an entry, what is not marked is none. Marked are
 *   - the targets of jmp, call, Jcc and xbegin with a 32-bit distance,
 *   - addresses that code takes (lea of an rip-relative address; at fixed addresses any constant),
 *   - what relocations and, at fixed addresses, words of the data lead to,
 *   - the entries of jump tables: 32-bit distances from an address that some code takes, for as
 *     long as they lead to code,
 *   - the symbols of all tables, of the separate debug file too.
 * An indirect jump gets its address from one of these. Jumps with an 8-bit distance are left to the
 * caller: they are too frequent by chance, and come from no further away than 129 bytes.
 *
 * One pass over the file, about 3 ns per byte of code; one bit of memory per byte of code.
 */
struct code_entries;

/* -EOPNOTSUPP: it cannot be known (no section headers, a broken or huge table), -ENOMEM. */
int code_entries_new(const struct object_file *object,
                     struct code_entries **ret_entries) _must_check_;
void code_entries_free(struct code_entries *entries);
DEFINE_CLEANUP(struct code_entries *, code_entries_free);

/* The lowest marked address in (first, last], or 0. Code that is not in the file: first + 1. */
uint64_t code_entries_find(const struct code_entries *entries, uint64_t first, uint64_t last);
