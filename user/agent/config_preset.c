/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_preset.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "agent/config_alert.h"
#include "agent/config_file.h"
#include "agent/config_target.h"
#include "probe/nearest_names.h"

#define SYSTEM_FOLDER "/etc/loris/presets"
#define SUFFIX        ".yaml"
#define NAMES_MAX     1024 /* of one folder; the rest can be used, and is not listed */
#define NAME_EXPECTED "letters, digits, - and _, at most 63 of them, for example postgres-client"

/* --- where they lie --------------------------------------------------------------------------- */

struct folders {
    char paths[4][PATH_MAX];
    size_t count;
};

static void _printf_(2, 3) add_folder(struct folders *folders, const char *format, ...)
{
    char *path = folders->paths[folders->count];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(path, PATH_MAX, format, args);
    va_end(args);
    folders->count += length > 0 && length < PATH_MAX;
}

/* Relative to the program, and not to where it was meant to be installed: a copy below DESTDIR has
 * the presets that belong to it. */
static void add_program_folder(struct folders *folders)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0)
        return;
    self[length] = '\0';
    for (unsigned up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
    const char *last = strrchr(self, '/');
    if (last && strcmp(last, "/build") == 0) /* build/VARIANT/lorisd of a source tree */
        add_folder(folders, "%.*s/packaging/presets", (int)(last - self), self);
    else
        add_folder(folders, "%s/share/loris/presets", self);
}

static void find_folders(const struct config *asker, struct folders *ret_folders)
{
    ret_folders->count = 0;
    if (asker->files_count > 0) {
        const char *path = asker->files[0], *slash = strrchr(path, '/');
        add_folder(ret_folders, "%.*spresets", slash ? (int)(slash - path) + 1 : 0, path);
    }
    add_folder(ret_folders, SYSTEM_FOLDER);
    add_program_folder(ret_folders);
}

/* --- names ------------------------------------------------------------------------------------ */

/* A name is part of a path: nothing that leads elsewhere. */
static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t length = strlen(name);
    return length > 0 && length < CONFIG_PRESET_BYTES && name[0] != '-' &&
           strspn(name, allowed) == length;
}

/* False: it is not the name of a preset's file. */
static bool name_of_entry(const char *entry, char ret_name[CONFIG_PRESET_BYTES])
{
    size_t length = strlen(entry);
    if (length <= strlen(SUFFIX) || length >= CONFIG_PRESET_BYTES + strlen(SUFFIX) ||
        strcmp(entry + length - strlen(SUFFIX), SUFFIX) != 0)
        return false;
    memcpy(ret_name, entry, length - strlen(SUFFIX));
    ret_name[length - strlen(SUFFIX)] = '\0';
    return is_name(ret_name);
}

static int add_names_of(const char *path, struct config_preset_names *names)
{
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    int r = 0;
    size_t most = names->count + NAMES_MAX;
    for (const struct dirent *entry; r == 0 && (entry = readdir(folder));) {
        char name[CONFIG_PRESET_BYTES];
        if (names->count == most || !name_of_entry(entry->d_name, name))
            continue;
        void *grown = reallocarray(names->names, names->count + 1, sizeof(names->names[0]));
        if (!grown) {
            r = -ENOMEM;
            continue;
        }
        names->names = grown;
        memcpy(names->names[names->count++], name, sizeof(name));
    }
    closedir(folder);
    return r;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(left, right);
}

int config_preset_names_find(const struct config *asker, struct config_preset_names *ret_names)
{
    _cleanup_(config_preset_names_done) struct config_preset_names all = {0};
    struct folders folders;
    find_folders(asker, &folders);
    for (size_t i = 0; i < folders.count; i++) {
        int r = add_names_of(folders.paths[i], &all);
        if (r < 0)
            return r;
    }
    if (all.count > 0)
        qsort(all.names, all.count, sizeof(all.names[0]), by_name);
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (kept == 0 || strcmp(all.names[kept - 1], all.names[i]) != 0)
            memmove(all.names[kept++], all.names[i], sizeof(all.names[0]));
    *ret_names = (struct config_preset_names){take_ptr(all.names), kept};
    return 0;
}

void config_preset_names_done(struct config_preset_names *names)
{
    free(names->names);
    *names = (struct config_preset_names){0};
}

static void hint_names(const struct config *asker, const char *wanted, struct diag *diag)
{
    _cleanup_(config_preset_names_done) struct config_preset_names known = {0};
    struct nearest_names nearest;
    nearest_names_init(&nearest, wanted);
    (void)!config_preset_names_find(asker, &known);
    for (size_t i = 0; i < known.count; i++)
        nearest_names_offer(&nearest, known.names[i]);
    if (!nearest_names_hint(&nearest, diag))
        diag_hint(diag,
                  "loris list 'preset:*' shows what there is; your own go into " SYSTEM_FOLDER);
}

/* --- one file --------------------------------------------------------------------------------- */

struct preset_keys {
    char description[CONFIG_PRESET_DESCRIPTION_BYTES];
    struct config *config;
};

static int read_alerts(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    const struct preset_keys *keys = into;
    return config_alert_read_list(reader, node, keys->config);
}

static const struct config_key preset_keys[] = {
    {"description", CONFIG_VALUE_TEXT, .offset = offsetof(struct preset_keys, description),
     .max = CONFIG_PRESET_DESCRIPTION_BYTES, .expected = "one line of at most 199 bytes"},
    {"targets", CONFIG_VALUE_CUSTOM, .read = config_target_read_list},
    {"alerts", CONFIG_VALUE_CUSTOM, .read = read_alerts},
    {.name = NULL},
};

