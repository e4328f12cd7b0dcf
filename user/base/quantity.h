/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quantities, as people read and write them: numbers with units, independent of the locale. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"

/* Checked parsing; the whole string must be used. -EINVAL (form), -ERANGE (value). */
int parse_u64(const char *string, uint64_t *ret_value) _must_check_;
/* "250ms", "10s", "1.5m", "2h"; units ns us ms s m h d; a bare number is refused; what is finer
 * than 1 ns is cut off. */
int parse_duration_ns(const char *string, uint64_t *ret_ns) _must_check_;
/* "64MiB", "100MB", "4096"; units B kB KiB MB MiB GB GiB. */
int parse_bytes(const char *string, uint64_t *ret_bytes) _must_check_;

/* "1.23 ms", "87 ns", "12.3 s"; units ns us ms s m h d; at most 8 characters. */
void format_duration(uint64_t ns, char out[16]);
/* "1.2 MiB" */
void format_bytes(uint64_t bytes, char out[16]);
/* "12.3 k", "2.10 M", "87", "0.25"; at most 7 characters; "-" unless finite and not negative. */
void format_count(double count, char out[16]);

/* Makes the decimal point of a printf'ed number a '.': LC_NUMERIC may have another one, even of
 * several bytes. In place. */
void quantity_force_decimal_point(char *number);
