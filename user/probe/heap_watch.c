/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/heap_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/attach_error.h"
#include "probe/function_exits.h"
#include "probe/heap_functions.h"
#include "probe/object_file.h"
#include "probe/place_list.h"
#include "probe/watched_file.h"

#define PLACES_MAX 128 /* of one object, whose symbols may be a stranger's */

#define FILES_MAX 64 /* of one process that allocate; the others of it are not watched */

struct heap_watch {
    struct link_set links;
    struct watched_file files[FILES_MAX]; /* with no places: the links are above */
    size_t files_count;
    uint32_t functions;
    enum attach_kind kind;
    char path[PATH_MAX];
};

/* What is found in one object file. */
struct finding {
    const struct heap_watch_request *request;
    struct attach_report *report;
    const struct object_file *object;
    struct probe_placement *chooser; /* owned */
    struct place_list entries;
    struct place_list returns;
    struct place_list exits;
    bool is_cxx_runtime;
    uint64_t seen[PLACES_MAX]; /* functions, by their place */
    size_t seen_count;
    size_t refused_places;
};

static void finding_done(struct finding *finding)
{
    probe_placement_free(finding->chooser);
    place_list_done(&finding->entries);
    place_list_done(&finding->returns);
    place_list_done(&finding->exits);
}

static void refuse(struct finding *finding, const char *name, const char *reason)
{
    finding->report->refused++;
    attach_report_add(finding->report, "%s in %s is refused: %s", name,
                      object_file_path(finding->object), reason);
}

/* True the first time: aligned_alloc may be memalign. */
static bool is_new_place(struct finding *finding, uint64_t offset)
{
    for (size_t i = 0; i < finding->seen_count; i++)
        if (finding->seen[i] == offset)
            return false;
    if (finding->seen_count == PLACES_MAX)
        return false;
    finding->seen[finding->seen_count++] = offset;
    return true;
}

static struct attach_place place_of(const struct finding *finding,
                                    const struct object_function *function,
                                    enum loris_heap_function kind, uint64_t offset)
{
    const struct heap_watch_request *request = finding->request;
    return (struct attach_place){
        .offset = offset,
        .name = function->name,
        .probe = loris_heap_cookie(request->heap_target, request->filter, kind),
    };
}

static int add_entry(struct finding *finding, const struct object_function *function,
                     enum loris_heap_function kind)
{
    struct placement placement;
    int error = probe_placement_choose(finding->chooser, function, &placement);
    return error ? error
                 : place_list_add(&finding->entries,
                                  place_of(finding, function, kind,
                                           function->file_offset + placement.offset_bytes));
}

/*
 * Whether it is the run-time library of C++. There, new jumps to a cold part, which has no name in
 * a stripped library, only when it fails: it leaves with an exception, or nothrow's with NULL; the
 * kernel side counts a new that never came to one of its own exits as failed. Elsewhere the same
 * jump may be the call of another function that succeeds.
 */
static bool is_cxx_runtime(const struct object_file *object)
{
    const struct object_function *functions;
    size_t count = object_file_functions(object, &functions);
    for (size_t i = 0; i < count; i++)
        if (strcmp(functions[i].name, "__cxa_throw") == 0)
            return true;
    return false;
}

static int find_exits(const struct finding *finding, const struct object_function *function,
                      struct function_exits *ret_exits, struct diag *reterr_diag)
{
    return finding->is_cxx_runtime
               ? function_exits_find_own(finding->object, function, ret_exits, reterr_diag)
               : function_exits_find(finding->object, function, ret_exits, reterr_diag);
}

/* new[] that is nothing but a jump to new, which counts it. */
static bool is_jump(const struct function_exits *exits)
{
    return exits->count == 0 && exits->jumps_out > 0;
}

/* Where an exception may leave the function, its return instructions stand for a return probe. */
static int add_with_exits(struct finding *finding, const struct object_function *function,
                          enum loris_heap_function kind)
{
    struct function_exits exits = {0};
    struct diag diag = {0};
    if (find_exits(finding, function, &exits, &diag)) {
        char reason[sizeof(diag.what) + 96];
        snprintf(reason, sizeof(reason),
                 "a return probe could end the program, and its exits are not known: %s",
                 diag.what);
        refuse(finding, function->name, reason);
        finding->report->forcible = true;
        return 0;
    }
    if (is_jump(&exits))
        return 0;
    int error = add_entry(finding, function, kind);
    for (size_t i = 0; i < exits.count && !error; i++)
        error = place_list_add(&finding->exits,
                               place_of(finding, function, kind, exits.file_offsets[i]));
    return error;
}

