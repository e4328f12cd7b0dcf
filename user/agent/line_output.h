/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where lines of one kind go: a file in a layout, the journal; failures are counted and said. */
#pragma once

#include <systemd/sd-event.h>

#include "base/diag.h"
#include "base/json_writer.h"
#include "export/line_layout.h"

struct line_output;

struct line_output_config {
    const char *name; /* "summaries", a literal: what they are called when something is said */
    const char *path; /* as line_file_open; empty: none */
    enum line_layout layout;
    bool journal;
    const char *message_id; /* a literal */
};

/* -errno: the file cannot be opened, and diag says why. */
int line_output_open(sd_event *event, const struct line_output_config *config,
                     struct line_output **ret_output, struct diag *reterr_diag) _must_check_;
/* What still waits for a reader has one last chance. */
void line_output_close(struct line_output *output);
DEFINE_CLEANUP(struct line_output *, line_output_close);

/* One of our objects, as line_layout_write takes it; it gets the next seq. Goes out with the next
 * line_output_send, or before when many wait. */
void line_output_add(struct line_output *output, const char *object, size_t length);
/* The same, with another MESSAGE_ID. */
void line_output_add_as(struct line_output *output, const char *message_id, const char *object,
                        size_t length);
/* Never waits for a reader: what is slow to go is sent as it takes it. Says when lines begin to
 * fail and when they no longer do, so the answer, -errno of a file that takes none, may be left; it
 * is 0 when nothing was tried. */
int line_output_send(struct line_output *output);

/* After a rotation. */
int line_output_reopen(struct line_output *output) _must_check_;

/* An Output of the interface for the file and one for the journal, into an open array. */
void line_output_write_status(const struct line_output *output, struct json_writer *json);
/* Why lines do not get where they should, now, as a sentence; nothing when they do. */
void line_output_describe_failure(const struct line_output *output, struct text *out);
