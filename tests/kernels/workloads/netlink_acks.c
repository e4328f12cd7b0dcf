/* SPDX-License-Identifier: GPL-2.0-or-later */
/* requests= netlink requests that the kernel acknowledges from inside the send: netlink_unicast()
 * to the kernel calls netlink_unicast() back to us, so each request is two calls, nested. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "truth.h"

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long requests = option_number("requests", 1000);
    int link = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (link < 0 || connect(link, (struct sockaddr *)&kernel, sizeof(kernel)))
        die("netlink");
    for (long i = 0; i < requests; i++) {
        /* NLMSG_MIN_TYPE is below every handler's type: nothing happens but the acknowledgement. */
        struct nlmsghdr request = {.nlmsg_len = sizeof(request),
                                   .nlmsg_type = NLMSG_NOOP,
                                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
        char answer[512];
        if (send(link, &request, sizeof(request), 0) != sizeof(request))
            die("send");
        if (recv(link, answer, sizeof(answer), 0) < (ssize_t)sizeof(struct nlmsghdr))
            die("recv");
    }
    truth_tell("{\"calls\":%ld,\"depth\":2}", 2 * requests);
    return 0;
}
