/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few names nearest to a misspelt one: spelling first, then names that begin alike. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define NEAREST_NAMES_MAX   5
#define NEAREST_NAME_LENGTH 128 /* longer names are never suggested */

struct nearest_names {
    const char *wanted;   /* borrowed */
    uint64_t wanted_set;  /* characters of it, see character_set in the .c file */
    size_t wanted_length; /* 0: nothing is near */
    unsigned limit;       /* edits that still count as near */
    size_t count;
    const char *names[NEAREST_NAMES_MAX]; /* nearest first; borrowed from whoever offered */
    unsigned scores[NEAREST_NAMES_MAX];
};

/* Nothing is near to a glob. */
void nearest_names_init(struct nearest_names *nearest, const char *wanted);
/* A few ns for names that share too few characters; O(limit * length) for the others. */
void nearest_names_offer(struct nearest_names *nearest, const char *name);
/* "nearest names: foo, bar"; false, and an untouched hint, when nothing is near. */
bool nearest_names_hint(const struct nearest_names *nearest, struct diag *diag);
/* The same list without the leading words: "foo, bar"; an empty string when nothing is near. */
void nearest_names_format(const struct nearest_names *nearest, char *ret_list, size_t list_bytes);
