/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_terminal.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "cli/interrupt.h"
#include "cli/top_keys.h"

#include <term.h> /* last: it makes macros of common words */

#define ESCAPE_WAIT_MS 25 /* after which an Esc is a key and no longer the beginning of one */

/* As global as curses is, and as a signal handler needs it: a crash has no time for curses, so what
 * gives the screen back is written down before. */
static struct termios found_settings;
static char leave_bytes[256];
static size_t leave_length;
static volatile sig_atomic_t is_open;
static char crash_stack[32 * 1024];

static SCREEN *screen;
static FILE *keyboard;
static int keyboard_fd = -1;
static bool has_colour;

/* What would end us by default. */
static const int fatal_signals[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,  SIGBUS,  SIGFPE,
                                    SIGUSR1, SIGSEGV, SIGUSR2, SIGALRM,  SIGXCPU, SIGXFSZ,
                                    SIGSYS,  SIGPROF, SIGPOLL, SIGVTALRM};
#define FATAL_SIGNALS (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

/* --- giving it back -------------------------------------------------------------------------- */

/* Async-signal-safe. */
static void rescue(void)
{
    if (!is_open)
        return;
    is_open = 0;
    (void)!write(STDOUT_FILENO, leave_bytes, leave_length);
    tcsetattr(keyboard_fd, TCSANOW, &found_settings);
}

static void on_fatal_signal(int number)
{
    rescue();
    raise(number); /* by default now: SA_RESETHAND */
}

static int note_byte(int byte)
{
    if (leave_length < sizeof(leave_bytes))
        leave_bytes[leave_length++] = (char)byte;
    return byte;
}

static void note_sequence(const char *capability)
{
    const char *sequence = tigetstr(capability);
    if (sequence && sequence != (const char *)-1)
        tputs(sequence, 1, note_byte);
}

static int take_signals(void)
{
    const stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof(crash_stack)};
    struct sigaction action = {.sa_handler = on_fatal_signal,
                               .sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < FATAL_SIGNALS; i++) {
        struct sigaction found;
        if (sigaction(fatal_signals[i], NULL, &found) == 0 && found.sa_handler == SIG_DFL &&
            sigaction(fatal_signals[i], &action, NULL) < 0)
            return -errno;
    }
    interrupt_before_leaving(rescue);
    int r = interrupt_also(SIGTSTP);
    return r < 0 ? r : interrupt_also(SIGCONT);
}

/* --- taking it ------------------------------------------------------------------------------- */

static int lacks(struct diag *reterr_diag, int error, const char *why)
{
    diag_set(reterr_diag, error, "%s", why);
    diag_hint(reterr_diag, "loris top --once prints one table");
    return -error;
}

static int open_keyboard(struct diag *reterr_diag)
{
    if (!isatty(STDOUT_FILENO))
        return lacks(reterr_diag, ENOTTY, "stdout is no terminal");
    int fd = isatty(STDIN_FILENO) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                  : open("/dev/tty", O_RDWR | O_CLOEXEC);
    keyboard = fd < 0 ? NULL : fdopen(fd, "r");
    keyboard_fd = fd;
    if (keyboard && tcgetattr(fd, &found_settings) == 0)
        return 0;
    if (fd >= 0 && !keyboard)
        close(fd);
    return lacks(reterr_diag, ENOTTY, "there is no terminal to read keys from");
}

static void choose_colours(void)
{
    const char *no_color = getenv("NO_COLOR");
    has_colour = has_colors() && !(no_color && no_color[0]) && start_color() == OK;
    if (!has_colour)
        return;
    short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
    init_pair(TOP_GOOD, COLOR_GREEN, background);
    init_pair(TOP_WARNING, COLOR_YELLOW, background);
    init_pair(TOP_BAD, COLOR_RED, background);
}

static int check_type(struct diag *reterr_diag)
{
    int known = 0;
    if (setupterm(NULL, STDOUT_FILENO, &known) != OK)
        return lacks(reterr_diag, ENOTSUP, "the terminal's type (TERM) is not known here");
    if (!cursor_address || !clear_screen)
        return lacks(reterr_diag, ENOTSUP, "this type of terminal (TERM) cannot move its cursor");
    return 0;
}

