/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/clone_names.h"

#include <ctype.h>
#include <string.h>

#include "base/glob.h"

#define CLONE_BASE_BYTES 1024 /* longer names match as they are */

static const char *const suffixes[] = {"constprop", "isra", "part",       "cold",
                                       "lto_priv",  "llvm", "localalias", "__uniq"};

static bool is_number(const char *text, size_t length)
{
    if (!length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* The last dot of name[0 .. length), never the first character: ".foo" is no clone of "". */
static size_t last_dot(const char *name, size_t length)
{
    while (length > 1)
        if (name[--length] == '.')
            return length;
    return 0;
}

static const char *suffix_at(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (strlen(suffixes[i]) == length && !memcmp(text, suffixes[i], length))
            return suffixes[i];
    return NULL;
}

size_t clone_base_length(const char *name, bool *ret_is_cold)
{
    bool is_cold = false;
    size_t length = strlen(name);
    for (;;) {
        size_t end = length;
        size_t dot = last_dot(name, end);
        if (dot && is_number(name + dot + 1, end - dot - 1)) {
            end = dot;
            dot = last_dot(name, end);
        }
        const char *suffix = dot ? suffix_at(name + dot + 1, end - dot - 1) : NULL;
        if (!suffix)
            break;
        is_cold |= !strcmp(suffix, "cold");
        length = dot;
    }
    if (ret_is_cold)
        *ret_is_cold = is_cold;
    return length;
}

bool clone_base_name(const char *name, char *ret_base, size_t base_bytes)
{
    const size_t length = clone_base_length(name, NULL);
    if (length >= base_bytes)
        return false;
    memcpy(ret_base, name, length);
    ret_base[length] = '\0';
    return true;
}

bool clone_name_matches(const char *pattern, const char *name)
{
    if (!strcmp(pattern, name) || (glob_is(pattern) && glob_matches(pattern, name)))
        return true;
    if (!strchr(name, '.'))
        return false;
    char base[CLONE_BASE_BYTES];
    if (!clone_base_name(name, base, sizeof(base)))
        return false;
    return !strcmp(pattern, base) || (glob_is(pattern) && glob_matches(pattern, base));
}