/* Returns are told apart from entries by the program, so they may sit at the function's start. */
static int add_with_return(struct finding *finding, const struct object_function *function,
                           enum loris_heap_function kind)
{
    struct function_exits exits = {0};
    struct diag diag = {0};
    if (kind == LORIS_HEAP_NEW && !find_exits(finding, function, &exits, &diag) && is_jump(&exits))
        return 0;
    int error = add_entry(finding, function, kind);
    return error ? error
                 : place_list_add(&finding->returns,
                                  finding->entries.places[finding->entries.count - 1]);
}

static int add_function(struct finding *finding, const struct object_function *function)
{
    const struct heap_function *known = heap_functions_find(function->name);
    const struct heap_watch_request *request = finding->request;
    if (!known || !is_new_place(finding, function->file_offset))
        return 0;
    if (function->is_ifunc) {
        refuse(finding, function->name, "it only chooses an implementation at start-up (ifunc)");
        return 0;
    }
    if (known->function >= LORIS_HEAP_RELEASES)
        return add_entry(finding, function, known->function);
    if ((known->throws || request->spare_return) && !request->force)
        return add_with_exits(finding, function, known->function);
    return add_with_return(finding, function, known->function);
}

static int find_functions(struct finding *finding)
{
    const struct object_function *functions;
    size_t count = object_file_functions(finding->object, &functions);
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = add_function(finding, &functions[i]);
    return error;
}

static void on_refused(const struct attach_place *place, int error, void *context)
{
    struct finding *finding = context;
    finding->refused_places++;
    refuse(finding, place->name ? place->name : "a place", attach_error_text(error));
}

static int link_found(struct heap_watch *watch, struct finding *finding, const char *path,
                      struct kernel_side *side, struct attach_trials *trials,
                      struct diag *reterr_diag)
{
    static const enum attach_kind ladder[] = {ATTACH_UPROBE_MULTI, ATTACH_UPROBE};
    const struct attach_job job = {side, trials, &watch->links, on_refused, finding};
    const struct heap_places places = {finding->entries.places, finding->returns.places,
                                       finding->exits.places,   finding->entries.count,
                                       finding->returns.count,  finding->exits.count};
    enum attach_kind wanted = finding->request->attach;
    int error = -EOPNOTSUPP;
    for (size_t i = 0; i < sizeof(ladder) / sizeof(ladder[0]) && error == -EOPNOTSUPP; i++) {
        if (wanted != ATTACH_AUTO && wanted != ladder[i])
            continue;
        error = attach_heap_functions(&job, ladder[i], path, &places, reterr_diag);
        if (!error)
            watch->kind = ladder[i];
    }
    return error;
}

/* Holds on to the very file that was read, whatever its path means by now. */
static int pin_file(const struct object_file *object, struct watched_file *ret_file,
                    struct diag *reterr_diag)
{
    dev_t device;
    ino_t inode;
    struct stat now;
    const char *path = object_file_path(object);
    object_file_inode(object, &device, &inode);
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &now))
        return diag_set(reterr_diag, errno, "cannot open %s: %s", path, strerror(errno));
    if (now.st_dev != device || now.st_ino != inode)
        return diag_set(reterr_diag, EAGAIN, "%s was replaced while it was read", path);
    *ret_file = (struct watched_file){.seen = now, .places.fd = take_fd(&fd)};
    return 0;
}

static int attach_object(struct heap_watch *watch, struct finding *finding, const char *path,
                         struct kernel_side *side, struct attach_trials *trials,
                         struct diag *reterr_diag)
{
    char pinned[64];
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    int error = object_file_open(path, &object, reterr_diag);
    if (error)
        return error;
    finding->object = object;
    finding->is_cxx_runtime = is_cxx_runtime(object);
    struct placement_options options = finding->request->placement;
    options.keeps_arguments = true;
    error = probe_placement_new(object, &options, &finding->chooser);
    if (!error)
        error = find_functions(finding);
    if (error)
        return diag_set(reterr_diag, -error, "cannot look for allocators in %s: %s", path,
                        strerror(-error));
    if (finding->entries.count == 0) {
        diag_set(reterr_diag, ENOENT, "%s has no function that allocates, such as malloc or new",
                 path);
        diag_hint(reterr_diag, "most programs allocate through heap:libc.so.6");
        return -ENOENT;
    }
    if (watch->files_count == FILES_MAX)
        return diag_set(reterr_diag, ENOSPC, "more than %d files allocate", FILES_MAX);
    struct watched_file *file = &watch->files[watch->files_count];
    error = pin_file(object, file, reterr_diag);
    if (error)
        return error;
    watch->files_count++;
    snprintf(pinned, sizeof(pinned), "/proc/self/fd/%d", file->places.fd);
    error = link_found(watch, finding, pinned, side, trials, reterr_diag);
    size_t refused = finding->refused_places;
    size_t attached = finding->entries.count;
    if (!error && attached > refused)
        watch->functions += (uint32_t)(attached - refused);
    return error;
}

