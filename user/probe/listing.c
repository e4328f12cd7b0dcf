/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/listing.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/glob.h"
#include "base/quantity.h"
#include "probe/kernel_functions.h"
#include "probe/object_file.h"
#include "probe/span_names.h"
#include "probe/symbol_demangle.h"
#include "probe/syscall_names.h"
#include "probe/target.h"

struct lister {
    const struct listing_request *request;
    struct listing_totals totals;
    listing_fn on_listing;
    void *context;
    const char *object_text; /* as it was given: "libc.so.6", "pid:71" */
    const struct object_file *object;
    struct probe_placement *chooser; /* owned while functions of the object are listed */
};

/* A symbol of any length may come; a target that would be too long could not be given. */
static void emit(struct lister *lister, struct listing listing, const char *name)
{
    char target[TARGET_TEXT_MAX];
    if (lister->totals.matched++ >= lister->request->limit)
        return;
    const int length =
        lister->object
            ? snprintf(target, sizeof(target), "%s:%s:%s", listing.kind, lister->object_text, name)
            : snprintf(target, sizeof(target), "%s:%s", listing.kind, name);
    if (length >= (int)sizeof(target)) {
        /* Cut at the end, a prefix is a glob that still means it. */
        strcpy(target + sizeof(target) - 2, "*");
        if (!listing.note)
            listing.note = "its name is too long to be given: this pattern matches it";
    }
    listing.target = target;
    lister->on_listing(&listing, lister->context);
}

static void on_syscall(const char *name, int number, void *context)
{
    (void)number;
    emit(context, (struct listing){.kind = "syscall"}, name);
}

static void on_span(const struct span_name *span, void *context)
{
    emit(context, (struct listing){.kind = "span", .note = span->description}, span->name);
}

static void on_kernel_function(const char *name, void *context)
{
    emit(context, (struct listing){.kind = "kernel"}, name);
}

static void on_denied_function(const char *name, void *context)
{
    emit(context, (struct listing){.kind = "kernel", .note = kernel_function_denied(name)}, name);
}

static void list_kernel_functions(struct lister *lister, const struct kernel_functions *functions,
                                  const char *pattern)
{
    kernel_functions_match(functions, pattern, on_kernel_function, lister);
    kernel_functions_match_denied(functions, pattern, on_denied_function, lister);
}

static int list_syscalls(struct lister *lister, const char *pattern, struct diag *diag)
{
    if (syscall_names_match(pattern, on_syscall, lister))
        return 0;
    diag_set(diag, ENOENT, "no syscall matches '%.200s'", pattern);
    syscall_names_suggest(pattern, diag);
    return -ENOENT;
}

static int list_spans(struct lister *lister, const char *pattern, struct diag *diag)
{
    if (span_names_match(pattern, on_span, lister))
        return 0;
    diag_set(diag, ENOENT, "no span matches '%.200s'", pattern);
    span_names_suggest(pattern, diag);
    return -ENOENT;
}

static int list_kernel(struct lister *lister, const char *pattern, struct diag *diag)
{
    _cleanup_(kernel_functions_free_cleanup) struct kernel_functions *functions = NULL;
    int r = kernel_functions_open(&functions, diag);
    if (r < 0)
        return r;
    list_kernel_functions(lister, functions, pattern);
    if (lister->totals.matched)
        return 0;
    diag_set(diag, ENOENT, "no kernel function matches '%.200s'", pattern);
    kernel_functions_suggest(functions, pattern, diag);
    return -ENOENT;
}

static const char *note_on_function(const struct object_file *object,
                                    const struct object_function *function, const char *base_name,
                                    char readable[DEMANGLED_BYTES_MAX])
{
    if (object_file_is_go(object))
        return "Go code: a return probe corrupts its stacks";
    if (function->is_ifunc)
        return "ifunc resolver: it runs once and chooses the function; the implementations have "
               "names of their own";
    return symbol_demangle(base_name, true, readable) ? readable : NULL;
}

