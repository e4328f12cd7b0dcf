/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/glob.h"

#include <stddef.h>
#include <string.h>

static bool in_class(const char *name, size_t length, unsigned char byte)
{
    bool lower = byte >= 'a' && byte <= 'z';
    bool upper = byte >= 'A' && byte <= 'Z';
    bool digit = byte >= '0' && byte <= '9';
    bool graph = byte > 0x20 && byte < 0x7f;
    bool hex_letter = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
    const struct {
        const char *name;
        bool member;
    } classes[] = {
        {"alnum", lower || upper || digit},
        {"alpha", lower || upper},
        {"blank", byte == ' ' || byte == '\t'},
        {"cntrl", byte < 0x20 || byte == 0x7f},
        {"digit", digit},
        {"graph", graph},
        {"lower", lower},
        {"print", graph || byte == ' '},
        {"punct", graph && !(lower || upper || digit)},
        {"space", byte == ' ' || (byte >= '\t' && byte <= '\r')},
        {"upper", upper},
        {"xdigit", digit || hex_letter},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strlen(classes[i].name) == length && memcmp(classes[i].name, name, length) == 0)
            return classes[i].member;
    return false;
}

/* Whether the bracket expression at `at` (on its '[') holds `byte`; ret_end: behind its ']', or
 * NULL when it has none and the '[' is an ordinary character. */
static bool bracket_matches(const char *at, unsigned char byte, const char **ret_end)
{
    *ret_end = NULL;
    at++;
    bool negated = *at == '!' || *at == '^';
    if (negated)
        at++;
    bool found = false;
    for (bool first = true; first || *at != ']'; first = false) {
        if (*at == '\0')
            return false;
        const char *class_end = at[0] == '[' && at[1] == ':' ? strstr(at + 2, ":]") : NULL;
        if (class_end) {
            found |= in_class(at + 2, (size_t)(class_end - at - 2), byte);
            at = class_end + 2;
            continue;
        }
        unsigned char low = (unsigned char)*at, high = low;
        at++;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            high = (unsigned char)at[1];
            at += 2;
        }
        found |= byte >= low && byte <= high;
    }
    *ret_end = at + 1;
    return found != negated;
}

bool glob_is(const char *string)
{
    return strpbrk(string, "*?[") != NULL;
}

/* Only the last star ever needs another try: what an earlier one took can be given to it. */
bool glob_matches(const char *pattern, const char *string)
{
    const char *after_star = NULL, *retry_from = NULL;
    for (;;) {
        if (*pattern == '*') {
            after_star = ++pattern;
            retry_from = string;
            continue;
        }
        if (*string == '\0')
            return *pattern == '\0';
        bool same = *pattern == *string;
        const char *next = *pattern ? pattern + 1 : pattern;
        if (*pattern == '?')
            same = true;
        if (*pattern == '[') {
            const char *end;
            bool inside = bracket_matches(pattern, (unsigned char)*string, &end);
            if (end) {
                same = inside;
                next = end;
            }
        }
        if (same) {
            pattern = next;
            string++;
        } else if (after_star) {
            pattern = after_star;
            string = ++retry_from;
        } else {
            return false;
        }
    }
}
