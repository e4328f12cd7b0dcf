/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readable names of mangled C++ and Rust symbols, in bounded time and memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DEMANGLED_BYTES_MAX 4096

bool symbol_is_mangled(const char *symbol);

/* False: not mangled, or longer than 1024 bytes, or its readable form would be longer than
 * DEMANGLED_BYTES_MAX - 1. with_parameters: "ns::f(int)", without: "ns::f"; never the return
 * type. Compiler suffixes (.constprop.0) must have been cut. Nothing is allocated. */
bool symbol_demangle(const char *symbol, bool with_parameters, char ret_name[DEMANGLED_BYTES_MAX]);
