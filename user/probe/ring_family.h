/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rings of all CPUs, and how they get into the kernel's map of maps. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/ownership.h"

struct ring_family {
    int map_fd; /* of the map of maps; borrowed */
    int *fds;   /* of the rings, by CPU */
    uint32_t cpus;
};

int ring_family_init(struct ring_family *family, const char *name, int map_fd, uint32_t cpus,
                     uint32_t bytes) _must_check_;
void ring_family_done(struct ring_family *family);

/*
 * Puts the rings into their map while the caller goes on: after each update of a
 * map of maps the kernel waits until no program can see the old one (synchronize_rcu, 8 to 16 ms).
 * Begin never fails; end is when they are there, or says why they are not. It must be called.
 */
pid_t ring_family_begin_install(const struct ring_family *family);
int ring_family_end_install(pid_t installer, const struct ring_family *family) _must_check_;
