/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/options.h"

#include <getopt.h>
#include <stdio.h>

#include "agent/config.h"
#include "base/quantity.h"

#define CLIENT_FD_MAX 1023

static void print_help(void)
{
    puts("lorisd: watches how long functions take, for loris(1) and other clients\n"
         "\n"
         "Usage: lorisd [OPTIONS]\n"
         "\n"
         "  -c, --config FILE      configuration (default " CONFIG_PATH_DEFAULT ")\n"
         "  -s, --socket PATH      listen here instead of where the configuration says\n"
         "      --budget SHARE     what all probes may cost, of one CPU: 5%, none\n"
         "      --client-fd N      serve the connected socket N only and end with it\n"
         "      --check-config FILE  read FILE, say what is wrong with it, and end\n"
         "  -h, --help             this text\n"
         "      --version          the version\n"
         "\n"
         "Examples:\n"
         "  lorisd --config ./loris.yaml --socket /tmp/loris.sock\n"
         "  lorisd --check-config /etc/loris/loris.yaml\n"
         "\n"
         "SIGHUP reads the configuration again and opens log files anew; SIGUSR1 only opens log\n"
         "files anew, after a rotation. SIGTERM and SIGINT detach everything and end.\n"
         "Exit codes: 0 fine, 1 failed, 2 usage, 4 not permitted, 6 configuration missing or "
         "wrong.");
}

/* Ends with the exit code. */
static bool end(int code, int *ret_exit)
{
    *ret_exit = code;
    return false;
}

bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_exit)
{
    enum { OPTION_CLIENT_FD = 256, OPTION_CHECK, OPTION_VERSION, OPTION_BUDGET };
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'},
        {"socket", required_argument, NULL, 's'},
        {"budget", required_argument, NULL, OPTION_BUDGET},
        {"client-fd", required_argument, NULL, OPTION_CLIENT_FD},
        {"check-config", required_argument, NULL, OPTION_CHECK},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.client_fd = -1};
    for (int option; (option = getopt_long(argc, argv, "c:s:h", table, NULL)) != -1;) {
        uint64_t number = 0;
        switch (option) {
        case 'c':
            options.config_path = optarg;
            break;
        case 's':
            options.socket_path = optarg;
            break;
        case OPTION_CLIENT_FD:
            if (parse_u64(optarg, &number) || number > CLIENT_FD_MAX) {
                fprintf(stderr, "lorisd: --client-fd needs the number of an open socket\n");
                return end(LORISD_USAGE, ret_exit);
            }
            options.client_fd = (int)number;
            break;
        case OPTION_BUDGET:
            options.budget = optarg;
            break;
        case OPTION_CHECK:
            options.config_path = optarg;
            options.check_only = true;
            break;
        case 'h':
            print_help();
            return end(LORISD_FINE, ret_exit);
        case OPTION_VERSION:
            puts("lorisd " LORIS_VERSION);
            return end(LORISD_FINE, ret_exit);
        default:
            fprintf(stderr, "lorisd: see lorisd --help\n");
            return end(LORISD_USAGE, ret_exit);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "lorisd: what is '%s'? see lorisd --help\n", argv[optind]);
        return end(LORISD_USAGE, ret_exit);
    }
    *ret_options = options;
    return true;
}