/* --- the files of a process ------------------------------------------------------------------ */

struct search {
    struct heap_watch *watch;
    const struct heap_watch_request *request;
    struct attach_report *report;
    struct kernel_side *side;
    struct attach_trials *trials;
    struct diag diag;
    int error;
};

static void on_object(const char *path, const char *seen_path, void *context)
{
    struct search *search = context;
    struct diag diag = {0};
    (void)seen_path;
    _cleanup_(finding_done) struct finding finding = {.request = search->request,
                                                      .report = search->report};
    int error = attach_object(search->watch, &finding, path, search->side, search->trials, &diag);
    if (!error)
        return;
    if (finding.entries.count > 0) {
        search->report->refused += (uint32_t)finding.entries.count;
        attach_report_add(search->report, "%s is not watched: %s", path, diag.what);
    }
    if (error != -ENOENT || !search->error) {
        search->error = error;
        search->diag = diag;
    }
}

static int attach_process(struct search *search, struct diag *reterr_diag)
{
    int pid = search->request->target->object_pid;
    int error = object_files_of_pid(pid, on_object, search, reterr_diag);
    if (error || search->watch->functions > 0)
        return error;
    if (search->error != -ENOENT && search->error) {
        *reterr_diag = search->diag;
        return search->error;
    }
    return diag_set(reterr_diag, ENOENT,
                    "no file that process %d has mapped has a function that allocates", pid);
}

static int attach_file(struct search *search, struct diag *reterr_diag)
{
    struct heap_watch *watch = search->watch;
    int error = object_file_resolve(search->request->target->object, "", watch->path, reterr_diag);
    if (error)
        return error;
    _cleanup_(finding_done) struct finding finding = {.request = search->request,
                                                      .report = search->report};
    return attach_object(watch, &finding, watch->path, search->side, search->trials, reterr_diag);
}

int heap_watch_new(struct kernel_side *side, struct attach_trials *trials,
                   const struct heap_watch_request *request, struct attach_report *report,
                   struct heap_watch **ret_watch, struct diag *reterr_diag)
{
    if (request->attach != ATTACH_AUTO && request->attach != ATTACH_UPROBE_MULTI &&
        request->attach != ATTACH_UPROBE) {
        diag_set(reterr_diag, EINVAL, "%s is no way to attach an allocator",
                 attach_kind_name(request->attach));
        diag_hint(reterr_diag, "choose uprobe-multi, uprobe or auto");
        return -EINVAL;
    }
    _cleanup_(heap_watch_free_cleanup) struct heap_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    struct search search = {
        .watch = watch, .request = request, .report = report, .side = side, .trials = trials};
    int error = request->target->object_pid ? attach_process(&search, reterr_diag)
                                            : attach_file(&search, reterr_diag);
    if (error)
        return error;
    report->attached += watch->functions;
    *ret_watch = take_ptr(watch);
    return 0;
}

void heap_watch_free(struct heap_watch *watch)
{
    if (!watch)
        return;
    link_set_done(&watch->links);
    for (size_t i = 0; i < watch->files_count; i++)
        watched_file_done(&watch->files[i]);
    free(watch);
}

enum heap_watch_state heap_watch_state(const struct heap_watch *watch)
{
    struct stat now;
    for (size_t i = 0; i < watch->files_count; i++)
        if (watched_file_is_rewritten(&watch->files[i]))
            return HEAP_WATCH_REWRITTEN;
    if (!*watch->path || stat(watch->path, &now))
        return HEAP_WATCH_CURRENT; /* in the middle of an upgrade there may be no file */
    const struct stat *seen = &watch->files[0].seen;
    return now.st_dev == seen->st_dev && now.st_ino == seen->st_ino ? HEAP_WATCH_CURRENT
                                                                    : HEAP_WATCH_REPLACED;
}

uint32_t heap_watch_functions(const struct heap_watch *watch)
{
    return watch->functions;
}

enum attach_kind heap_watch_kind(const struct heap_watch *watch)
{
    return watch->kind;
}

const char *heap_watch_path(const struct heap_watch *watch)
{
    return watch->path;
}
