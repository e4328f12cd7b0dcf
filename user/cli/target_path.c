/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/target_path.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

/* Where the object begins, NULL for kinds without one. */
static const char *find_object(const char *target)
{
    static const char *const kinds[] = {"user:", "usdt:", "heap:"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(target, kinds[i], strlen(kinds[i])) == 0)
            return target + strlen(kinds[i]);
    return NULL;
}

/* Folders are resolved, the last name is not: a link keeps the name it was asked for by. */
static int make_absolute(const char *path, size_t length, struct text *out)
{
    char folder[PATH_MAX], resolved[PATH_MAX];
    if (length >= sizeof(folder))
        return -ENAMETOOLONG;
    memcpy(folder, path, length);
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    const char *name = path + (slash - folder) + 1;
    *slash = '\0';
    if (!realpath(folder[0] ? folder : "/", resolved))
        return -errno;
    text_append_string(out, resolved);
    if (strcmp(resolved, "/") != 0)
        text_append(out, "/", 1);
    text_append(out, name, length - (size_t)(name - path));
    return 0;
}

int target_path_resolve(const char *target, char **ret_target, struct diag *reterr_diag)
{
    const char *object = find_object(target);
    size_t length = object ? strcspn(object, ":") : 0;
    bool is_relative =
        object && length > 0 && object[0] != '/' && memchr(object, '/', length) != NULL;
    _cleanup_text_ struct text out = {0};
    if (is_relative) {
        text_append(&out, target, (size_t)(object - target));
        int r = make_absolute(object, length, &out);
        if (r < 0)
            return diag_set(reterr_diag, -r, "cannot find %.*s, named in %s: %s", (int)length,
                            object, target, strerror(-r));
        text_append_string(&out, object + length);
    } else {
        text_append_string(&out, target);
    }
    char *resolved = out.failed ? NULL : strdup(out.bytes ? out.bytes : "");
    if (!resolved)
        return diag_set(reterr_diag, ENOMEM, "no memory for the target %s", target);
    *ret_target = resolved;
    return 0;
}
