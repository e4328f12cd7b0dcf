/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lorisd's command line and exit codes. */
#pragma once

#include <stdbool.h>

/* The unit tells systemd which of these a restart cannot mend; its names for them are the same. */
enum lorisd_exit {
    LORISD_FINE = 0,
    LORISD_FAILED = 1,
    LORISD_USAGE = 2,
    LORISD_NOT_PERMITTED = 4,
    LORISD_NOT_CONFIGURED = 6, /* the configuration is missing or wrong */
};

struct options {
    const char *config_path; /* NULL: the default one, or for a private agent none */
    const char *socket_path; /* NULL: the configuration's */
    const char *budget;      /* NULL: the configuration's */
    int client_fd;           /* private agent: serve this connection, end with it; else -1 */
    bool check_only;
};

/* True: go on with the options; false: end with the exit code, everything was said. */
bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_exit);