static int open_screen(struct diag *reterr_diag)
{
    leave_length = 0;
    static const char *const capabilities[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
        note_sequence(capabilities[i]);
    is_open = 1;
    screen = newterm(NULL, stdout, keyboard);
    if (!screen) {
        is_open = 0;
        return lacks(reterr_diag, ENOTSUP, "curses cannot work with this terminal");
    }
    set_escdelay(ESCAPE_WAIT_MS);
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    choose_colours();
    return 0;
}

int top_terminal_open(struct diag *reterr_diag)
{
    setlocale(LC_CTYPE, "");
    int r = open_keyboard(reterr_diag);
    if (r == 0)
        r = check_type(reterr_diag);
    if (r == 0 && (r = take_signals()) < 0)
        diag_set(reterr_diag, -r, "cannot handle signals: %s", strerror(-r));
    if (r == 0)
        r = open_screen(reterr_diag);
    if (r < 0)
        top_terminal_close();
    return r;
}

void top_terminal_close(void)
{
    interrupt_before_leaving(NULL);
    interrupt_no_more(SIGTSTP);
    interrupt_no_more(SIGCONT);
    if (is_open)
        endwin();
    is_open = 0;
    if (screen)
        delscreen(screen);
    screen = NULL;
    if (keyboard)
        fclose(keyboard);
    keyboard = NULL;
}

bool top_terminal_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

int top_terminal_fd(void)
{
    return keyboard_fd;
}

static unsigned key_of(wint_t code)
{
    switch (code) {
    case KEY_UP:
        return TOP_KEY_UP;
    case KEY_DOWN:
        return TOP_KEY_DOWN;
    case KEY_LEFT:
        return TOP_KEY_LEFT;
    case KEY_RIGHT:
        return TOP_KEY_RIGHT;
    case KEY_PPAGE:
        return TOP_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TOP_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TOP_KEY_HOME;
    case KEY_END:
        return TOP_KEY_END;
    case KEY_BACKSPACE:
        return TOP_KEY_BACKSPACE;
    case KEY_ENTER:
        return TOP_KEY_ENTER;
    default:
        return '\a'; /* a key without a meaning */
    }
}

unsigned top_terminal_key(void)
{
    wint_t code;
    int kind = get_wch(&code);
    if (kind == ERR)
        return TOP_KEY_NONE;
    if (kind == KEY_CODE_YES)
        return key_of(code);
    if (code == '\r')
        return TOP_KEY_ENTER;
    return code == 0x7f ? TOP_KEY_BACKSPACE : code ? code : '\a';
}

/* --- screen ---------------------------------------------------------------------------------- */

void top_terminal_size(unsigned *ret_width, unsigned *ret_height)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0 &&
        (size.ws_col != COLS || size.ws_row != LINES))
        resizeterm(size.ws_row, size.ws_col);
    *ret_width = (unsigned)COLS;
    *ret_height = (unsigned)LINES;
}

static attr_t attributes_of(unsigned char style)
{
    static const attr_t plain[TOP_STYLES] = {
        [TOP_STRONG] = A_BOLD,      [TOP_FAINT] = A_DIM,    [TOP_HEAD] = A_UNDERLINE | A_BOLD,
        [TOP_SELECTED] = A_REVERSE, [TOP_WARNING] = A_BOLD, [TOP_BAD] = A_BOLD,
    };
    bool is_coloured = style == TOP_GOOD || style == TOP_WARNING || style == TOP_BAD;
    return plain[style] | (has_colour && is_coloured ? (attr_t)COLOR_PAIR(style) : 0);
}

/* Cells of one style at once. */
static void show_line(const struct top_grid *grid, unsigned line)
{
    char run[4096];
    for (unsigned column = 0; column < grid->width;) {
        unsigned from = column;
        size_t length = 0;
        unsigned char style = top_grid_cell(grid, line, column)->style;
        while (column < grid->width && length + 8 < sizeof(run)) {
            const struct top_cell *cell = top_grid_cell(grid, line, column);
            if (cell->style != style)
                break;
            length = (size_t)(stpcpy(run + length, cell->bytes) - run);
            column++;
        }
        attrset((int)attributes_of(style));
        mvaddnstr((int)line, (int)from, run, (int)length);
    }
}

void top_terminal_show(const struct top_grid *grid)
{
    for (unsigned line = 0; line < grid->height; line++)
        show_line(grid, line);
    refresh();
}

void top_terminal_repaint(void)
{
    reset_prog_mode();
    clearok(stdscr, TRUE);
}

void top_terminal_suspend(void)
{
    endwin();
    is_open = 0;
    interrupt_obey(SIGTSTP);
    is_open = 1;
    refresh();
}
