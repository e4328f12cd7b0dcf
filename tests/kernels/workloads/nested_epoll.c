/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An eventfd watched by an epoll that is watched by an epoll ...: writing wakes them one inside
 * the other, so that writes= writes make depth calls each of ep_poll_callback(), nested, with
 * interrupts off. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "truth.h"

#define DEPTH_MAX 8

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long writes = option_number("writes", 1000);
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        die("eventfd");
    long depth = 0;
    for (int watched = event; depth < DEPTH_MAX; depth++) {
        int watcher = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event interest = {.events = EPOLLIN};
        if (watcher < 0)
            die("epoll_create1");
        if (epoll_ctl(watcher, EPOLL_CTL_ADD, watched, &interest)) {
            if (errno != ELOOP && errno != EINVAL)
                die("epoll_ctl");
            close(watcher); /* deeper than this kernel nests */
            break;
        }
        watched = watcher;
    }
    for (long i = 0; i < writes; i++) {
        uint64_t one = 1;
        if (write(event, &one, sizeof(one)) != sizeof(one))
            die("write");
    }
    /* Closing an epoll wakes nobody; the process ends with all of them open. */
    truth_tell("{\"calls\":%ld,\"depth\":%ld}", depth * writes, depth);
    return 0;
}
