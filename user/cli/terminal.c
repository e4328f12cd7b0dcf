/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/terminal.h"

#include <string.h>
#include <termios.h>

#include "cli/interrupt.h"

#define ENTER "\033[?1049h\033[?25l\033[2J"
#define LEAVE "\033[?25h\033[?1049l"

/* Needed by the signal handler that restores the terminal. */
static struct termios found_settings;
static volatile int has_settings;
static volatile int screen_fd = -1;

static void put(int fd, const char *sequence)
{
    if (write(fd, sequence, strlen(sequence)) < 0)
        return; /* a terminal that is gone needs no care */
}

void terminal_enter(const struct output *output)
{
    if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &found_settings) == 0) {
        struct termios settings = found_settings;
        settings.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        settings.c_cc[VMIN] = 0;
        settings.c_cc[VTIME] = 0;
        settings.c_cc[VSUSP] = _POSIX_VDISABLE; /* stopped, we could not give the screen back */
        has_settings = 1;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &settings) < 0)
            has_settings = 0;
    }
    screen_fd = output->fd;
    interrupt_before_leaving(terminal_leave);
    put(screen_fd, ENTER);
}

void terminal_leave(void)
{
    if (screen_fd >= 0)
        put(screen_fd, LEAVE);
    screen_fd = -1;
    if (has_settings)
        tcsetattr(STDIN_FILENO, TCSANOW, &found_settings);
    has_settings = 0;
}

int terminal_keys_fd(void)
{
    return has_settings ? STDIN_FILENO : -1;
}

int terminal_key(void)
{
    unsigned char key;
    return has_settings && read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}