/* Fills *ret_placement and counts it; false: nobody asked. */
static bool place(struct lister *lister, const struct object_function *function,
                  struct placement *ret_placement)
{
    if (!lister->chooser || object_file_is_go(lister->object) ||
        probe_placement_choose(lister->chooser, function, ret_placement) < 0)
        return false;
    lister->totals.placed++;
    lister->totals.cheap_at_entry += ret_placement->is_cheap_at_entry;
    lister->totals.cheap += ret_placement->is_emulated;
    return true;
}

static void on_function(const struct object_function *function, const char *base_name,
                        void *context)
{
    struct lister *const lister = context;
    char readable[DEMANGLED_BYTES_MAX];
    struct placement placement;
    const bool is_wanted = lister->totals.matched < lister->request->limit;
    const bool is_placed = place(lister, function, &placement);
    emit(lister,
         (struct listing){
             .kind = "user",
             .object = object_file_path(lister->object),
             .file_offset = function->file_offset,
             .size_bytes = function->size_bytes,
             .note =
                 is_wanted ? note_on_function(lister->object, function, base_name, readable) : NULL,
             .placement = is_placed ? &placement : NULL},
         base_name);
}

/* Where there is no memory to choose places, functions are listed without. */
static size_t match_functions(struct lister *lister, const char *pattern)
{
    const struct placement_options *const options = lister->request->placement;
    if (options && probe_placement_new(lister->object, options, &lister->chooser) < 0)
        lister->chooser = NULL;
    const size_t count = object_file_match(lister->object, pattern, on_function, lister);
    probe_placement_free(lister->chooser);
    lister->chooser = NULL;
    return count;
}

static int open_object(struct lister *lister, const char *name, struct object_file **ret_object,
                       struct diag *diag)
{
    char path[PATH_MAX];
    int r = object_file_resolve(name, "", path, diag);
    if (r >= 0)
        r = object_file_open(path, ret_object, diag);
    if (r < 0)
        return r;
    lister->object_text = name;
    lister->object = *ret_object;
    return 0;
}

static int list_functions(struct lister *lister, const char *name, const char *pattern,
                          struct diag *diag)
{
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    int r = open_object(lister, name, &object, diag);
    if (r < 0)
        return r;
    if (!match_functions(lister, pattern))
        r = object_file_not_found(object, pattern, diag);
    lister->object = NULL;
    return r;
}

/* The objects of a process; one that cannot be read does not hide the others. */
struct process_lister {
    struct lister *lister;
    const char *pattern;
    size_t objects;
};

static void on_object(const char *path, const char *seen_path, void *context)
{
    (void)seen_path;
    struct process_lister *const process = context;
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    if (object_file_open(path, &object, NULL) < 0)
        return;
    process->objects++;
    process->lister->object = object;
    match_functions(process->lister, process->pattern);
    process->lister->object = NULL;
}

static int list_process(struct lister *lister, const char *text, struct diag *diag)
{
    char object_text[32], number[16] = "";
    const size_t length = strcspn(text, ":");
    uint64_t pid;
    if (length < sizeof(number))
        memcpy(number, text, length);
    if (parse_u64(number, &pid) < 0 || pid < 1 || pid > INT32_MAX)
        return diag_set(diag, EINVAL, "'%.60s' is no pid", text);
    snprintf(object_text, sizeof(object_text), "pid:%u", (unsigned)pid);
    lister->object_text = object_text;
    struct process_lister process = {.lister = lister,
                                     .pattern = text[length] ? text + length + 1 : "*"};
    if (!*process.pattern)
        process.pattern = "*";
    int r = object_files_of_pid((int32_t)pid, on_object, &process, diag);
    lister->object_text = NULL;
    if (r < 0 || lister->totals.matched)
        return r;
    diag_set(diag, ENOENT, "no function matches '%.200s' in the %zu objects of process %u",
             process.pattern, process.objects, (unsigned)pid);
    diag_hint(diag, "user:pid:%u:* lists all of them", (unsigned)pid);
    return -ENOENT;
}

