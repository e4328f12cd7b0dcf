/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_target.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#include "base/glob.h"
#include "base/quantity.h"

#define PID_MAX_LIMIT 4194304 /* include/linux/threads.h, 64-bit */

#define TARGET_EXPECTED                                                                            \
    "a target such as syscall:openat, or a mapping with target: and how to watch it"
#define ERRORS_EXPECTED "never, negative, negative-int, zero, nonzero or errno"
#define ATTACH_EXPECTED                                                                            \
    "auto, fentry, kprobe, kprobe-multi, kprobe-session, uprobe, uprobe-multi, uprobe-session, "   \
    "uprobe-exits, raw-tracepoint or tracepoints"
#define SAMPLE_EXPECTED "1/N with a power of two from 1 to 1024, for example 1/128"
#define PIDS_EXPECTED   "a list of process ids, for example [1234, 5678]"

bool config_filter_is_empty(const struct config_filter *filter)
{
    return filter->pids_count == 0 && !filter->comm[0] && !filter->unit[0];
}

bool config_filter_equal(const struct config_filter *left, const struct config_filter *right)
{
    return left->pids_count == right->pids_count && left->follow == right->follow &&
           memcmp(left->pids, right->pids, left->pids_count * sizeof(left->pids[0])) == 0 &&
           strcmp(left->comm, right->comm) == 0 && strcmp(left->unit, right->unit) == 0;
}

bool config_target_equal(const struct config_target *left, const struct config_target *right)
{
    return strcmp(left->text, right->text) == 0 && left->has_error_rule == right->has_error_rule &&
           left->error_rule == right->error_rule && left->attach == right->attach &&
           left->sample_shift == right->sample_shift && left->force == right->force &&
           left->optional == right->optional && config_filter_equal(&left->filter, &right->filter);
}

const struct config_target *config_target_find(const struct config *config, const char *text)
{
    for (size_t i = 0; i < config->targets_count; i++)
        if (strcmp(config->targets[i].text, text) == 0)
            return &config->targets[i];
    return NULL;
}

/* Checks the specification itself; its own words about what is wrong, at our place. */
static int read_target_text(struct config_reader *reader, const struct config_yaml_node *node,
                            void *into)
{
    struct config_target *target = into;
    const char *text = NULL;
    int r = config_value_scalar(reader, node, TARGET_EXPECTED, &text);
    if (r < 0)
        return r;
    struct target parsed;
    struct diag why = {0};
    r = target_parse(text, &parsed, &why);
    if (r < 0) {
        r = config_yaml_error(reader->diag, reader->file, node->place, "%s",
                              why.what[0] ? why.what : "not a target");
        if (strncmp(text, "preset:", strlen("preset:")) == 0)
            diag_hint(reader->diag, "presets are asked for by a key of their own: presets: [%.64s]",
                      text + strlen("preset:"));
        else
            diag_hint(reader->diag, "%s", why.hint[0] ? why.hint : "expected " TARGET_EXPECTED);
        return r;
    }
    if (strlen(text) >= sizeof(target->text))
        return config_value_error(reader, node, "is too long", "at most 511 bytes");
    strcpy(target->text, text);
    return 0;
}

static int read_errors(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct config_target *target = into;
    const char *text = NULL;
    int r = config_value_scalar(reader, node, ERRORS_EXPECTED, &text);
    if (r < 0)
        return r;
    if (config_error_rule_parse(text, &target->error_rule) < 0)
        return config_value_error(reader, node, "is not an error rule", ERRORS_EXPECTED);
    target->has_error_rule = true;
    return 0;
}

static int read_attach(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct config_target *target = into;
    const char *text = NULL;
    int r = config_value_scalar(reader, node, ATTACH_EXPECTED, &text);
    if (r < 0)
        return r;
    if (attach_kind_parse(text, &target->attach) < 0)
        return config_value_error(reader, node, "is not a way to attach", ATTACH_EXPECTED);
    return 0;
}

static int read_sample(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct config_target *target = into;
    const char *text = NULL;
    int r = config_value_scalar(reader, node, SAMPLE_EXPECTED, &text);
    if (r < 0)
        return r;
    if (config_sample_parse(text, &target->sample_shift) < 0)
        return config_value_error(reader, node, "is no share of calls", SAMPLE_EXPECTED);
    return 0;
}

