/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris check-config: the agent itself reads the file, so that there is one reader. */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/program_path.h"

int command_check_config(const struct invocation *invocation)
{
    char path[PATH_MAX];
    if (program_path_find("lorisd", path) < 0) {
        message_say("cannot find the program lorisd");
        message_hint("it is installed with loris; build both with make");
        return EXIT_CODE_FAILED;
    }
    execl(path, "lorisd", "--check-config", invocation->arguments[0], (char *)NULL);
    message_say("cannot run %s: %s", path, strerror(errno));
    return EXIT_CODE_FAILED;
}
