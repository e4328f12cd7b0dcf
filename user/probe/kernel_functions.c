/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel_functions.h"

#include <errno.h>
#include <string.h>

#include "base/glob.h"
#include "probe/clone_names.h"
#include "probe/kernel_symbols.h"
#include "probe/nearest_names.h"

struct kernel_functions {
    struct kernel_names accepted;
    struct kernel_names denied;
};

static const struct kernel_function_sources running_kernel = {
    .filter_functions = {"/sys/kernel/tracing/available_filter_functions",
                         "/sys/kernel/debug/tracing/available_filter_functions"},
    .kallsyms = "/proc/kallsyms",
};

static void forget(struct kernel_functions *functions)
{
    kernel_names_done(&functions->accepted);
    kernel_names_done(&functions->denied);
}

/* 0 only with at least one name. */
static int read_filter_functions(const struct kernel_function_sources *sources,
                                 struct kernel_functions *functions)
{
    int worst = -ENOENT;
    const size_t max = sizeof(sources->filter_functions) / sizeof(sources->filter_functions[0]);
    for (size_t i = 0; i < max && sources->filter_functions[i]; i++) {
        int r = kernel_names_read_filter_functions(sources->filter_functions[i],
                                                   &functions->accepted, &functions->denied);
        if (r >= 0 && functions->accepted.count)
            return 0;
        forget(functions);
        if (r == -ENOMEM)
            return r;
        if (r < 0 && r != -ENOENT)
            worst = r;
    }
    return worst;
}

static int read_symbols(const struct kernel_function_sources *sources,
                        struct kernel_functions *functions)
{
    _cleanup_(kernel_names_done) struct kernel_names btf = {0};
    int r = kernel_names_read_btf(sources->btf, &btf);
    if (r < 0)
        return r;
    r = kernel_names_read_kallsyms(sources->kallsyms, &btf, &functions->accepted,
                                   &functions->denied);
    if (r >= 0 && !functions->accepted.count)
        r = -ENOENT;
    return r;
}

int kernel_functions_open_from(const struct kernel_function_sources *sources,
                               struct kernel_functions **ret_functions, struct diag *reterr_diag)
{
    _cleanup_(kernel_functions_free_cleanup) struct kernel_functions *functions =
        calloc(1, sizeof(*functions));
    const int filtered = functions ? read_filter_functions(sources, functions) : -ENOMEM;
    int r = filtered;
    if (filtered < 0 && filtered != -ENOMEM)
        r = read_symbols(sources, functions);
    if (r == -ENOMEM)
        return diag_set(reterr_diag, ENOMEM, "no memory for the names of kernel functions");
    if (r < 0) {
        const bool forbidden =
            filtered == -EPERM || filtered == -EACCES || r == -EPERM || r == -EACCES;
        diag_set(reterr_diag, forbidden ? EPERM : ENOENT,
                 "this kernel does not show its functions: available_filter_functions: %s; "
                 "symbols with BTF: %s",
                 strerror(-filtered), strerror(-r));
        diag_hint(reterr_diag, forbidden
                                   ? "run as root; a locked-down kernel refuses it to root too"
                                   : "mount -t tracefs nodev /sys/kernel/tracing");
        return forbidden ? -EPERM : -ENOENT;
    }
    kernel_names_sort(&functions->accepted);
    kernel_names_sort(&functions->denied);
    *ret_functions = take_ptr(functions);
    return 0;
}

int kernel_functions_open(struct kernel_functions **ret_functions, struct diag *reterr_diag)
{
    return kernel_functions_open_from(&running_kernel, ret_functions, reterr_diag);
}

void kernel_functions_free(struct kernel_functions *functions)
{
    if (!functions)
        return;
    forget(functions);
    free(functions);
}

static size_t match_names(const struct kernel_names *names, const char *pattern, name_fn on_name,
                          void *context)
{
    size_t matches = 0;
    for (size_t i = 0; i < names->count; i++) {
        const char *const name = kernel_names_at(names, i);
        if (!clone_name_matches(pattern, name))
            continue;
        matches++;
        if (on_name)
            on_name(name, context);
    }
    return matches;
}

size_t kernel_functions_match(const struct kernel_functions *functions, const char *pattern,
                              name_fn on_name, void *context)
{
    return match_names(&functions->accepted, pattern, on_name, context);
}

size_t kernel_functions_match_denied(const struct kernel_functions *functions, const char *pattern,
                                     name_fn on_name, void *context)
{
    return match_names(&functions->denied, pattern, on_name, context);
}

void kernel_functions_suggest(const struct kernel_functions *functions, const char *name,
                              struct diag *diag)
{
    const char *const reason = glob_is(name) ? NULL : kernel_function_denied(name);
    if (reason) {
        diag_hint(diag, "loris never probes it: %s", reason);
        return;
    }
    struct nearest_names nearest;
    nearest_names_init(&nearest, name);
    for (size_t i = 0; i < functions->accepted.count; i++)
        nearest_names_offer(&nearest, kernel_names_at(&functions->accepted, i));
    nearest_names_hint(&nearest, diag);
}
