/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/line_output.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/utsname.h>
#include <systemd/sd-id128.h>

#include "agent/log.h"
#include "export/journal_object.h"
#include "export/line_file.h"

/* A round of a thousand lines goes out in one or two writes. */
#define WRITE_BYTES (512u * 1024)

/* Of the file or of the journal. */
struct way {
    const char *to;
    sd_event_source *room; /* the reader takes more; NULL: never waits */
    int error;             /* of the last try, or 0 */
    uint64_t unmade;       /* lines that did not even become one */
};

struct line_output {
    struct line_output_config config;
    struct utsname host;
    char run[SD_ID128_STRING_MAX];
    uint64_t seq;
    char *path;
    struct line_file *file;
    struct way file_way;
    struct text lines; /* for the file */
    struct journal_sink *journal;
    struct way journal_way;
};

struct way_figures {
    uint64_t written, failed, pending;
};

static struct way_figures figures_of(const struct line_output *output, const struct way *way)
{
    struct way_figures figures = {.failed = way->unmade};
    if (way == &output->file_way && output->file) {
        struct line_file_figures file = line_file_figures(output->file);
        figures.written = file.written;
        figures.failed += file.failed;
        figures.pending = file.pending;
    } else if (way == &output->journal_way && output->journal) {
        struct journal_sink_figures journal = journal_sink_figures(output->journal);
        figures.written = journal.written;
        figures.failed += journal.failed;
        figures.pending = journal.pending;
    }
    return figures;
}

/* A disk that is full for a day is told of twice, and so is a reader who is too slow all day: it is
 * over only when nothing waits any more. */
static void note_result(struct line_output *output, struct way *way, int error)
{
    struct way_figures figures = figures_of(output, way);
    if (!error && figures.pending)
        error = way->error;
    if (error && !way->error) {
        log_line(LOG_WARNING, "%s cannot be written to %s: %s; the agent goes on without",
                 output->config.name, way->to, strerror(-error));
    } else if (!error && way->error) {
        log_line(LOG_NOTICE, "%s are written to %s again; %llu lines in all were lost",
                 output->config.name, way->to, (unsigned long long)figures.failed);
    }
    way->error = error;
    if (way->room &&
        sd_event_source_set_enabled(way->room, figures.pending ? SD_EVENT_ON : SD_EVENT_OFF) < 0)
        way->room = sd_event_source_disable_unref(way->room); /* the next lines try again */
}

static int on_file_room(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct line_output *output = context;
    (void)source;
    (void)fd;
    (void)events;
    note_result(output, &output->file_way, line_file_flush(output->file));
    return 0;
}

static int on_journal_room(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct line_output *output = context;
    (void)source;
    (void)fd;
    (void)events;
    note_result(output, &output->journal_way, journal_sink_flush(output->journal));
    return 0;
}

/* Without the event (a device that cannot be polled) the next lines try again. */
static void wait_for_room(struct line_output *output, sd_event *event, struct way *way, int fd,
                          sd_event_io_handler_t on_room)
{
    if (fd >= 0 && sd_event_add_io(event, &way->room, fd, EPOLLOUT, on_room, output) >= 0 &&
        sd_event_source_set_enabled(way->room, SD_EVENT_OFF) < 0)
        way->room = sd_event_source_disable_unref(way->room);
}

int line_output_open(sd_event *event, const struct line_output_config *config,
                     struct line_output **ret_output, struct diag *reterr_diag)
{
    _cleanup_(line_output_close_cleanup) struct line_output *output = calloc(1, sizeof(*output));
    if (!output)
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    output->config = *config;
    output->path = strdup(config->path);
    output->config.path = output->file_way.to = output->path;
    output->journal_way.to = "the journal";
    sd_id128_t run;
    int r = output->path ? sd_id128_randomize(&run) : -ENOMEM;
    if (r < 0)
        return diag_set(reterr_diag, -r, "cannot write %s: %s", config->name, strerror(-r));
    sd_id128_to_string(run, output->run);
    uname(&output->host);
    if (config->path[0]) {
        r = line_file_open(config->path, &output->file);
        if (r < 0)
            return diag_set(reterr_diag, -r, "cannot write %s to %s: %s", config->name,
                            config->path, strerror(-r));
        wait_for_room(output, event, &output->file_way, line_file_fd(output->file), on_file_room);
    }
    if (config->journal) {
        r = journal_sink_open(JOURNAL_SOCKET_PATH, &output->journal);
        if (r < 0)
            return diag_set(reterr_diag, -r, "cannot write %s to the journal: %s", config->name,
                            strerror(-r));
        wait_for_room(output, event, &output->journal_way, journal_sink_fd(output->journal),
                      on_journal_room);
    }
    *ret_output = take_ptr(output);
    return 0;
}

