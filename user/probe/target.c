/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/target.h"

#include <errno.h>
#include <string.h>

#include "base/edit_distance.h"
#include "base/quantity.h"
#include "probe/span_names.h"
#include "probe/syscall_names.h"

#define PID_LIMIT 4194304 /* PID_MAX_LIMIT of the kernel */

static const struct {
    const char *name, *example;
} kinds[] = {
    [TARGET_KERNEL] = {"kernel", "kernel:vfs_read"},
    [TARGET_USER] = {"user", "user:libc.so.6:malloc or user:pid:1234:main"},
    [TARGET_USDT] = {"usdt", "usdt:/usr/lib/postgresql/15/bin/postgres:postgresql:"
                             "query__start..query__done"},
    [TARGET_SYSCALL] = {"syscall", "syscall:openat"},
    [TARGET_SPAN] = {"span", "span:block-io"},
    [TARGET_HEAP] = {"heap", "heap:libc.so.6 or heap:pid:1234"},
    [TARGET_KMEM] = {"kmem", "kmem:slab or kmem:pages"},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

const char *target_kind_name(enum target_kind kind)
{
    return kinds[kind].name;
}

static int refuse(const char *text, enum target_kind kind, struct diag *diag, const char *why)
{
    diag_set(diag, EINVAL, "target '%.200s': %s", text, why);
    diag_hint(diag, "write it like %s", kinds[kind].example);
    return -EINVAL;
}

/* What somebody who left the kind away, or misspelt it, most likely meant. */
static int refuse_kind(const char *text, struct diag *diag)
{
    const char *const colon = strchr(text, ':');
    if (!colon) {
        diag_set(diag, EINVAL, "target '%.200s' does not say what kind it is", text);
        if (syscall_names_match(text, NULL, NULL))
            diag_hint(
                diag,
                "did you mean syscall:%.200s? (kinds: kernel user usdt syscall span heap kmem)",
                text);
        else if (span_names_match(text, NULL, NULL))
            diag_hint(diag, "did you mean span:%.200s?", text);
        else if (strchr(text, '/'))
            diag_hint(diag, "a function of a file is written user:%.200s:FUNCTION", text);
        else
            diag_hint(diag, "did you mean kernel:%.200s, or user:OBJECT:%.200s?", text, text);
        return -EINVAL;
    }
    char kind[16] = "";
    if ((size_t)(colon - text) < sizeof(kind))
        memcpy(kind, text, (size_t)(colon - text));
    diag_set(diag, EINVAL, "target '%.200s' is of no known kind", text);
    for (size_t i = 0; *kind && i < KIND_COUNT; i++)
        if (edit_distance(kind, kinds[i].name, 2) <= 2) {
            diag_hint(diag, "did you mean %s%.200s?", kinds[i].name, colon);
            return -EINVAL;
        }
    if (strchr(text, '/') || strstr(text, ".so") || !strncmp(text, "pid:", 4))
        diag_hint(diag, "did you mean user:%.200s?", text);
    else
        diag_hint(diag,
                  "kinds are kernel, user, usdt, syscall, span, heap and kmem; for example %s",
                  kinds[TARGET_USER].example);
    return -EINVAL;
}

/* C0, DEL and what UTF-8 encodes of C1: nothing a terminal would obey. */
static bool has_controls(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
            return true;
    return false;
}

static bool only_of(const char *name, const char *extra)
{
    for (; *name; name++) {
        const char c = *name;
        const bool word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!word && !strchr(extra, c))
            return false;
    }
    return true;
}

/* Moves the text before the next colon out of *rest; false when there is no colon. */
static bool take_part(const char **rest, char *ret_part)
{
    const char *const colon = strchr(*rest, ':');
    if (!colon)
        return false;
    memcpy(ret_part, *rest, (size_t)(colon - *rest));
    ret_part[colon - *rest] = '\0';
    *rest = colon + 1;
    return true;
}

static int parse_pid(const char *number, struct target *target, struct diag *diag)
{
    uint64_t pid;
    if (parse_u64(number, &pid) < 0 || pid < 1 || pid > PID_LIMIT)
        return refuse(target->text, target->kind, diag, "a pid is a number from 1 to 4194304");
    target->object[0] = '\0';
    target->object_pid = (int32_t)pid;
    return 0;
}

static int parse_heap(const char *rest, struct target *target, struct diag *diag)
{
    if (!*rest)
        return refuse(target->text, TARGET_HEAP, diag, "the object is empty");
    if (!strncmp(rest, "pid:", 4))
        return parse_pid(rest + 4, target, diag);
    if (strchr(rest, ':'))
        return refuse(target->text, TARGET_HEAP, diag,
                      "it means all functions that allocate and names none");
    strcpy(target->object, rest);
    return 0;
}

