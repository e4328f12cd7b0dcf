/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/own_code.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int own_code_offset(uintptr_t address, uint64_t *ret_offset)
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return -errno;
    char line[512];
    while (fgets(line, sizeof(line), maps)) {
        uint64_t from, to, offset;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &from, &to, &offset) == 3 &&
            address >= from && address < to) {
            *ret_offset = address - from + offset;
            return 0;
        }
    }
    return -ENOENT;
}
