/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of known duration that start=push|mov|nop5 in a known way: empty_START does nothing and
 * is called empty=N times, spin_START spins for ns=N and is called calls=N times. Tells the median
 * of what the spins took, as seen from inside.
 */
#include "truth.h"

#define CALLS_MAX 1000000

static uint64_t spun_ns[CALLS_MAX];
static long at, spin_ns;

/* A spin reads the clock before it knows its begin and after it knows its end, once in all. */
static uint64_t reading_ns(void)
{
    uint64_t least_ns = ~0ull;
    for (int i = 0; i < 1000; i++) {
        uint64_t begin_ns = clock_ns();
        for (int k = 0; k < 9; k++)
            (void)clock_ns();
        uint64_t took_ns = (clock_ns() - begin_ns) / 10;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    return least_ns;
}

__attribute__((used)) void spin_here(void)
{
    uint64_t begin_ns = clock_ns(), now_ns;
    do
        now_ns = clock_ns();
    while (now_ns - begin_ns < (uint64_t)spin_ns);
    spun_ns[at] = now_ns - begin_ns;
}

/* How a function begins decides how the kernel gets over the probe: by hand, not by compiler. */
#define FUNCTION(name, first, body)                                                                \
    void name(void);                                                                               \
    __asm__(".text\n"                                                                              \
            ".globl " #name "\n"                                                                   \
            ".type " #name ", @function\n"                                                         \
            ".p2align 4\n" #name ":\n" first "\n"                                                  \
            "push %rbx\n" body "\n"                                                                \
            "pop %rbx\n"                                                                           \
            "ret\n"                                                                                \
            ".size " #name ", . - " #name "\n")

#define MOV  "mov %rdi, %rax"
#define NOP5 ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00"

FUNCTION(empty_push, "", "");
FUNCTION(empty_mov, MOV, "");
FUNCTION(empty_nop5, NOP5, "");
FUNCTION(spin_push, "", "call spin_here");
FUNCTION(spin_mov, MOV, "call spin_here");
FUNCTION(spin_nop5, NOP5, "call spin_here");

static const struct {
    const char *start;
    void (*empty)(void);
    void (*spin)(void);
} functions[] = {
    {"push", empty_push, spin_push},
    {"mov", empty_mov, spin_mov},
    {"nop5", empty_nop5, spin_nop5},
};

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    const char *start = option_text("start", "push");
    long calls = option_number("calls", 1000), empty = option_number("empty", 10000);
    size_t which = 0;
    while (which < 3 && strcmp(functions[which].start, start) != 0)
        which++;
    spin_ns = option_number("ns", 5000);
    if (which == 3 || calls < 1 || calls > CALLS_MAX)
        return 2;
    truth_pause("ready");
    for (long i = 0; i < empty; i++)
        functions[which].empty();
    for (at = 0; at < calls; at++)
        functions[which].spin();
    qsort(spun_ns, (size_t)calls, sizeof(spun_ns[0]), compare);
    truth_tell("{\"calls\":%ld,\"empty\":%ld,\"p50_ns\":%lu}", calls, empty,
               spun_ns[(calls - 1) / 2] + reading_ns());
    truth_pause("done");
    return 0;
}
