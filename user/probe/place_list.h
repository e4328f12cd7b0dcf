/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of places in the making, to be attached together. */
#pragma once

#include <stddef.h>

#include "base/ownership.h"
#include "probe/attach_places.h"

struct place_list {
    struct attach_place *places;
    size_t count;
    size_t capacity;
};

void place_list_done(struct place_list *list);
int place_list_add(struct place_list *list, struct attach_place place) _must_check_;
