/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris: the command line; a client of lorisd's socket. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"

#ifndef LORIS_VERSION
#define LORIS_VERSION "unknown"
#endif

int command_version(const struct invocation *invocation)
{
    _cleanup_text_ struct text out = {0};
    text_append_format(&out, invocation->json ? "{\"version\":\"%s\"}\n" : "loris %s\n",
                       LORIS_VERSION);
    return output_once(&out);
}

int command_show_help(const struct invocation *invocation)
{
    _cleanup_text_ struct text out = {0};
    if (invocation->argument_count == 0) {
        command_overview(&out);
        return output_once(&out);
    }
    const struct command *command = command_find(invocation->arguments[0]);
    if (!command)
        return message_usage(NULL, "there is no command \"%s\"", invocation->arguments[0]);
    command_help(command, &out);
    return output_once(&out);
}

static int show_own_help(const struct invocation *invocation)
{
    _cleanup_text_ struct text out = {0};
    if (invocation->command->run == command_show_help)
        command_overview(&out);
    else
        command_help(invocation->command, &out);
    return output_once(&out);
}

/* Descriptors 0 to 2 are open from here on, so that no socket of ours becomes somebody's stdout. */
static int open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_descriptors() < 0)
        return EXIT_CODE_FAILED;
    signal(SIGPIPE, SIG_IGN); /* EPIPE says it, and leaves time to stop the private agent */
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return command_version(&(const struct invocation){0});
    struct invocation invocation;
    int code = invocation_parse(argc, argv, &invocation);
    if (code == 0)
        code = invocation.help ? show_own_help(&invocation) : invocation.command->run(&invocation);
    else if (invocation.command && invocation.command->usage_code)
        code = invocation.command->usage_code;
    invocation_done(&invocation);
    return code;
}
