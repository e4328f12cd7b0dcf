/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same tests of the form that the BPF side compiles. */
#define __bpf__ 1
#include "bucket_layout_test.c"
