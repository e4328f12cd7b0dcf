/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private code, empty functions, whose probes no other process can meet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* How the kernel gets over a probed instruction; that decides what a probe costs there. */
enum calibration_place {
    CALIBRATION_PUSH,      /* emulated, with a store to the user's stack */
    CALIBRATION_NOP,       /* emulated: a nop, a near jump */
    CALIBRATION_NOP5,      /* a five-byte nop, which kernels since 6.18 turn into a call */
    CALIBRATION_STEPPED,   /* everything else is single-stepped */
    CALIBRATION_MARK,      /* static marks on nops */
    CALIBRATION_MARK_NOP5, /* on five-byte nops */
    CALIBRATION_PLACES,
    CALIBRATION_PLACE_ANY =
        0, /* where there is nothing to choose: system calls, kernel functions */
};

const char *calibration_place_name(enum calibration_place place);
/* The place of a function that is probed at these bytes. What a kernel may or may not emulate
 * counts as emulated: too small a bias is honest, too large a one is not. */
enum calibration_place calibration_place_of(const uint8_t *code, size_t bytes);

/* One empty function. A place has several, because kernels differ in what they
 * emulate. */
struct calibration_function {
    uint64_t entry; /* file offsets */
    uint64_t mark;  /* a nop after the first instruction */
    uint64_t exit;  /* the return instruction */
    void (*probed)(void);
    void (*bare)(void); /* a twin that is never probed */
};

#define CALIBRATION_FUNCTIONS_MAX 3 /* of one place */
#define CALIBRATION_COPIES        4 /* of all functions, so that no two ways to probe them meet */

struct calibration_code {
    int fd;
    char path[32];  /* opens it */
    uint8_t *pages; /* one for each copy */
};

/* -EACCES, -EPERM and others where a policy forbids such code. */
int calibration_code_init(struct calibration_code *ret_code, struct diag *reterr_diag) _must_check_;
/* The links may be closed later: they hold the file. */
void calibration_code_done(struct calibration_code *code);

/* Fills the functions of a place in one of the copies and returns how many there are. */
size_t calibration_code_functions(const struct calibration_code *code, unsigned copy,
                                  enum calibration_place place,
                                  struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX]);
