/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/linked_places.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/place_list.h"

static bool is_of_kernel(const struct linked_places *linked)
{
    return linked->fd < 0;
}

/* --- probes with links of their own -------------------------------------------------------- */

/* Where the probe is in the order, or would go. */
static size_t own_at(const struct linked_places *linked, uint32_t probe)
{
    size_t low = 0;
    size_t high = linked->own_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (linked->own[middle].probe < probe)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct own_links *find_own(const struct linked_places *linked, uint32_t probe)
{
    size_t at = own_at(linked, probe);
    return at < linked->own_count && linked->own[at].probe == probe ? &linked->own[at] : NULL;
}

/* The probe's links, made when it has none. NULL: no memory. */
static struct own_links *make_own(struct linked_places *linked, uint32_t probe)
{
    size_t at = own_at(linked, probe);
    if (at < linked->own_count && linked->own[at].probe == probe)
        return &linked->own[at];
    if (linked->own_count == linked->own_capacity) {
        size_t capacity = linked->own_capacity ? 2 * linked->own_capacity : 4;
        struct own_links *grown = reallocarray(linked->own, capacity, sizeof(*grown));
        if (!grown)
            return NULL;
        linked->own = grown;
        linked->own_capacity = capacity;
    }
    memmove(&linked->own[at + 1], &linked->own[at],
            (linked->own_count - at) * sizeof(*linked->own));
    linked->own_count++;
    linked->own[at] = (struct own_links){.probe = probe};
    return &linked->own[at];
}

bool linked_places_share(const struct linked_places *linked, uint32_t probe)
{
    for (size_t i = 0; i < linked->count; i++)
        if (linked->places[i].probe == probe && !linked->places[i].is_own)
            return true;
    return false;
}

int linked_places_reserve(struct linked_places *linked, const uint32_t *probes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (linked_places_share(linked, probes[i]) && !make_own(linked, probes[i]))
            return -ENOMEM;
    return 0;
}

/* --- the places ---------------------------------------------------------------------------- */

/* Each place takes links of its own, or even programs. */
static bool is_single(unsigned kind)
{
    return kind == ATTACH_UPROBE || kind == ATTACH_KPROBE || kind == ATTACH_FENTRY;
}

int linked_places_add(struct linked_places *linked, const struct attach_place *place, unsigned kind,
                      bool is_exit, bool is_own)
{
    if (linked->count == linked->capacity) {
        size_t capacity = linked->capacity ? 2 * linked->capacity : 4;
        struct linked_place *places = reallocarray(linked->places, capacity, sizeof(*places));
        if (!places)
            return -ENOMEM;
        linked->places = places;
        linked->capacity = capacity;
    }
    struct linked_place added = {
        .offset = place->offset,
        .semaphore = place->semaphore,
        .probe = place->probe,
        .kind = (uint8_t)kind,
        .is_exit = is_exit,
        .is_own = is_own || is_single(kind) || find_own(linked, place->probe),
    };
    if (is_of_kernel(linked)) {
        added.name = strdup(place->name);
        if (!added.name)
            return -ENOMEM;
    }
    linked->places[linked->count++] = added;
    return 0;
}

static void drop_place(const struct linked_places *linked, struct linked_place *place)
{
    if (is_of_kernel(linked))
        free(place->name);
}

static void drop_refused(struct linked_places *linked)
{
    size_t kept = 0;
    for (size_t i = 0; i < linked->count; i++) {
        if (linked->places[i].is_refused)
            drop_place(linked, &linked->places[i]);
        else
            linked->places[kept++] = linked->places[i];
    }
    linked->count = kept;
}

/* --- links --------------------------------------------------------------------------------- */

/* Which places are meant: those of one probe that has its own links, or those that share one. */
struct choice {
    bool own;
    uint32_t probe;
    uint8_t kind;
};

static bool is_meant(const struct linked_place *place, const struct choice *choice)
{
    return place->kind == choice->kind && place->is_own == choice->own && !place->is_linked &&
           (!choice->own || place->probe == choice->probe);
}

static bool is_chosen(const struct linked_place *place, const struct choice *choice)
{
    return !place->is_refused && is_meant(place, choice);
}

static int collect(const struct linked_places *linked, const struct choice *choice, bool is_exit,
                   struct place_list *list)
{
    for (size_t i = 0; i < linked->count; i++) {
        const struct linked_place *place = &linked->places[i];
        if (!is_chosen(place, choice) || place->is_exit != is_exit)
            continue;
        struct attach_place wanted = {.semaphore = place->semaphore, .probe = place->probe};
        if (is_of_kernel(linked))
            wanted.name = place->name;
        else
            wanted.offset = place->offset;
        if (place_list_add(list, wanted))
            return -ENOMEM;
    }
    return 0;
}

/* Ends of a probe without beginnings are no good to anybody. */
static void refuse_lone_exits(struct linked_places *linked, uint32_t probe)
{
    for (size_t i = 0; i < linked->count; i++) {
        const struct linked_place *place = &linked->places[i];
        if (place->probe == probe && !place->is_exit && !place->is_refused)
            return;
    }
    for (size_t i = 0; i < linked->count; i++)
        if (linked->places[i].probe == probe)
            linked->places[i].is_refused = true;
}

/* Marks what is refused before it passes the word on. */
struct refusal_relay {
    struct linked_places *linked;
    const struct attach_job *job;
};

static void on_refused(const struct attach_place *place, int error, void *context)
{
    const struct refusal_relay *relay = context;
    bool by_name = is_of_kernel(relay->linked);
    for (size_t i = 0; i < relay->linked->count; i++) {
        struct linked_place *known = &relay->linked->places[i];
        if (known->probe == place->probe && !known->is_linked &&
            (by_name ? known->name == place->name : known->offset == place->offset))
            known->is_refused = true;
    }
    refuse_lone_exits(relay->linked, place->probe);
    relay->job->on_refused(place, error, relay->job->context);
}

static int attach_chosen(const struct linked_places *linked, const struct attach_job *job,
                         uint8_t kind, const struct place_list *entries,
                         const struct place_list *exits, struct diag *reterr_diag)
{
    char path[64];
    if (is_of_kernel(linked))
        return attach_kernel_functions(job, (enum attach_kind)kind, entries->places, entries->count,
                                       reterr_diag);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", linked->fd);
    if (kind == LINKED_PLACE_MARK)
        return attach_user_marks(job, path, entries->places, entries->count, exits->places,
                                 exits->count, reterr_diag);
    if (kind == ATTACH_UPROBE_EXITS)
        return attach_user_exits(job, path, entries->places, entries->count, exits->places,
                                 exits->count, reterr_diag);
    return attach_user_functions(job, (enum attach_kind)kind, path, entries->places, entries->count,
                                 reterr_diag);
}

static int link_chosen(struct linked_places *linked, const struct attach_job *job,
                       const struct choice *choice, struct link_set *links,
                       struct diag *reterr_diag)
{
    _cleanup_(place_list_done) struct place_list entries = {0};
    _cleanup_(place_list_done) struct place_list exits = {0};
    if (collect(linked, choice, false, &entries) || collect(linked, choice, true, &exits))
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    if (entries.count + exits.count == 0)
        return 0;
    struct refusal_relay relay = {linked, job};
    const struct attach_job relayed = {job->side, job->trials, links, on_refused, &relay};
    int error = attach_chosen(linked, &relayed, choice->kind, &entries, &exits, reterr_diag);
    for (size_t i = 0; i < linked->count; i++) {
        struct linked_place *place = &linked->places[i];
        if (!is_meant(place, choice))
            continue;
        if (error)
            place->is_refused = false; /* it is the whole rung that failed */
        else
            place->is_linked = !place->is_refused;
    }
    return error;
}

static void cut_own(struct linked_places *linked, struct own_links *own)
{
    link_set_cut(&own->links, 0);
    for (size_t i = 0; i < linked->count; i++)
        if (linked->places[i].is_own && linked->places[i].probe == own->probe)
            linked->places[i].is_linked = false;
}

void linked_places_forget(struct linked_places *linked, size_t from)
{
    for (size_t i = from; i < linked->count; i++) {
        struct own_links *own = find_own(linked, linked->places[i].probe);
        if (linked->places[i].is_linked && own)
            cut_own(linked, own);
        assert(!linked->places[i].is_linked);
        drop_place(linked, &linked->places[i]);
    }
    if (linked->count > from)
        linked->count = from;
}

static int link_kind(struct linked_places *linked, const struct attach_job *job, uint8_t kind,
                     struct diag *reterr_diag)
{
    const struct choice shared = {.kind = kind};
    int error = link_chosen(linked, job, &shared, &linked->shared, reterr_diag);
    for (size_t i = 0; !error && i < linked->count; i++) {
        const struct choice choice = {true, linked->places[i].probe, kind};
        if (!is_chosen(&linked->places[i], &choice))
            continue;
        struct own_links *own = make_own(linked, choice.probe);
        if (!own)
            return diag_set(reterr_diag, ENOMEM, "out of memory");
        if (!own->paused)
            error = link_chosen(linked, job, &choice, &own->links, reterr_diag);
    }
    return error;
}

/* Most lists are as long as they will ever be. */
static void trim(struct linked_places *linked)
{
    if (linked->count == 0 || linked->count == linked->capacity)
        return;
    struct linked_place *places =
        reallocarray(linked->places, linked->count, sizeof(*linked->places));
    if (!places)
        return;
    linked->places = places;
    linked->capacity = linked->count;
}

/* The kinds of the places that could be linked and are not, a bit each. */
static uint32_t lacking_kinds(const struct linked_places *linked)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < linked->count; i++) {
        const struct linked_place *place = &linked->places[i];
        if (place->is_linked)
            continue;
        const struct own_links *own = place->is_own ? find_own(linked, place->probe) : NULL;
        if (!own || !own->paused)
            kinds |= 1u << place->kind;
    }
    return kinds;
}

