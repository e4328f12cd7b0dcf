/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Appends whole lines to a file or to stdout; counts what did not get there, never tears a line. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"

#define LINE_FILE_BACKLOG_MAX (4 * 1024 * 1024) /* bytes that wait for a slow reader of stdout */

struct line_file;

/* In lines. Every line given to line_file_write is in exactly one of the first three. */
struct line_file_figures {
    uint64_t written;
    uint64_t failed;
    uint64_t pending;
    uint64_t reopened; /* times */
};

/* Before privileges are given up: without them a pipe or terminal of another user could not be
 * opened anew later, and one that is shared may block. From then on it is ours at once. */
void line_file_own_stdout(void);

/*
 * path "-": stdout, which is not closed; a pipe, terminal or socket there never blocks: what it
 * does not take waits in the backlog, oldest first, and lines that do not fit fail. Else a regular
 * file, created with 0640; its folder must be there. A final line without its end, left by a
 * crash, gets one before the next line. The caller ignores SIGPIPE and SIGXFSZ.
 * -ELOOP: a symbolic link; -EMLINK: it has a second name; -EINVAL: not a regular file; or what
 * open(2) says, but for a full or read-only disk: then each write tries to open it.
 */
int line_file_open(const char *path, struct line_file **ret_file) _must_check_;
/* What is pending fails; of a file, only once its disk still takes nothing. */
void line_file_close(struct line_file *file);
DEFINE_CLEANUP(struct line_file *, line_file_close);

/*
 * Lines, each with its '\n', in one write(2); to stdout in pieces that no other writer tears. 0,
 * also while some wait; else -errno of why lines failed, whole ones. Of a line that a full disk
 * took a part of, the rest is pending and goes out before anything else. The next call tries anew.
 * A file that was moved or deleted is made anew, unasked; where that fails, the lines go on into
 * the one that was moved, and the answer is why. -EINVAL: the last line has no end.
 */
int line_file_write(struct line_file *file, const char *lines, size_t length) _must_check_;

/* The descriptor of stdout to wait for (EPOLLOUT) while figures.pending is not 0, then call
 * line_file_flush; line_file_write does it too. -1: never needed. */
int line_file_fd(const struct line_file *file);
int line_file_flush(struct line_file *file) _must_check_;

/* After a rotation: the path's file instead of the one that is open. On failure (-errno) the open
 * one stays. stdout: nothing to do. */
int line_file_reopen(struct line_file *file) _must_check_;

struct line_file_figures line_file_figures(const struct line_file *file);
