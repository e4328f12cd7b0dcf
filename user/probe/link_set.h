/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The links of one watched target, closed in the order in which they were added. */
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
/* Closes from `keep` on. Detaching may take long: up to 0.5 s for a perf uprobe. */
void link_set_cut(struct link_set *links, size_t keep);
/*
 * The same for all of them, but what is slow in it goes on in a process apart: it gets the links,
 * we let go of them, and its end detaches them. Where that cannot be had, as link_set_cut. The
 * programs must do no harm meanwhile: their probes' knobs are off.
 */
void link_set_cut_apart(struct link_set *links);
void link_set_done(struct link_set *links);