bool linked_places_lack(const struct linked_places *linked)
{
    return lacking_kinds(linked) != 0;
}

int linked_places_link(struct linked_places *linked, const struct attach_job *job,
                       struct diag *reterr_diag)
{
    int error = 0;
    uint32_t kinds = lacking_kinds(linked);
    for (uint8_t kind = 0; kind <= LINKED_PLACE_MARK && !error; kind++)
        if (kinds & 1u << kind)
            error = link_kind(linked, job, kind, reterr_diag);
    drop_refused(linked);
    trim(linked);
    return error;
}

void linked_places_isolate(struct linked_places *linked, const uint32_t *probes, size_t count)
{
    link_set_cut(&linked->shared, 0);
    for (size_t i = 0; i < linked->count; i++) {
        struct linked_place *place = &linked->places[i];
        if (place->is_own)
            continue;
        place->is_linked = false;
        for (size_t k = 0; k < count && !place->is_own; k++)
            place->is_own = place->probe == probes[k];
    }
}

int linked_places_pause(struct linked_places *linked, uint32_t probe)
{
    struct own_links *own = make_own(linked, probe);
    if (!own)
        return -ENOMEM;
    own->paused = true;
    cut_own(linked, own);
    return 0;
}

void linked_places_resume(struct linked_places *linked, uint32_t probe)
{
    struct own_links *own = find_own(linked, probe);
    if (own)
        own->paused = false;
}

static void walk_links(const struct link_set *links, linked_fd_fn on_fd, void *context)
{
    for (size_t i = 0; i < links->count; i++)
        on_fd(links->fds[i], context);
}

void linked_places_walk(const struct linked_places *linked, linked_fd_fn on_fd, void *context)
{
    walk_links(&linked->shared, on_fd, context);
    for (size_t i = 0; i < linked->own_count; i++)
        walk_links(&linked->own[i].links, on_fd, context);
}

int linked_places_take_links(struct linked_places *linked, struct link_set *links)
{
    int error = link_set_move(&linked->shared, links);
    for (size_t i = 0; i < linked->own_count && !error; i++)
        error = link_set_move(&linked->own[i].links, links);
    return error;
}

void linked_places_done(struct linked_places *linked)
{
    link_set_done(&linked->shared);
    for (size_t i = 0; i < linked->own_count; i++)
        link_set_done(&linked->own[i].links);
    for (size_t i = 0; i < linked->count; i++)
        drop_place(linked, &linked->places[i]);
    free(linked->own);
    free(linked->places);
    close_fd(&linked->fd);
    *linked = (struct linked_places){.fd = -1};
}
