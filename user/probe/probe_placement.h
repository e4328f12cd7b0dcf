/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the instruction of a function on which an entry probe costs least. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/object_file.h"

/*
 * The kernel emulates some instructions (one trap) and single-steps all others in a slot of their
 * own (two traps and more, up to twenty times the cost). Where a function does not begin with one
 * that is emulated, the probe may go to the first such within the next few, if what it sees there
 * is what it would have seen at the entry, once for each call:
 *
 *  - Nothing between is a jump, call, return or anything but a plain move or computation, so that
 *    every call that enters comes by.
 *  - Nothing between writes rsp or, with keeps_arguments, an argument register (rdi rsi rdx rcx r8
 *    r9), nor memory at an address made of rsp, nor copies rsp: the return address stays on top of
 *    the stack and the caller's. No pointer that a function is given leads to its own.
 *  - Nothing leads behind the entry: no jump, call, jump table, symbol, relocation or address taken
 *    anywhere in the object (code_entries.h), no short jump in the neighbourhood. A handler of an
 *    exception cannot lie there: it follows a call, and begins with a frame on the stack.
 *
 * What is skipped, mostly a few ns, is not measured; a page fault there is not either. In doubt the
 * probe stays at the entry.
 *
 * A five-byte nop may be overwritten with a call, which spoils what lies below rsp. At the entry
 * nothing can be kept there: the caller's own call wrote there as well. Behind anything else
 * than endbr64 it is passed over, although nothing that writes below rsp is ever skipped.
 */
#define PLACEMENT_SKIPPED_MAX      5
#define PLACEMENT_INSTRUCTION_SIZE 40
#define PLACEMENT_REASON_SIZE      80

struct placement_options {
    bool keeps_arguments; /* the probe reads the function's arguments */
    /* HAZARD_NOP5_RED_ZONE: such kernels (6.18) also emulate all nops of up to eight bytes; before,
     * they are single-stepped. Asked when there is such a nop, because finding out takes 30 ms;
     * NULL: no. */
    bool (*nop5_becomes_call)(void *context);
    void *context;
};

enum placement_obstacle {
    PLACEMENT_FREE,        /* nothing: the place is emulated */
    PLACEMENT_NONE_CHEAP,  /* none of the first instructions is emulated */
    PLACEMENT_MOVES_STACK, /* obstacle_at: which instruction, from here on */
    PLACEMENT_WRITES_ARGUMENT,
    PLACEMENT_USES_STACK,
    PLACEMENT_LEAVES,
    PLACEMENT_NOT_PLAIN,
    PLACEMENT_NOT_DECODED,
    PLACEMENT_IS_ENTERED, /* obstacle_at: where something leads to */
    PLACEMENT_ENTRIES_UNKNOWN,
    PLACEMENT_SIZE_UNKNOWN,
    PLACEMENT_NO_DECODER,
};

struct placement {
    uint8_t offset_bytes; /* past the entry */
    bool is_emulated;
    bool is_cheap_at_entry;
    uint8_t obstacle;    /* enum placement_obstacle; for a place that is not emulated */
    uint8_t obstacle_at; /* bytes past the entry */
    char instruction[PLACEMENT_INSTRUCTION_SIZE]; /* printable ASCII; "" when it is not known */
};

struct probe_placement;

/* Chooses for functions of one object, which must outlive it. What takes long is done when the
 * first function asks for it: capstone is loaded when something else than endbr64 has to be skipped
 * (without it nothing else is), the object is searched when some function could be moved. */
int probe_placement_new(const struct object_file *object, const struct placement_options *options,
                        struct probe_placement **ret_chooser) _must_check_;
void probe_placement_free(struct probe_placement *chooser);
DEFINE_CLEANUP(struct probe_placement *, probe_placement_free);

/* Always finds a place: the entry, where nothing better is sure. -ENOMEM. */
int probe_placement_choose(struct probe_placement *chooser, const struct object_function *function,
                           struct placement *ret_placement) _must_check_;
/* Why the place is not emulated, in words; "" when it is. */
void probe_placement_reason(const struct placement *placement,
                            char ret_reason[PLACEMENT_REASON_SIZE]);
