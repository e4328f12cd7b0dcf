/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks all tasks through the kernel side's iterators: open calls, and processes that run. */
#pragma once

#include <stdint.h>

#include "loris/event.h"
#include "probe/kernel_side.h"

typedef void (*open_call_fn)(const struct loris_open_call *call, void *context);

/* Walks all tasks: about 1 µs each. sessions: also look for calls of uprobe sessions. */
int task_walk_open_calls(struct kernel_side *side, bool sessions, open_call_fn on_call,
                         void *context) _must_check_;

/* The same for the processes that run: records in the shape of a fork. */
typedef void (*present_process_fn)(const struct loris_process_event *event, void *context);
int task_walk_processes(struct kernel_side *side, present_process_fn on_process,
                        void *context) _must_check_;
