/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A listening unix socket on a path: one owner at a time, nothing left behind. */
#pragma once

#include <sys/types.h>

#include "base/diag.h"

struct socket_path;

/* As varlink_server_listen says. -ENAMETOOLONG, -EADDRINUSE, -ENOTSOCK, or what the system said. */
int socket_path_listen(const char *path, gid_t gid, struct socket_path **ret_socket,
                       struct diag *reterr_diag) _must_check_;
/* Removes the socket and its lock, when they are still ours. */
void socket_path_close(struct socket_path *socket_path);
DEFINE_CLEANUP(struct socket_path *, socket_path_close);

int socket_path_fd(const struct socket_path *socket_path);
