/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cli/exit_code.h"
#include "cli/message.h"

#define WIDTH_MIN      40
#define WIDTH_DEFAULT  80
#define HEIGHT_DEFAULT 24
#define SIZE_MAX_SANE  10000

int output_open(const char *path, struct output *ret_output)
{
    struct output output = {.fd = STDOUT_FILENO};
    if (path) {
        output.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (output.fd < 0)
            return -errno;
        output.is_owned = true;
    }
    output.is_terminal = isatty(output.fd);
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    output.has_colour =
        output.is_terminal && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
    *ret_output = output;
    return 0;
}

void output_done(struct output *output)
{
    if (output->is_owned)
        close(output->fd);
    output->fd = -1;
}

static unsigned size_from_environment(const char *name)
{
    const char *text = getenv(name);
    uint64_t value;
    return text && parse_u64(text, &value) == 0 && value <= SIZE_MAX_SANE ? (unsigned)value : 0;
}

unsigned output_width(const struct output *output)
{
    struct winsize size = {0};
    unsigned width = 0;
    if (output->is_terminal && ioctl(output->fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width == 0)
        width = size_from_environment("COLUMNS");
    if (width == 0)
        width = output->is_terminal ? WIDTH_DEFAULT : 0;
    return width > 0 && width < WIDTH_MIN ? WIDTH_MIN : width;
}

unsigned output_height(const struct output *output)
{
    struct winsize size = {0};
    if (output->is_terminal && ioctl(output->fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        return size.ws_row;
    unsigned height = size_from_environment("LINES");
    return height ? height : HEIGHT_DEFAULT;
}

int output_write(struct output *output, struct text *text)
{
    int r = text->failed;
    size_t done = 0;
    while (r == 0 && done < text->length) {
        ssize_t written = write(output->fd, text->bytes + done, text->length - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno == EAGAIN) { /* somebody made our stdout non-blocking */
            struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
            if (poll(&ready, 1, -1) < 0 && errno != EINTR)
                r = -errno;
        } else if (errno != EINTR) {
            r = -errno;
        }
    }
    text_clear(text);
    if (r == -EPIPE)
        output->is_closed = true;
    return r;
}

int output_exit_code(int negative_errno)
{
    if (negative_errno == 0 || negative_errno == -EPIPE)
        return EXIT_CODE_FINE;
    message_say("cannot write the output: %s", strerror(-negative_errno));
    return EXIT_CODE_FAILED;
}

int output_once(struct text *text)
{
    struct output output;
    int r = output_open(NULL, &output);
    if (r == 0)
        r = output_write(&output, text);
    return output_exit_code(r);
}