static int add_pid(struct config_reader *reader, const struct config_yaml_node *node,
                   struct config_filter *filter)
{
    const char *text = NULL, *expected = "a process id from 1 to 4194304";
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    uint64_t pid = 0;
    r = parse_u64(text, &pid);
    if (r < 0 || pid == 0 || pid > PID_MAX_LIMIT)
        return config_value_error(reader, node, "is not a process id", expected);
    if (filter->pids_count == CONFIG_FILTER_PIDS_MAX)
        return config_value_error(reader, node, "is one process too many",
                                  "at most 64 in one filter; use unit: or comm: for more");
    uint32_t at = filter->pids_count;
    for (; at > 0 && filter->pids[at - 1] >= (int32_t)pid; at--) {
        if (filter->pids[at - 1] == (int32_t)pid)
            return config_value_error(reader, node, "is listed twice", "every process once");
        filter->pids[at] = filter->pids[at - 1];
    }
    filter->pids[at] = (int32_t)pid;
    filter->pids_count++;
    return 0;
}

static int read_pids(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    if (node->kind != CONFIG_YAML_LIST)
        return config_value_error(reader, node, "is not a list", PIDS_EXPECTED);
    if (!node->first_child)
        return config_value_error(reader, node, "is empty", PIDS_EXPECTED);
    int r = 0;
    for (const struct config_yaml_node *item = node->first_child; item && r == 0; item = item->next)
        r = add_pid(reader, item, into);
    return r;
}

static const struct config_key filter_keys[] = {
    {"pids", CONFIG_VALUE_CUSTOM, .read = read_pids},
    {"comm", CONFIG_VALUE_TEXT, .offset = offsetof(struct config_filter, comm),
     .max = CONFIG_COMM_BYTES,
     .expected = "a command name of at most 15 bytes, for example redis-server"},
    {"unit", CONFIG_VALUE_TEXT, .offset = offsetof(struct config_filter, unit),
     .max = CONFIG_UNIT_BYTES,
     .expected = "a systemd unit such as redis-server.service, or a cgroup path"},
    {"follow", CONFIG_VALUE_BOOL, .offset = offsetof(struct config_filter, follow),
     .expected = "true or false"},
    {.name = NULL},
};

static int read_filter(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct config_target *target = into;
    int r = config_value_read_mapping(reader, node, filter_keys, &target->filter);
    if (r < 0)
        return r;
    if (config_filter_is_empty(&target->filter))
        return config_value_error(reader, node, "has no condition",
                                  "at least one of pids:, comm:, unit:");
    if (target->filter.follow && target->filter.pids_count == 0)
        return config_value_error(reader, node, "follows nothing",
                                  "pids: beside follow:, whose children are to be followed");
    return 0;
}

static const struct config_key target_keys[] = {
    {"target", CONFIG_VALUE_CUSTOM, .read = read_target_text},
    {"errors", CONFIG_VALUE_CUSTOM, .read = read_errors},
    {"attach", CONFIG_VALUE_CUSTOM, .read = read_attach},
    {"sample", CONFIG_VALUE_CUSTOM, .read = read_sample},
    {"force", CONFIG_VALUE_BOOL, .offset = offsetof(struct config_target, force),
     .expected = "true or false"},
    {"optional", CONFIG_VALUE_BOOL, .offset = offsetof(struct config_target, optional),
     .expected = "true or false"},
    {"filter", CONFIG_VALUE_CUSTOM, .read = read_filter},
    {.name = NULL},
};

/* The kernel side has room for so many filters; filter 0 is "everybody". */
static int check_filters(struct config_reader *reader, const struct config_yaml_node *node,
                         const struct config *config, const struct config_filter *added)
{
    if (config_filter_is_empty(added))
        return 0;
    unsigned different = 1;
    for (size_t i = 0; i < config->targets_count; i++) {
        const struct config_filter *filter = &config->targets[i].filter;
        if (config_filter_equal(filter, added))
            return 0;
        bool seen = config_filter_is_empty(filter);
        for (size_t j = 0; j < i && !seen; j++)
            seen = config_filter_equal(&config->targets[j].filter, filter);
        different += !seen;
    }
    if (different < LORIS_FILTERS_MAX)
        return 0;
    int r = config_yaml_error(reader->diag, reader->file, node->place,
                              "this target's filter is one too many");
    diag_hint(reader->diag, "at most %d different filters; targets can share one",
              LORIS_FILTERS_MAX - 1);
    return r;
}