static int parse_kmem(const char *rest, struct target *target, struct diag *diag)
{
    if (strcmp(rest, "slab") != 0 && strcmp(rest, "pages") != 0)
        return refuse(target->text, TARGET_KMEM, diag, "the kernel allocates slab or pages");
    strcpy(target->name, rest);
    return 0;
}

static int parse_user(const char *rest, struct target *target, struct diag *diag)
{
    if (!take_part(&rest, target->object))
        return refuse(target->text, TARGET_USER, diag, "it names no function");
    if (!strcmp(target->object, "pid")) {
        char number[TARGET_TEXT_MAX];
        if (!take_part(&rest, number))
            return refuse(target->text, TARGET_USER, diag, "it names no function");
        int error = parse_pid(number, target, diag);
        if (error)
            return error;
    } else if (!target->object[0]) {
        return refuse(target->text, TARGET_USER, diag, "the object is empty");
    }
    if (!*rest)
        return refuse(target->text, TARGET_USER, diag, "the function is empty");
    strcpy(target->name, rest);
    return 0;
}

static int parse_usdt(const char *rest, struct target *target, struct diag *diag)
{
    if (!take_part(&rest, target->object) || !take_part(&rest, target->provider))
        return refuse(target->text, TARGET_USDT, diag,
                      "static marks need an object, a provider and two marks");
    if (!strcmp(target->object, "pid"))
        return refuse(target->text, TARGET_USDT, diag,
                      "static marks are given by file; `loris list user:pid:N:*` shows the files");
    const char *const dots = strstr(rest, "..");
    if (!dots)
        return refuse(target->text, TARGET_USDT, diag,
                      "one mark is a moment; a latency needs two, BEGIN..END");
    memcpy(target->name, rest, (size_t)(dots - rest));
    target->name[dots - rest] = '\0';
    strcpy(target->end_name, dots + 2);
    if (!target->object[0] || !target->provider[0] || !target->name[0] || !target->end_name[0])
        return refuse(target->text, TARGET_USDT, diag, "a part of it is empty");
    if (!only_of(target->name, "-.$") || !only_of(target->end_name, "-.$"))
        return refuse(target->text, TARGET_USDT, diag, "marks are given by name, not by pattern");
    return 0;
}

static int parse_name(enum target_kind kind, const char *rest, struct target *target,
                      struct diag *diag)
{
    if (!*rest)
        return refuse(target->text, kind, diag, "the name is empty");
    if (!only_of(rest, kind == TARGET_SPAN ? "-*?[]!^" : "-.*?[]!^:"))
        return refuse(target->text, kind, diag, "the name has a character that no such name has");
    strcpy(target->name, rest);
    return 0;
}

int target_parse(const char *text, struct target *ret_target, struct diag *reterr_diag)
{
    const size_t length = strlen(text);
    if (!length) {
        diag_set(reterr_diag, EINVAL, "the target is empty");
        diag_hint(reterr_diag, "write it like %s", kinds[TARGET_SYSCALL].example);
        return -EINVAL;
    }
    if (length >= TARGET_TEXT_MAX)
        return diag_set(reterr_diag, EINVAL, "target '%.40s...' is longer than %d characters", text,
                        TARGET_TEXT_MAX - 1);
    if (has_controls(text))
        return diag_set(reterr_diag, EINVAL, "target '%.200s' contains control characters", text);

    struct target target = {0};
    memcpy(target.text, text, length + 1);
    size_t kind = 0;
    const char *rest = NULL;
    for (; kind < KIND_COUNT; kind++) {
        const size_t kind_length = strlen(kinds[kind].name);
        if (!strncmp(text, kinds[kind].name, kind_length) && text[kind_length] == ':') {
            rest = text + kind_length + 1;
            break;
        }
    }
    if (!rest)
        return refuse_kind(text, reterr_diag);
    target.kind = (enum target_kind)kind;
    int r;
    if (target.kind == TARGET_USER)
        r = parse_user(rest, &target, reterr_diag);
    else if (target.kind == TARGET_USDT)
        r = parse_usdt(rest, &target, reterr_diag);
    else if (target.kind == TARGET_HEAP)
        r = parse_heap(rest, &target, reterr_diag);
    else if (target.kind == TARGET_KMEM)
        r = parse_kmem(rest, &target, reterr_diag);
    else
        r = parse_name(target.kind, rest, &target, reterr_diag);
    if (r < 0)
        return r;
    *ret_target = target;
    return 0;
}