/* Marks that bracket an operation are named alike up to one of these pairs. */
static const char *const mark_pairs[][2] = {
    {"start", "done"},   {"start", "end"},       {"start", "stop"},     {"start", "finish"},
    {"begin", "end"},    {"begin", "done"},      {"entry", "return"},   {"entry", "exit"},
    {"enter", "exit"},   {"enter", "leave"},     {"start", "complete"}, {"issue", "complete"},
    {"request", "done"}, {"acquire", "release"}, {"wait", "done"},
};

static bool ends_pair(const char *begin, const char *end)
{
    const size_t begin_length = strlen(begin), end_length = strlen(end);
    for (size_t i = 0; i < sizeof(mark_pairs) / sizeof(mark_pairs[0]); i++) {
        const size_t first = strlen(mark_pairs[i][0]), second = strlen(mark_pairs[i][1]);
        if (begin_length > first && end_length > second &&
            begin_length - first == end_length - second &&
            !strcmp(begin + begin_length - first, mark_pairs[i][0]) &&
            !strcmp(end + end_length - second, mark_pairs[i][1]) &&
            !memcmp(begin, end, begin_length - first))
            return true;
    }
    return false;
}

/* The other end of an operation among the marks of its provider, which lie together. */
static const struct object_mark *find_partner(const struct object_mark *marks, size_t count,
                                              size_t at, bool is_begin)
{
    size_t first = at;
    while (first > 0 && !strcmp(marks[first - 1].provider, marks[at].provider))
        first--;
    for (size_t i = first; i < count && !strcmp(marks[i].provider, marks[at].provider); i++)
        if (is_begin ? ends_pair(marks[at].name, marks[i].name)
                     : ends_pair(marks[i].name, marks[at].name))
            return &marks[i];
    return NULL;
}

static void list_mark(struct lister *lister, const struct object_mark *begin,
                      const struct object_mark *end)
{
    char name[TARGET_TEXT_MAX];
    snprintf(name, sizeof(name), "%s:%s%s%s", begin->provider, begin->name, end ? ".." : "",
             end ? end->name : "");
    emit(lister,
         (struct listing){.kind = "usdt",
                          .object = object_file_path(lister->object),
                          .file_offset = begin->file_offset,
                          .note = end ? NULL
                                      : "one mark is a moment: give the two ends, "
                                        "PROVIDER:BEGIN..END"},
         name);
}

static bool mark_matches(const struct object_mark *mark, const char *pattern)
{
    char name[TARGET_TEXT_MAX];
    if (glob_matches(pattern, mark->name))
        return true;
    return snprintf(name, sizeof(name), "%s:%s", mark->provider, mark->name) < (int)sizeof(name) &&
           glob_matches(pattern, name);
}

/* Both ends of an operation are one line, under the name of either. */
static void list_matching_mark(struct lister *lister, const struct object_mark *marks, size_t count,
                               size_t at, const char *pattern)
{
    const struct object_mark *const end = find_partner(marks, count, at, true);
    const struct object_mark *const begin = end ? NULL : find_partner(marks, count, at, false);
    if (!begin)
        list_mark(lister, &marks[at], end);
    else if (!mark_matches(begin, pattern))
        list_mark(lister, begin, &marks[at]);
}

static int list_marks(struct lister *lister, const char *name, const char *pattern,
                      struct diag *diag)
{
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    int r = open_object(lister, name, &object, diag);
    if (r < 0)
        return r;
    const struct object_mark *marks;
    const size_t count = object_file_marks(object, &marks);
    for (size_t i = 0; i < count; i++) {
        const bool is_repeated = i > 0 && !strcmp(marks[i - 1].name, marks[i].name) &&
                                 !strcmp(marks[i - 1].provider, marks[i].provider);
        if (!is_repeated && mark_matches(&marks[i], pattern))
            list_matching_mark(lister, marks, count, i, pattern);
    }
    if (!lister->totals.matched && !count)
        r = diag_set(diag, ENOENT, "%.300s has no static marks", object_file_path(object));
    else if (!lister->totals.matched)
        r = diag_set(diag, ENOENT, "none of the %zu static marks in %.300s matches '%.100s'", count,
                     object_file_path(object), pattern);
    lister->object = NULL;
    return r;
}

