/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions of one shape that begin in three ways; every contender gets a copy of its own. */

/* bench_target finds them by name here: name, address. */
    .macro listed name
    .pushsection .rodata
8:
    .asciz "\name"
    .popsection
    .pushsection bench_functions, "aw"
    .balign 8
    .quad 8b, \name
    .popsection
    .endm

    .macro body name
    push %rbx
    mov %rdi, %rbx
    lea 1(%rbx), %rax
    pop %rbx
    ret
    .size \name, . - \name
    listed \name
    .endm

    .macro start name
    .balign 16
    .globl \name
    .type \name, @function
\name:
    .endm

    .text

    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f
    start push_\number
    body push_\number

    start endbr64_\number
    endbr64
    body endbr64_\number

    start nop5_\number
    .byte 0x0f, 0x1f, 0x44, 0x00, 0x00
    body nop5_\number
    .endr

/* grow_0000 to grow_1999: how costs grow with the number of probes. */
    .irp thousands, 0, 1
    .irp hundreds, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
    .irp tens, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
    .irp ones, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
    start grow_\thousands\hundreds\tens\ones
    body grow_\thousands\hundreds\tens\ones
    .endr
    .endr
    .endr
    .endr

    .section .note.GNU-stack, "", @progbits
