/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the exit status of loris means. */
#pragma once

enum exit_code {
    EXIT_CODE_FINE = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_UNREACHABLE = 3,   /* no agent answers */
    EXIT_CODE_NOT_PERMITTED = 4, /* needs root, or membership in the group loris */
};