void line_output_close(struct line_output *output)
{
    if (!output)
        return;
    if (output->file)
        (void)!line_file_flush(output->file);
    if (output->journal)
        (void)!journal_sink_flush(output->journal);
    sd_event_source_disable_unref(output->file_way.room);
    sd_event_source_disable_unref(output->journal_way.room);
    line_file_close(output->file);
    journal_sink_close(output->journal);
    text_done(&output->lines);
    free(output->path);
    free(output);
}

static void add_to_file(struct line_output *output, const struct line_origin *origin,
                        const char *object, size_t length)
{
    int r = line_layout_write(&output->lines, output->config.layout, origin, object, length);
    if (r < 0) {
        output->file_way.unmade++;
        output->lines.failed = 0;
        note_result(output, &output->file_way, r);
    }
}

static void add_to_journal(struct line_output *output, const struct line_origin *origin,
                           const char *message_id, const char *object, size_t length)
{
    struct way_figures before = figures_of(output, &output->journal_way);
    int r = journal_object_write(output->journal, origin, message_id, object, length);
    struct way_figures after = figures_of(output, &output->journal_way);
    if (r < 0 && after.written + after.failed + after.pending ==
                     before.written + before.failed + before.pending)
        output->journal_way.unmade++;
    note_result(output, &output->journal_way, r);
}

/* The rest of a line that the disk had no room for goes out even if nothing follows it. False:
 * there was nothing to do. */
static bool write_lines(struct line_output *output)
{
    bool has_lines = output->lines.length > 0;
    if (!has_lines && !figures_of(output, &output->file_way).pending)
        return false;
    note_result(output, &output->file_way,
                has_lines ? line_file_write(output->file, output->lines.bytes, output->lines.length)
                          : line_file_flush(output->file));
    text_clear(&output->lines);
    return true;
}

void line_output_add(struct line_output *output, const char *object, size_t length)
{
    line_output_add_as(output, output->config.message_id, object, length);
}

void line_output_add_as(struct line_output *output, const char *message_id, const char *object,
                        size_t length)
{
    const struct line_origin origin = {
        .host = output->host.nodename,
        .version = LORIS_VERSION,
        .run = output->run,
        .seq = ++output->seq,
    };
    if (output->file)
        add_to_file(output, &origin, object, length);
    if (output->journal)
        add_to_journal(output, &origin, message_id, object, length);
    if (output->lines.length >= WRITE_BYTES)
        (void)write_lines(output);
}

int line_output_send(struct line_output *output)
{
    bool has_tried = write_lines(output);
    text_done(&output->lines); /* rounds are far apart */
    return has_tried ? output->file_way.error : 0;
}

int line_output_reopen(struct line_output *output)
{
    return output->file ? line_file_reopen(output->file) : 0;
}

static void write_way(const struct line_output *output, const struct way *way,
                      struct json_writer *json)
{
    struct way_figures figures = figures_of(output, way);
    bool is_file = way == &output->file_way;
    json_begin_object(json, NULL);
    json_string_z(json, "name", output->config.name);
    json_string_z(json, "to", is_file ? way->to : "journal");
    if (is_file)
        json_string_z(json, "layout", line_layout_name(output->config.layout));
    json_u64(json, "written", figures.written);
    json_u64(json, "failed", figures.failed);
    json_u64(json, "pending", figures.pending);
    if (is_file)
        json_u64(json, "reopened", line_file_figures(output->file).reopened);
    if (way->error)
        json_string_z(json, "failing", strerror(-way->error));
    json_end_object(json);
}

void line_output_write_status(const struct line_output *output, struct json_writer *json)
{
    if (output->file)
        write_way(output, &output->file_way, json);
    if (output->journal)
        write_way(output, &output->journal_way, json);
}

void line_output_describe_failure(const struct line_output *output, struct text *out)
{
    const struct way *ways[] = {&output->file_way, &output->journal_way};
    for (unsigned i = 0; i < 2; i++) {
        if (!ways[i]->error)
            continue;
        text_append_format(out, "%s%s cannot be written to %s: %s, %llu lines were lost so far",
                           out->length ? "; " : "", output->config.name, ways[i]->to,
                           strerror(-ways[i]->error),
                           (unsigned long long)figures_of(output, ways[i]).failed);
    }
}
