/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/place_list.h"

#include <errno.h>
#include <stdlib.h>

void place_list_done(struct place_list *list)
{
    free(list->places);
    *list = (struct place_list){0};
}

int place_list_add(struct place_list *list, struct attach_place place)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct attach_place *places = reallocarray(list->places, capacity, sizeof(*places));
        if (!places)
            return -ENOMEM;
        list->places = places;
        list->capacity = capacity;
    }
    list->places[list->count++] = place;
    return 0;
}
