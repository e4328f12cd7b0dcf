/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of doctor.h, shared by doctor*.c only. */
#pragma once

#include <limits.h>
#include <linux/capability.h>

#include "agent/doctor.h"

typedef void (*doctor_check_fn)(const struct doctor_machine *machine,
                                struct doctor_finding *finding);

struct doctor_check {
    const char *name;
    doctor_check_fn look;
};

/* Each ends with a NULL name. */
extern const struct doctor_check doctor_kernel_checks[];
extern const struct doctor_check doctor_host_checks[];
extern const struct doctor_check doctor_rights_checks[];
extern const struct doctor_check doctor_attach_checks[];
extern const struct doctor_check doctor_hazard_checks[];
extern const struct doctor_check doctor_agent_checks[];

/* --- doctor.c: what a check says --- */
void doctor_found(struct doctor_finding *finding, enum doctor_result result, const char *format,
                  ...) _printf_(3, 4);
void doctor_means(struct doctor_finding *finding, const char *format, ...) _printf_(2, 3);
void doctor_remedy(struct doctor_finding *finding, const char *format, ...) _printf_(2, 3);
/* A file that could not be read. */
void doctor_unread(struct doctor_finding *finding, const char *path, int negative_errno);

/* --- doctor_files.c --- */
#define DOCTOR_FILE_MAX (1u << 20)
/* The whole of a regular file, less the newline at its end; the text is the caller's. -EINVAL: it
 * is none; -EFBIG: longer than DOCTOR_FILE_MAX. Never waits. */
int doctor_read(const struct doctor_machine *machine, const char *path,
                char **ret_text) _must_check_;
/* -EINVAL: it does not hold one number, and nothing else. */
int doctor_read_number(const struct doctor_machine *machine, const char *path,
                       uint64_t *ret_number) _must_check_;
/* -ENAMETOOLONG */
int doctor_path(const struct doctor_machine *machine, const char *path,
                char out[PATH_MAX]) _must_check_;
/* 0, or why it cannot be reached. */
int doctor_find_file(const struct doctor_machine *machine, const char *path);

/* --- doctor_rights.c --- */
/* Whether the one who looks has CAP_number; -errno when that cannot be seen. */
int doctor_has_capability(const struct doctor_machine *machine, unsigned number);