/* The first folder that has it. -ENOENT, without a diag: none. */
static int find_file(struct config *into, const struct config *asker, const char *name,
                     struct config_yaml **ret_yaml, struct diag *reterr_diag)
{
    struct folders folders;
    find_folders(asker, &folders);
    for (size_t i = 0; i < folders.count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s" SUFFIX, folders.paths[i], name) < 0)
            path = NULL;
        int r = path ? config_file_parse(path, ret_yaml, reterr_diag) : 0;
        if (r == 0)
            return config_add_file(into, path) == 0
                       ? 0
                       : diag_set(reterr_diag, ENOMEM, "not enough memory to read preset %s", name);
        free(path);
        if (r != -ENOENT)
            return r;
    }
    return -ENOENT;
}

static int read_preset(struct config *into, const struct config *asker, const char *name,
                       char ret_description[CONFIG_PRESET_DESCRIPTION_BYTES],
                       struct diag *reterr_diag)
{
    _cleanup_(config_yaml_free_cleanup) struct config_yaml *yaml = NULL;
    int r = find_file(into, asker, name, &yaml, reterr_diag);
    if (r < 0)
        return r;
    uint32_t file = (uint32_t)into->files_count - 1;
    if (!yaml->root || config_yaml_is_null(yaml->root)) {
        r = config_yaml_error(reterr_diag, into->files[file], (struct config_yaml_place){1, 1},
                              "the preset is empty");
        diag_hint(reterr_diag, "expected description: and targets:");
        return r;
    }
    struct config_target_origin origin = {.config = into, .file = file, .preset = true};
    struct config_reader reader = {into->files[file], reterr_diag, &origin};
    struct preset_keys keys = {.config = into};
    r = config_value_read_mapping(&reader, yaml->root, preset_keys, &keys);
    if (r == 0 && ret_description)
        memcpy(ret_description, keys.description, sizeof(keys.description));
    return r;
}

int config_preset_load(const struct config *asker, const char *name, struct config_preset *ret,
                       struct diag *reterr_diag)
{
    _cleanup_(config_preset_done) struct config_preset preset = {0};
    if (!is_name(name)) {
        int r = diag_set(reterr_diag, EINVAL, "\"%.80s\" is not the name of a preset", name);
        diag_hint(reterr_diag, "expected " NAME_EXPECTED);
        return r;
    }
    if (config_default(&preset.content) < 0)
        return diag_set(reterr_diag, ENOMEM, "not enough memory to read preset %s", name);
    int r = read_preset(preset.content, asker, name, preset.description, reterr_diag);
    if (r == -ENOENT) {
        diag_set(reterr_diag, ENOENT, "there is no preset %s", name);
        hint_names(asker, name, reterr_diag);
    }
    if (r < 0)
        return r;
    *ret = preset;
    preset.content = NULL;
    return 0;
}

void config_preset_done(struct config_preset *preset)
{
    config_free(preset->content);
    preset->content = NULL;
}

/* --- what files ask for ----------------------------------------------------------------------- */

static int read_use(struct config_reader *reader, const struct config_yaml_node *node,
                    struct config *config)
{
    const struct config_target_origin *origin = reader->context;
    const char *name = NULL;
    int r = config_value_scalar(reader, node, NAME_EXPECTED, &name);
    if (r < 0)
        return r;
    if (!is_name(name))
        return config_value_error(reader, node, "is not the name of a preset", NAME_EXPECTED);
    for (size_t i = 0; i < config->presets_count; i++)
        if (strcmp(config->presets[i].name, name) == 0)
            return 0; /* two files may want the same */
    if (config->presets_count == CONFIG_PRESETS_MAX)
        return config_value_error(reader, node, "is one preset too many", "at most 64 presets");
    struct config_preset_use *grown =
        reallocarray(config->presets, config->presets_count + 1, sizeof(*grown));
    if (!grown)
        return diag_set(reader->diag, ENOMEM, "not enough memory for preset %s", name);
    config->presets = grown;
    struct config_preset_use *use = &grown[config->presets_count++];
    *use = (struct config_preset_use){
        .file = origin->file, .line = node->place.line, .column = node->place.column};
    strcpy(use->name, name);
    return 0;
}

int config_preset_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                            void *into)
{
    if (node->kind != CONFIG_YAML_LIST)
        return config_value_error(reader, node, "is not a list",
                                  "a list of presets such as [postgres-client, tls]; or [] for "
                                  "none");
    int r = 0;
    for (const struct config_yaml_node *item = node->first_child; item && r == 0; item = item->next)
        r = read_use(reader, item, into);
    return r;
}

/* The preset may lie where nobody looks at once: who asked for it comes first. */
static void hint_use(const struct config *config, const struct config_preset_use *use,
                     struct diag *diag)
{
    struct diag before = *diag;
    diag_hint(diag, "preset %s is asked for in %.160s:%u:%u%s%s", use->name,
              config->files[use->file], use->line, use->column, before.hint[0] ? "; " : "",
              before.hint);
}

int config_preset_apply(struct config *config, struct diag *reterr_diag)
{
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct config_preset_use *use = &config->presets[i];
        struct diag why = {0};
        int r = read_preset(config, config, use->name, NULL, &why);
        if (r == -ENOENT) {
            r = config_yaml_error(&why, config->files[use->file],
                                  (struct config_yaml_place){use->line, use->column},
                                  "there is no preset %s", use->name);
            hint_names(config, use->name, &why);
        } else if (r < 0) {
            hint_use(config, use, &why);
        }
        if (r < 0) {
            if (reterr_diag)
                *reterr_diag = why;
            return r;
        }
    }
    return 0;
}
