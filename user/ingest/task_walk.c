/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/task_walk.h"

#include <errno.h>
#include <string.h>

#include "probe/bpf_link.h"

#define BATCH_RECORDS 256

/* Reads fixed-size records until the iterator ends; a torn record is an error of the kernel side.
 */
static int read_records(int fd, void *batch, size_t record_bytes,
                        void (*on_record)(const void *record, void *context), void *context)
{
    size_t filled = 0;
    for (;;) {
        ssize_t got = read(fd, (char *)batch + filled, BATCH_RECORDS * record_bytes - filled);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return filled ? -EBADMSG : 0;
        filled += (size_t)got;
        size_t used = filled - filled % record_bytes;
        for (size_t at = 0; at < used; at += record_bytes)
            on_record((char *)batch + at, context);
        filled -= used;
        memmove(batch, (char *)batch + used, filled);
    }
}

static int walk(struct kernel_side *side, enum kernel_program program, void *batch,
                size_t record_bytes, void (*on_record)(const void *record, void *context),
                void *context)
{
    int program_fd = kernel_side_program(side, program, NULL);
    if (program_fd < 0)
        return program_fd;
    _cleanup_close_ int fd = bpf_link_iterate(program_fd);
    return fd < 0 ? fd : read_records(fd, batch, record_bytes, on_record, context);
}

struct open_call_sink {
    open_call_fn on_call;
    void *context;
};

static void on_open_record(const void *record, void *context)
{
    const struct open_call_sink *sink = context;
    sink->on_call(record, sink->context);
}

int task_walk_open_calls(struct kernel_side *side, bool sessions, open_call_fn on_call,
                         void *context)
{
    struct loris_open_call batch[BATCH_RECORDS];
    struct open_call_sink sink = {on_call, context};
    int error = walk(side, KERNEL_EACH_OPEN, batch, sizeof(batch[0]), on_open_record, &sink);
    if (!error && sessions)
        error = walk(side, KERNEL_EACH_SESSION, batch, sizeof(batch[0]), on_open_record, &sink);
    return error;
}

struct process_sink {
    present_process_fn on_process;
    void *context;
};

static void on_process_record(const void *record, void *context)
{
    const struct process_sink *sink = context;
    sink->on_process(record, sink->context);
}

int task_walk_processes(struct kernel_side *side, present_process_fn on_process, void *context)
{
    struct loris_process_event batch[BATCH_RECORDS];
    struct process_sink sink = {on_process, context};
    return walk(side, KERNEL_EACH_PROCESS, batch, sizeof(batch[0]), on_process_record, &sink);
}
