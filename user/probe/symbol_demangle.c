/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/symbol_demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#define MANGLED_BYTES_MAX 1024

struct demangle_output {
    char *bytes;
    size_t length;
    jmp_buf overflow;
};

/* A few hundred bytes of substitutions can stand for gigabytes, and libiberty has no way to stop:
 * leaving by longjmp is the only bound. Its C++ demangler keeps everything on the stack. */
static void on_output(const char *bytes, size_t length, void *context)
{
    struct demangle_output *const output = context;
    if (length >= DEMANGLED_BYTES_MAX - output->length)
        longjmp(output->overflow, 1);
    memcpy(output->bytes + output->length, bytes, length);
    output->length += length;
}

/* Rust's older scheme looks like C++, with a hash behind: "17h", 16 hexadecimal digits, "E". */
static bool is_legacy_rust(const char *symbol)
{
    enum { HASH_BYTES = 20 };
    const size_t length = strlen(symbol);
    return length > HASH_BYTES && symbol[length - 1] == 'E' &&
           !strncmp(symbol + length - HASH_BYTES, "17h", 3);
}

/* Identifiers in punycode are decoded on the heap, which longjmp would leak. */
static bool has_punycode(const char *symbol)
{
    for (const char *at = symbol; (at = strchr(at, 'u')); at++)
        if (isdigit((unsigned char)at[1]))
            return true;
    return false;
}

bool symbol_is_mangled(const char *symbol)
{
    return symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R');
}

bool symbol_demangle(const char *symbol, bool with_parameters, char ret_name[DEMANGLED_BYTES_MAX])
{
    if (!symbol_is_mangled(symbol) || strnlen(symbol, MANGLED_BYTES_MAX + 1) > MANGLED_BYTES_MAX)
        return false;
    struct demangle_output output = {.bytes = ret_name};
    if (setjmp(output.overflow))
        return false;
    int done = 0;
    if (symbol[1] == 'R' ? !has_punycode(symbol) : is_legacy_rust(symbol))
        done = rust_demangle_callback(symbol, DMGL_NO_OPTS, on_output, &output);
    if (!done && symbol[1] == 'Z')
        done = cplus_demangle_v3_callback(
            symbol, with_parameters ? DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP : DMGL_NO_OPTS,
            on_output, &output);
    if (!done)
        return false;
    ret_name[output.length] = '\0';
    return true;
}