/* OBJECT or OBJECT:PATTERN */
static int list_in_object(struct lister *lister, enum target_kind kind, const char *rest,
                          struct diag *diag)
{
    char object[PATH_MAX];
    if (kind == TARGET_USER && !strncmp(rest, "pid:", 4))
        return list_process(lister, rest + 4, diag);
    const size_t length = strcspn(rest, ":");
    if (length >= sizeof(object))
        return diag_set(diag, EINVAL, "the object in the pattern is too long");
    memcpy(object, rest, length);
    object[length] = '\0';
    const char *pattern = rest[length] ? rest + length + 1 : "*";
    if (!*pattern)
        pattern = "*";
    return kind == TARGET_USER ? list_functions(lister, object, pattern, diag)
                               : list_marks(lister, object, pattern, diag);
}

static int list_word(struct lister *lister, const char *word, struct diag *diag)
{
    if (strchr(word, '/') || strstr(word, ".so")) {
        diag_set(diag, EINVAL, "'%.200s' looks like a file", word);
        diag_hint(diag, "its functions are listed by user:%.200s, its static marks by usdt:%.200s",
                  word, word);
        return -EINVAL;
    }
    syscall_names_match(word, on_syscall, lister);
    span_names_match(word, on_span, lister);
    _cleanup_(kernel_functions_free_cleanup) struct kernel_functions *functions = NULL;
    const int opened = kernel_functions_open(&functions, NULL);
    if (opened >= 0)
        list_kernel_functions(lister, functions, word);
    if (lister->totals.matched)
        return 0;
    diag_set(diag, ENOENT, "no syscall, span or kernel function matches '%.200s'", word);
    diag_hint(diag, "functions of programs and libraries are listed by user:OBJECT:%.100s", word);
    if (opened >= 0)
        kernel_functions_suggest(functions, word, diag);
    syscall_names_suggest(word, diag);
    return -ENOENT;
}

int listing_find(const struct listing_request *request, listing_fn on_listing, void *context,
                 struct listing_totals *ret_totals, struct diag *reterr_diag)
{
    const char *const pattern = request->pattern;
    struct lister lister = {.request = request, .on_listing = on_listing, .context = context};
    static const enum target_kind all[] = {TARGET_KERNEL, TARGET_USER, TARGET_USDT, TARGET_SYSCALL,
                                           TARGET_SPAN};
    if (!*pattern || strlen(pattern) >= TARGET_TEXT_MAX)
        return diag_set(reterr_diag, EINVAL, "the pattern is %s", *pattern ? "too long" : "empty");
    const char *rest = NULL;
    enum target_kind kind = TARGET_USER;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !rest; i++) {
        const char *const name = target_kind_name(all[i]);
        const size_t length = strlen(name);
        if (strncmp(pattern, name, length) != 0 || pattern[length] != ':')
            continue;
        kind = all[i];
        rest = pattern + length + 1;
    }
    int r;
    const char *const names = rest && *rest ? rest : "*";
    if (!rest && strchr(pattern, ':')) {
        struct target ignored;
        r = target_parse(pattern, &ignored, reterr_diag);
        if (r >= 0) { /* heap, kmem */
            r = diag_set(reterr_diag, EINVAL, "'%s' is a target as it stands: there are no others",
                         pattern);
            diag_hint(reterr_diag, "the functions of an object are listed by user:OBJECT:*");
        }
    } else if (!rest) {
        r = list_word(&lister, pattern, reterr_diag);
    } else if (kind == TARGET_SYSCALL) {
        r = list_syscalls(&lister, names, reterr_diag);
    } else if (kind == TARGET_SPAN) {
        r = list_spans(&lister, names, reterr_diag);
    } else if (kind == TARGET_KERNEL) {
        r = list_kernel(&lister, names, reterr_diag);
    } else if (!*rest) {
        r = diag_set(reterr_diag, EINVAL, "'%s' names no object", pattern);
    } else {
        r = list_in_object(&lister, kind, rest, reterr_diag);
    }
    if (r < 0)
        return r;
    *ret_totals = lister.totals;
    return 0;
}
