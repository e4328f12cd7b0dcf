/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/nearest_names.h"

#include <string.h>

#include "base/edit_distance.h"
#include "base/glob.h"

/* Bits of the characters in a name, hashed to 64: a character of one name that the other lacks
 * costs at least one edit, which rules out most names without looking at their order. */
static uint64_t character_set(const char *name, size_t length)
{
    uint64_t set = 0;
    for (size_t i = 0; i < length; i++)
        set |= 1ull << ((unsigned char)name[i] & 63);
    return set;
}

void nearest_names_init(struct nearest_names *nearest, const char *wanted)
{
    *nearest = (struct nearest_names){.wanted = wanted, .wanted_length = strlen(wanted)};
    if (glob_is(wanted) || nearest->wanted_length > NEAREST_NAME_LENGTH)
        nearest->wanted_length = 0;
    nearest->wanted_set = character_set(wanted, nearest->wanted_length);
    nearest->limit = (unsigned)(nearest->wanted_length + 2) / 3;
    if (nearest->limit > 4)
        nearest->limit = 4;
}

static void keep(struct nearest_names *nearest, const char *name, unsigned score)
{
    size_t at = nearest->count;
    for (size_t i = 0; i < nearest->count; i++)
        if (!strcmp(nearest->names[i], name))
            return;
    while (at > 0 &&
           (nearest->scores[at - 1] > score ||
            (nearest->scores[at - 1] == score && strlen(nearest->names[at - 1]) > strlen(name))))
        at--;
    if (at >= NEAREST_NAMES_MAX)
        return;
    if (nearest->count < NEAREST_NAMES_MAX)
        nearest->count++;
    for (size_t i = nearest->count - 1; i > at; i--) {
        nearest->names[i] = nearest->names[i - 1];
        nearest->scores[i] = nearest->scores[i - 1];
    }
    nearest->names[at] = name;
    nearest->scores[at] = score;
}

void nearest_names_offer(struct nearest_names *nearest, const char *name)
{
    if (!nearest->wanted_length)
        return;
    const size_t length = strnlen(name, NEAREST_NAME_LENGTH + 1);
    if (length > NEAREST_NAME_LENGTH || length + nearest->limit < nearest->wanted_length)
        return;
    const uint64_t missing = nearest->wanted_set & ~character_set(name, length);
    if ((unsigned)__builtin_popcountll(missing) > nearest->limit)
        return;
    const unsigned limit = nearest->limit;
    unsigned score = ~0u;
    if (length <= nearest->wanted_length + limit) {
        const unsigned distance = edit_distance(nearest->wanted, name, limit);
        if (distance <= limit)
            score = 2 * distance;
    }
    if (length > nearest->wanted_length) {
        char beginning[NEAREST_NAME_LENGTH + 1];
        memcpy(beginning, name, nearest->wanted_length);
        beginning[nearest->wanted_length] = '\0';
        const unsigned distance = edit_distance(nearest->wanted, beginning, limit);
        if (distance <= limit && 2 * distance + 3 < score)
            score = 2 * distance + 3;
    }
    if (score != ~0u)
        keep(nearest, name, score);
}

void nearest_names_format(const struct nearest_names *nearest, char *ret_list, size_t list_bytes)
{
    size_t used = 0;
    ret_list[0] = '\0';
    for (size_t i = 0; i < nearest->count; i++) {
        const size_t length = strlen(nearest->names[i]);
        if (used + length + 3 > list_bytes)
            break;
        if (used) {
            memcpy(ret_list + used, ", ", 2);
            used += 2;
        }
        memcpy(ret_list + used, nearest->names[i], length + 1);
        used += length;
    }
}

bool nearest_names_hint(const struct nearest_names *nearest, struct diag *diag)
{
    if (!nearest->count)
        return false;
    char list[400];
    nearest_names_format(nearest, list, sizeof(list));
    diag_hint(diag, "nearest names: %s", list);
    return true;
}
