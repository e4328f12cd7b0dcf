/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of one file, or of the kernel, is linked: remembered so that links can be closed for a while
 * and made again without reading the file again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/attach_places.h"

/* One instruction, or one kernel function, of a probe. */
struct linked_place {
    union {
        uint64_t offset; /* in the file */
        char *name;      /* of the kernel function, owned */
    };
    uint64_t semaphore; /* file offset, 0 without one */
    uint32_t probe;
    uint8_t kind; /* enum attach_kind; LINKED_PLACE_MARK: through either user kind */
    bool is_exit : 1;
    bool is_own : 1;     /* not linked together with other probes' places */
    bool is_linked : 1;  /* a link holds it now */
    bool is_refused : 1; /* by the kernel, about to be forgotten */
};

/* In place of a kind: static marks have programs of their own. */
#define LINKED_PLACE_MARK ATTACH_KINDS

_Static_assert(sizeof(struct linked_place) == 24, "there are thousands");

/* The links of one probe that has its own. */
struct own_links {
    uint32_t probe;
    bool paused;
    struct link_set links;
};

/* Zero, but for the fd, at first. */
struct linked_places {
    int fd; /* O_PATH, owned: opens the very file, whatever its path means by now; -1: kernel */
    struct linked_place *places;
    size_t count;
    size_t capacity;
    struct link_set shared;
    struct own_links *own; /* in the order of probes */
    size_t own_count;
    size_t own_capacity;
};

/*
 * Remembers a place, with nothing holding it yet; the name is copied for kernel functions only.
 * Where a link holds but one place anyhow, and for a probe that has its own links, it is made own.
 * -ENOMEM.
 */
int linked_places_add(struct linked_places *linked, const struct attach_place *place, unsigned kind,
                      bool is_exit, bool is_own) _must_check_;
/* Forgets the places from `from` on. None of them shares a link. */
void linked_places_forget(struct linked_places *linked, size_t from);

/*
 * Makes the links that are missing: one for all places that share it, and those of each probe that
 * has its own and is not paused. The job's links are not looked at. Refused places are forgotten
 * after the callback. -EOPNOTSUPP: the kernel lacks the kind. What failed is missing still, and the
 * next call tries it again.
 */
int linked_places_link(struct linked_places *linked, const struct attach_job *job,
                       struct diag *reterr_diag) _must_check_;
/* Whether that call would make any. */
bool linked_places_lack(const struct linked_places *linked);

/* Whether a place of the probe is linked together with those of others. */
bool linked_places_share(const struct linked_places *linked, uint32_t probe);
/* Makes room for these probes' own links, so that isolating them cannot fail. -ENOMEM. */
int linked_places_reserve(struct linked_places *linked, const uint32_t *probes,
                          size_t count) _must_check_;
/* Closes the shared link; these probes, which were reserved, will not come back to it. */
void linked_places_isolate(struct linked_places *linked, const uint32_t *probes, size_t count);
/*
 * Closes the links of a probe that has its own, or will have. Entries go first, and the kernel
 * waits for them, so most calls that are open can still end. When it returns no program of these
 * links runs. -ENOMEM only for a probe that was not reserved.
 */
int linked_places_pause(struct linked_places *linked, uint32_t probe) _must_check_;
/* From now on linked_places_link() links it. */
void linked_places_resume(struct linked_places *linked, uint32_t probe);

/* All links, in any order. */
typedef void (*linked_fd_fn)(int fd, void *context);
void linked_places_walk(const struct linked_places *linked, linked_fd_fn on_fd, void *context);
/* Hands all links over, to be closed by another. -ENOMEM: not all of them. */
int linked_places_take_links(struct linked_places *linked, struct link_set *links) _must_check_;
void linked_places_done(struct linked_places *linked);
