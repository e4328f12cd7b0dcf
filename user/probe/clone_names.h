/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that compilers give to clones of a function: foo.constprop.0, foo.isra.0.cold, ... */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the name without its compiler suffixes: .constprop .isra .part .cold .lto_priv .llvm
 * .localalias .__uniq, each with or without a number, any number of them. The whole length when
 * there is none. ret_is_cold (may be NULL): one of them was .cold, a part that is jumped to and
 * never called. */
size_t clone_base_length(const char *name, bool *ret_is_cold);

/* Copies the name without its compiler suffixes; false when it does not fit. */
bool clone_base_name(const char *name, char *ret_base, size_t base_bytes);

/* A name, or the name without compiler suffixes, is the pattern or matches it as a glob. */
bool clone_name_matches(const char *pattern, const char *name);
