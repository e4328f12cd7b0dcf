/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a target was attached to: the one its path means now, and those it meant before.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "probe/linked_places.h"

/* Processes may run on files that were replaced since; the oldest of more is let go. */
#define WATCHED_FILES_MAX 4

struct watched_file {
    struct stat seen; /* when it was attached */
    struct linked_places places;
};

/* Whether its bytes may be others by now, so that its places are not where they were. */
bool watched_file_is_rewritten(const struct watched_file *file);

struct watched_files {
    struct watched_file files[WATCHED_FILES_MAX]; /* oldest first */
    size_t count;
};

enum watched_file_state {
    WATCHED_FILE_KNOWN,     /* attached, and unchanged since */
    WATCHED_FILE_REWRITTEN, /* attached, and its bytes may be others by now */
    WATCHED_FILE_NEW,       /* not attached */
};

/* Takes the file, and leaves it empty. */
void watched_files_add(struct watched_files *files, struct watched_file *file);
enum watched_file_state watched_files_state(const struct watched_files *files,
                                            const struct stat *now);
/* Detaches from the file and forgets it. */
void watched_files_drop(struct watched_files *files, const struct stat *file);
void watched_file_done(struct watched_file *file);
void watched_files_done(struct watched_files *files);
