/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links that are held together, closed in the opposite of the order in which they were added; where
 * a program is nobody else's, it goes before its links. */
#pragma once

#include <stddef.h>

#include "base/ownership.h"

struct link_set {
    int *fds;
    size_t count;
    size_t capacity;
};

/* Takes the fd (also on failure). -ENOMEM. */
int link_set_add(struct link_set *links, int fd) _must_check_;
/* Appends all of another set, and leaves that empty. -ENOMEM: nothing was moved. */
int link_set_move(struct link_set *from, struct link_set *to) _must_check_;
/* Closes from `keep` on, the last one first. Detaching may take long: up to 0.5 s for a perf
 * uprobe. */
void link_set_cut(struct link_set *links, size_t keep);
/*
 * The same for all of them, but what is slow in it goes on in a process apart: it gets the links,
 * we let go of them, and it detaches them. Where that cannot be had, as link_set_cut. The programs
 * must do no harm meanwhile: their probes' knobs are off, and their ids nobody else's. Returns an
 * fd that is at its end, for read(2), when all are detached; -1: they are already.
 */
int link_set_cut_apart(struct link_set *links);
void link_set_done(struct link_set *links);
