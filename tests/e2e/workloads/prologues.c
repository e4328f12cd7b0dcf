/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that begin in every way that matters to where their entry probe goes, each called
 * calls= times; wrong: results that were not what the function computes. */
#include "truth.h"

#define FUNCTION(name, body)                                                                       \
    __asm__(".text\n\t.p2align 6\n\t.globl " #name "\n\t.type " #name ", @function\n" #name        \
            ":\n\t" body "\n\t.size " #name ", .-" #name "\n");                                    \
    long name(long)

/* Each returns its argument plus one, or just one for arguments below one. */
FUNCTION(p_endbr64, "endbr64\n\tpush %rbx\n\tlea 1(%rdi), %rax\n\tpop %rbx\n\tret");
FUNCTION(p_early_exit, "test %rdi, %rdi\n\tjle 1f\n\tpush %rbx\n\tlea 1(%rdi), %rax\n\tpop %rbx\n\t"
                       "ret\n1:\tmov $1, %eax\n\tret");
FUNCTION(p_writes_argument, "lea 1(%rdi), %rax\n\txor %edi, %edi\n\tpush %rbx\n\tpop %rbx\n\tret");
/* What looks like the cheapest place is the jump of a loop, */
FUNCTION(p_loop_at_start, "mov %rdi, %rcx\n\tmov $1, %eax\n1:\tinc %rax\n\tdec %rcx\n\tjg 1b\n\t"
                          "ret");
/* or the place itself is what a loop goes back to. */
FUNCTION(p_loop_to_place, "mov $1, %eax\n1:\tpush %rbx\n\tinc %rax\n\tpop %rbx\n\tdec %rdi\n\t"
                          "jg 1b\n\tret");
FUNCTION(p_loop_behind,
         "mov $1, %eax\n\tpush %rbx\n1:\tinc %rax\n\tdec %rdi\n\tjg 1b\n\tpop %rbx\n\t"
         "ret");
/* Others jump into it, near and far. */
FUNCTION(p_shared, "mov $1, %eax\n\tpush %rbx\n\tadd %rdi, %rax\n\tpop %rbx\n\tret");
FUNCTION(p_jumps_near, "mov $1, %eax\n\tjmp p_shared + 5");
FUNCTION(p_jumps_far,
         "mov $1, %eax\n\tnopl 0x1000(%rax)\n\t.byte 0xe9\n\t.long p_shared + 5 - (. + 4)");
FUNCTION(p_jumped_into, "mov $1, %eax\n\tpush %rbx\n\tadd %rdi, %rax\n\tpop %rbx\n\tret");
FUNCTION(p_takes_address, "mov $1, %eax\n\tlea p_jumped_into + 5(%rip), %rdx\n\tjmp *%rdx");
FUNCTION(p_recurses, "mov $1, %eax\n\ttest %rdi, %rdi\n\tjle 1f\n\tpush %rbx\n\tdec %rdi\n\t"
                     "call p_recurses\n\tinc %rax\n\tpop %rbx\n1:\tret");
FUNCTION(p_tail, "lea 1(%rdi), %rax\n\tjmp p_only_returns");
FUNCTION(p_only_returns, "ret");
FUNCTION(p_moves_stack, "sub $8, %rsp\n\tlea 1(%rdi), %rax\n\tadd $8, %rsp\n\tret");
FUNCTION(p_nop5, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\tmov %rdi, -8(%rsp)\n\tmov $1, %eax\n\t"
                 "add -8(%rsp), %rax\n\tret");
FUNCTION(p_nop5_behind,
         "mov %rdi, -8(%rsp)\n\t.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\tmov $1, %eax\n\t"
         "add -8(%rsp), %rax\n\tret");

static const struct {
    const char *name;
    long (*function)(long);
    long least;
} all[] = {
    {"p_endbr64", p_endbr64, 0},
    {"p_early_exit", p_early_exit, 0},
    {"p_writes_argument", p_writes_argument, 0},
    {"p_loop_at_start", p_loop_at_start, 1},
    {"p_loop_to_place", p_loop_to_place, 1},
    {"p_loop_behind", p_loop_behind, 1},
    {"p_shared", p_shared, 0},
    {"p_jumps_near", p_jumps_near, 0},
    {"p_jumps_far", p_jumps_far, 0},
    {"p_jumped_into", p_jumped_into, 0},
    {"p_takes_address", p_takes_address, 0},
    {"p_recurses", p_recurses, 0},
    {"p_tail", p_tail, 0},
    {"p_moves_stack", p_moves_stack, 0},
    {"p_nop5", p_nop5, 0},
    {"p_nop5_behind", p_nop5_behind, 0},
};

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long calls = option_number("calls", 1000);
    long wrong = 0, levels = 0;
    truth_pause("ready");
    for (long i = 0; i < calls; i++) {
        long argument = i % 8;
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
            long given = argument < all[k].least ? all[k].least : argument;
            wrong += all[k].function(given) != given + 1;
        }
        levels += argument + 1;
    }
    truth_tell("{\"calls\":%ld,\"recursive_calls\":%ld,\"wrong\":%ld}", calls, levels, wrong);
    truth_pause("done");
    return 0;
}
