/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends request=JSON, NUL-terminated, to socket=PATH and prints the answer as one line; tries for
 * wait_s= seconds until somebody listens. A varlink client for a machine that has none. */
#include <sys/socket.h>
#include <sys/un.h>

#include "truth.h"

static int connected(const char *path, long wait_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    uint64_t end_ns = clock_ns() + (uint64_t)wait_s * NS_PER_S;
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            die("socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        if (clock_ns() > end_ns)
            die(path);
        usleep(20000);
    }
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    const char *request = option_text("request", "{}");
    int fd = connected(option_text("socket", "/run/loris/loris.sock"), option_number("wait_s", 20));
    size_t length = strlen(request) + 1;
    if (write(fd, request, length) != (ssize_t)length)
        die("write");
    char buffer[4096];
    ssize_t got;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        char *end = memchr(buffer, '\0', (size_t)got);
        fwrite(buffer, 1, end ? (size_t)(end - buffer) : (size_t)got, stdout);
        if (end) {
            putchar('\n');
            return 0;
        }
    }
    die("the socket closed without an answer");
    return 1;
}
