/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel_symbols.h"

#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "probe/clone_names.h"
#include "probe/kernel_functions.h"

#define MODULE_BTF_MAX  1024
#define LINE_BYTES_MAX  1024
#define MODULE_BTF_ROOT "/sys/kernel/btf"

void kernel_names_done(struct kernel_names *names)
{
    free(names->bytes);
    free(names->offsets);
    *names = (struct kernel_names){0};
}

int kernel_names_add(struct kernel_names *names, const char *name, size_t length)
{
    if (names->count == KERNEL_NAMES_MAX || length >= KERNEL_NAME_BYTES_MAX)
        return 0;
    if (names->capacity - names->length <= length) {
        const size_t capacity = names->capacity ? 2 * names->capacity : 1 << 16;
        char *const bytes = realloc(names->bytes, capacity);
        if (!bytes)
            return -ENOMEM;
        names->bytes = bytes;
        names->capacity = capacity;
    }
    if (names->count == names->offset_capacity) {
        const size_t capacity = names->offset_capacity ? 2 * names->offset_capacity : 4096;
        uint32_t *const offsets = reallocarray(names->offsets, capacity, sizeof(*offsets));
        if (!offsets)
            return -ENOMEM;
        names->offsets = offsets;
        names->offset_capacity = capacity;
    }
    names->offsets[names->count++] = (uint32_t)names->length;
    memcpy(names->bytes + names->length, name, length);
    names->bytes[names->length + length] = '\0';
    names->length += length + 1;
    return 0;
}

const char *kernel_names_at(const struct kernel_names *names, size_t index)
{
    return names->bytes + names->offsets[index];
}

static int compare_offsets(const void *left, const void *right, void *context)
{
    const char *const bytes = context;
    return strcmp(bytes + *(const uint32_t *)left, bytes + *(const uint32_t *)right);
}

void kernel_names_sort(struct kernel_names *names)
{
    if (!names->count)
        return;
    qsort_r(names->offsets, names->count, sizeof(*names->offsets), compare_offsets, names->bytes);
    size_t kept = 1;
    for (size_t i = 1; i < names->count; i++)
        if (strcmp(kernel_names_at(names, i), kernel_names_at(names, kept - 1)) != 0)
            names->offsets[kept++] = names->offsets[i];
    names->count = kept;
}

bool kernel_names_find(const struct kernel_names *names, const char *name)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, kernel_names_at(names, middle));
        if (!order)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static int add_checked(struct kernel_names *accepted, struct kernel_names *denied, const char *name)
{
    struct kernel_names *const to = kernel_function_denied(name) ? denied : accepted;
    return kernel_names_add(to, name, strlen(name));
}

/* What stands for code that is gone, is generated or is data among the text. */
static bool is_function_name(const char *name)
{
    static const char *const not_functions[] = {
        "__ftrace_invalid_address", "__cfi_", "__pfx_", "__SCT__", "__UNIQUE_ID", ".L", "$"};
    for (size_t i = 0; i < sizeof(not_functions) / sizeof(not_functions[0]); i++)
        if (!strncmp(name, not_functions[i], strlen(not_functions[i])))
            return false;
    bool is_cold;
    clone_base_length(name, &is_cold);
    return *name && !is_cold;
}

int kernel_names_read_filter_functions(const char *path, struct kernel_names *accepted,
                                       struct kernel_names *denied)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char line[LINE_BYTES_MAX];
    errno = 0;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, " \t\n")] = '\0'; /* the module in brackets goes */
        if (is_function_name(line) && add_checked(accepted, denied, line) < 0)
            return -ENOMEM;
    }
    return ferror(file) ? -(errno ? errno : EIO) : 0;
}

int kernel_names_read_kallsyms(const char *path, const struct kernel_names *btf,
                               struct kernel_names *accepted, struct kernel_names *denied)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char line[LINE_BYTES_MAX], name[KERNEL_NAME_BYTES_MAX], base[KERNEL_NAME_BYTES_MAX], type;
    bool is_freed = false; /* in the text that is freed after boot; symbols come by address */
    errno = 0;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*s %c %511s", &type, name) != 2)
            continue;
        if (!strcmp(name, "_sinittext") || !strcmp(name, "_einittext"))
            is_freed = name[1] == 's';
        if (is_freed || !strchr("tTwW", type) || !is_function_name(name) ||
            !clone_base_name(name, base, sizeof(base)) || !kernel_names_find(btf, base))
            continue;
        if (add_checked(accepted, denied, name) < 0)
            return -ENOMEM;
    }
    return ferror(file) ? -(errno ? errno : EIO) : 0;
}

static int add_btf_functions(const struct btf *btf, uint32_t first_id, struct kernel_names *names)
{
    const uint32_t end = btf__type_cnt(btf);
    for (uint32_t id = first_id; id < end; id++) {
        const struct btf_type *const type = btf__type_by_id(btf, id);
        if (!type || !btf_is_func(type))
            continue;
        const char *const name = btf__name_by_offset(btf, type->name_off);
        if (name && kernel_names_add(names, name, strlen(name)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_module_functions(struct btf *kernel, struct kernel_names *names)
{
    DIR *const directory = opendir(MODULE_BTF_ROOT);
    if (!directory)
        return 0;
    int r = 0;
    unsigned modules = 0;
    for (const struct dirent *entry;
         r >= 0 && modules < MODULE_BTF_MAX && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "vmlinux"))
            continue;
        modules++;
        struct btf *const module = btf__load_module_btf(entry->d_name, kernel);
        if (!module)
            continue; /* unloaded meanwhile, or not ours to read: its functions stay unknown */
        r = add_btf_functions(module, btf__type_cnt(kernel), names);
        btf__free(module);
    }
    closedir(directory);
    return r;
}

int kernel_names_read_btf(const char *path, struct kernel_names *names)
{
    struct btf *const btf = path ? btf__parse(path, NULL) : btf__load_vmlinux_btf();
    if (!btf)
        return errno ? -errno : -ENOENT;
    int r = add_btf_functions(btf, 1, names);
    if (r >= 0 && !path)
        r = add_module_functions(btf, names);
    btf__free(btf);
    if (r >= 0)
        kernel_names_sort(names);
    return r;
}
