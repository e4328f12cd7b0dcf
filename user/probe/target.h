/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target specifications as people write them, such as user:libc.so.6:malloc or kernel:tcp_*. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

enum target_kind {
    TARGET_KERNEL,  /* kernel:NAME */
    TARGET_USER,    /* user:OBJECT:NAME */
    TARGET_USDT,    /* usdt:OBJECT:PROVIDER:BEGIN..END */
    TARGET_SYSCALL, /* syscall:NAME */
    TARGET_SPAN,    /* span:NAME */
    TARGET_HEAP,    /* heap:OBJECT; no latencies */
    TARGET_KMEM,    /* kmem:slab, kmem:pages; the same */
};

#define TARGET_TEXT_MAX 512

/* A parsed specification; pure value. Unused parts are empty strings. */
struct target {
    enum target_kind kind;
    char text[TARGET_TEXT_MAX];     /* as given */
    char object[TARGET_TEXT_MAX];   /* path, soname, or empty when pid is set */
    int32_t object_pid;             /* of user:pid:N:NAME and heap:pid:N, else 0 */
    char provider[TARGET_TEXT_MAX]; /* usdt */
    char name[TARGET_TEXT_MAX];     /* glob allowed; usdt: the begin mark */
    char end_name[TARGET_TEXT_MAX]; /* usdt: the end mark */
};

/* -EINVAL with what was wrong and an example of the right form. A bare word or missing kind gets a
 * hint with the likely kind. Control characters are refused. */
int target_parse(const char *text, struct target *ret_target,
                 struct diag *reterr_diag) _must_check_;
/* Whether calls of such targets have a latency: they are probes. */
static inline bool target_is_timed(enum target_kind kind)
{
    return kind != TARGET_HEAP && kind != TARGET_KMEM;
}
const char *target_kind_name(enum target_kind kind); /* "kernel", "user", ... */
