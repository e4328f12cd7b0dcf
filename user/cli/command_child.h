/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The COMMAND of loris watch: held before its first instruction, released, waited for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct command_child;

/* Forks; the child waits and has not executed anything of arguments. */
int command_child_hold(char *const *arguments, struct command_child **ret_child,
                       struct diag *reterr_diag) _must_check_;
/* Lets it go; -errno of its exec. */
int command_child_release(struct command_child *child, uint64_t now_ns,
                          struct diag *reterr_diag) _must_check_;
/* A child that still waits ends; one that runs is left alone. */
void command_child_free(struct command_child *child);
DEFINE_CLEANUP(struct command_child *, command_child_free);

pid_t command_child_pid(const struct command_child *child);
int command_child_fd(const struct command_child *child); /* readable when it has ended */
void command_child_signal(const struct command_child *child, int number);
/* Waits for its end and says it on stderr: "NAME exited with status 0 after 3.2 s". */
void command_child_report(struct command_child *child, uint64_t now_ns);