static int add_target(struct config_reader *reader, const struct config_yaml_node *node,
                      const struct config_target *target)
{
    const struct config_target_origin *origin = reader->context;
    struct config *config = origin->config;
    const struct config_target *first = config_target_find(config, target->text);
    if (first && origin->preset && first->file != origin->file)
        return 0;
    if (first) {
        int r = config_yaml_error(reader->diag, reader->file, node->place,
                                  "%.160s is watched already", target->text);
        diag_hint(reader->diag, "it is also in %.300s:%u; keep one of them",
                  config->files[first->file], first->line);
        return r;
    }
    int r = check_filters(reader, node, config, &target->filter);
    if (r < 0)
        return r;
    if (config->targets_count == CONFIG_TARGETS_MAX) {
        r = config_yaml_error(reader->diag, reader->file, node->place, "one target too many");
        diag_hint(reader->diag, "at most %d; a glob such as syscall:* is one target",
                  CONFIG_TARGETS_MAX);
        return r;
    }
    struct config_target *grown =
        reallocarray(config->targets, config->targets_count + 1, sizeof(*grown));
    if (!grown)
        return diag_set(reader->diag, ENOMEM, "not enough memory for %zu targets",
                        config->targets_count + 1);
    config->targets = grown;
    config->targets[config->targets_count++] = *target;
    return 0;
}

/* The same function of another file. -ENAMETOOLONG */
static int retarget(const struct config_target *target, const char *object, const char *path,
                    struct config_target *ret_target)
{
    const char *begin = strchr(target->text, ':') + 1; /* user: or usdt: */
    *ret_target = *target;
    int length = snprintf(ret_target->text, sizeof(ret_target->text), "%.*s%s%s",
                          (int)(begin - target->text), target->text, path, begin + strlen(object));
    return length < (int)sizeof(ret_target->text) ? 0 : -ENAMETOOLONG;
}

/* A preset does not know which versions are installed: /usr/lib/postgresql/N/bin/postgres. One that
 * matches nothing stays as it is, and the refusal tells. */
static int add_targets(struct config_reader *reader, const struct config_yaml_node *node,
                       const struct config_target *target)
{
    const struct config_target_origin *origin = reader->context;
    struct target parsed;
    if (!origin->preset || target_parse(target->text, &parsed, NULL) < 0 ||
        parsed.object[0] != '/' || !glob_is(parsed.object))
        return add_target(reader, node, target);
    glob_t found = {0};
    int r = glob(parsed.object, GLOB_NOSORT, NULL, &found);
    if (r == GLOB_NOSPACE)
        r = diag_set(reader->diag, ENOMEM, "not enough memory for %.160s", target->text);
    else
        r = found.gl_pathc == 0 ? add_target(reader, node, target) : 0;
    for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
        struct config_target one;
        if (retarget(target, parsed.object, found.gl_pathv[i], &one) == 0)
            r = add_target(reader, node, &one);
    }
    globfree(&found);
    return r;
}

static int read_target(struct config_reader *reader, const struct config_yaml_node *node)
{
    const struct config_target_origin *origin = reader->context;
    struct config_target target = {
        .file = origin->file, .line = node->place.line, .optional = origin->preset};
    int r;
    if (node->kind == CONFIG_YAML_MAPPING)
        r = config_value_read_mapping(reader, node, target_keys, &target);
    else
        r = read_target_text(reader, node, &target);
    if (r < 0)
        return r;
    if (!target.text[0]) {
        r = config_yaml_error(reader->diag, reader->file, node->place,
                              "what is to be watched is missing");
        diag_hint(reader->diag, "expected a key target:, for example target: kernel:vfs_read");
        return r;
    }
    return add_targets(reader, node, &target);
}

int config_target_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                            void *into)
{
    (void)into; /* the configuration, as in the reader's context */
    if (node->kind != CONFIG_YAML_LIST)
        return config_value_error(
            reader, node, "is not a list",
            "a list of targets, one a line: - syscall:openat; or [] for none");
    int r = 0;
    for (const struct config_yaml_node *item = node->first_child; item && r == 0; item = item->next)
        r = read_target(reader, item);
    return r;
}
