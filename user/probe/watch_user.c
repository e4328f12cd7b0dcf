/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches functions and static marks of executables and libraries. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/edit_distance.h"
#include "probe/attach_error.h"
#include "probe/function_exits.h"
#include "probe/object_file.h"
#include "probe/probe_placement.h"
#include "probe/probe_set_internal.h"

#define SUGGEST_DISTANCE_MAX 4

/* What is found in one object file. */
struct finding {
    struct probe_set *set;
    struct watch *watch;
    struct attach_report *report;
    struct diag *reterr_diag;
    const struct object_file *object;
    struct probe_placement *chooser; /* owned; for functions of the object */
    struct watched_file file;        /* the very file that was read, and its links */
    struct place_list returns;       /* to be attached with a return probe */
    struct place_list entries;       /* to be attached at entry and exits */
    struct place_list exits;
    size_t matched;
    int error;
};

static void finding_done(struct finding *finding)
{
    watched_file_done(&finding->file);
    probe_placement_free(finding->chooser);
    place_list_done(&finding->returns);
    place_list_done(&finding->entries);
    place_list_done(&finding->exits);
}

/* "user:OBJECT:" as the operator wrote it. */
static void format_prefix(const struct target *target, char *out, size_t bytes)
{
    if (target->object_pid)
        snprintf(out, bytes, "%s:pid:%d:", target_kind_name(target->kind), target->object_pid);
    else
        snprintf(out, bytes, "%s:%s:", target_kind_name(target->kind), target->object);
}

static int make_probe(struct finding *finding, const char *suffix, uint32_t *ret_id)
{
    char prefix[TARGET_TEXT_MAX + 16];
    char name[4 * TARGET_TEXT_MAX + 16];
    struct diag diag = {0};
    format_prefix(&finding->watch->request.target, prefix, sizeof(prefix));
    snprintf(name, sizeof(name), "%s%s", prefix, suffix);
    int error = probe_set_make(finding->set, finding->watch, name,
                               object_file_path(finding->object), ret_id, &diag);
    if (error == -EEXIST) {
        attach_report_add(finding->report, "%s", diag.what);
    } else if (error) {
        finding->error = error;
        *finding->reterr_diag = diag;
    }
    return error;
}

static void refuse(struct finding *finding, const char *name, const char *reason)
{
    finding->report->refused++;
    attach_report_add(finding->report, "%s in %s is refused: %s", name,
                      object_file_path(finding->object), reason);
}

static int add_place(struct finding *finding, struct place_list *list,
                     const struct attach_place *place)
{
    int error = place_list_add(list, *place);
    if (error)
        finding->error = diag_set(finding->reterr_diag, -error, "out of memory");
    return error;
}

/* The cheapest place that sees what the entry sees. */
static int add_entry(struct finding *finding, struct place_list *list,
                     const struct object_function *function, uint32_t probe)
{
    struct placement placement;
    int error = probe_placement_choose(finding->chooser, function, &placement);
    if (error)
        return finding->error = diag_set(finding->reterr_diag, -error, "out of memory");
    probe_set_tell_placement(finding->set, probe, &placement);
    const struct attach_place place = {.offset = function->file_offset + placement.offset_bytes,
                                       .name = function->name,
                                       .probe = probe};
    return add_place(finding, list, &place);
}

/* Entry and return instructions, for functions whose return address must stay what it is. */
static void add_exits(struct finding *finding, const struct object_function *function,
                      const char *base_name)
{
    struct function_exits exits = {0};
    struct diag diag = {0};
    uint32_t id;
    if (function_exits_find(finding->object, function, &exits, &diag)) {
        char reason[sizeof(diag.what) + 128];
        snprintf(reason, sizeof(reason),
                 "a return probe could end the program (%s), and its exits are not known: %s",
                 object_file_unwinds(finding->object) ? "an exception may pass"
                                                      : "a seccomp filter may see it",
                 diag.what);
        refuse(finding, function->name, reason);
        finding->report->forcible = true;
        return;
    }
    if (make_probe(finding, base_name, &id))
        return;
    int error = add_entry(finding, &finding->entries, function, id);
    for (size_t i = 0; i < exits.count && !error; i++) {
        const struct attach_place at_exit = {
            .offset = exits.file_offsets[i], .name = function->name, .probe = id};
        error = add_place(finding, &finding->exits, &at_exit);
    }
}

static void on_function(const struct object_function *function, const char *base_name,
                        void *context)
{
    struct finding *finding = context;
    const struct attach_request *request = &finding->watch->request;
    /* Where a changed return address ends the program. */
    bool spare_return = object_file_unwinds(finding->object) ||
                        probe_set_has_hazard(finding->set, HAZARD_FILTERED_TRAMPOLINE);
    uint32_t id;
    if (finding->error)
        return;
    finding->matched++;
    if (function->is_ifunc && !request->force) {
        refuse(finding, function->name,
               "it only chooses an implementation at start-up (ifunc); watch the implementation");
        finding->report->forcible = true;
        return;
    }
    if (object_file_is_go(finding->object) && !request->force) {
        refuse(finding, function->name,
               "Go code: a return probe corrupts its stacks, which the runtime moves");
        finding->report->forcible = true;
        return;
    }
    bool by_exits = request->attach == ATTACH_UPROBE_EXITS || (!request->force && spare_return);
    if (by_exits) {
        add_exits(finding, function, base_name);
    } else if (make_probe(finding, base_name, &id) == 0) {
        (void)!add_entry(finding, &finding->returns, function, id);
    }
}

static const char *name_at(const struct place_list *list, const struct attach_place *place)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->places[i].probe == place->probe && list->places[i].offset == place->offset)
            return list->places[i].name;
    return NULL;
}

static void on_refused(const struct attach_place *place, int error, void *context)
{
    struct finding *finding = context;
    const struct place_list *const lists[] = {&finding->returns, &finding->entries,
                                              &finding->exits};
    const char *name = NULL;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !name; i++)
        name = name_at(lists[i], place);
    refuse(finding, name ? name : "a place", attach_error_text(error));
    probe_set_unplaced(finding->set, place->probe);
}

static void mark_unplaced(struct finding *finding, const struct place_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        probe_set_unplaced(finding->set, list->places[i].probe);
}

static int remember_places(struct finding *finding, const struct place_list *list, unsigned kind,
                           bool is_exit)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct attach_place *place = &list->places[i];
        int error = linked_places_add(&finding->file.places, place, kind, is_exit,
                                      probe_set_is_own(finding->set, place->probe));
        if (error)
            return diag_set(finding->reterr_diag, -error, "out of memory");
    }
    return 0;
}

/* Links the entries, with their exits where they have some; nothing is left of a kind that the
 * kernel lacks. */
static int link_places(struct finding *finding, enum attach_kind shown, unsigned kind,
                       const struct place_list *entries, const struct place_list *exits)
{
    const struct attach_job job = {finding->set->side, &finding->set->trials, NULL, on_refused,
                                   finding};
    size_t before = finding->file.places.count;
    for (size_t i = 0; i < entries->count; i++)
        probe_set_placed(finding->set, &entries->places[i], shown);
    int error = remember_places(finding, entries, kind, false);
    if (!error && exits)
        error = remember_places(finding, exits, kind, true);
    if (!error)
        error = probe_set_link(finding->set, &finding->file, &job, finding->reterr_diag);
    if (error) {
        mark_unplaced(finding, entries);
        if (error == -EOPNOTSUPP)
            linked_places_forget(&finding->file.places, before);
    }
    return error;
}

static int link_returns(struct finding *finding)
{
    static const enum attach_kind ladder[] = {ATTACH_UPROBE_SESSION, ATTACH_UPROBE_MULTI,
                                              ATTACH_UPROBE};
    enum attach_kind wanted = finding->watch->request.attach;
    int error = -EOPNOTSUPP;
    for (size_t i = 0; i < sizeof(ladder) / sizeof(ladder[0]) && error == -EOPNOTSUPP; i++)
        if (wanted == ATTACH_AUTO || wanted == ladder[i])
            error = link_places(finding, ladder[i], ladder[i], &finding->returns, NULL);
    return error;
}

static int link_found(struct finding *finding)
{
    int error = finding->returns.count > 0 ? link_returns(finding) : 0;
    if (error || finding->entries.count == 0)
        return error;
    return link_places(finding, ATTACH_UPROBE_EXITS, ATTACH_UPROBE_EXITS, &finding->entries,
                       &finding->exits);
}

/* Holds on to the very file that was read, whatever its path means by now. */
static int pin_file(struct finding *finding)
{
    const struct object_file *object = finding->object;
    struct diag *reterr_diag = finding->reterr_diag;
    dev_t device;
    ino_t inode;
    struct stat now;
    object_file_inode(object, &device, &inode);
    _cleanup_close_ int fd = open(object_file_path(object), O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &now))
        return diag_set(reterr_diag, errno, "cannot open %s: %s", object_file_path(object),
                        strerror(errno));
    if (now.st_dev != device || now.st_ino != inode)
        return diag_set(reterr_diag, EAGAIN, "%s was replaced while it was read",
                        object_file_path(object));
    finding->file = (struct watched_file){.seen = now, .places.fd = take_fd(&fd)};
    return 0;
}

static int remember_file(struct finding *finding)
{
    struct watch *watch = finding->watch;
    if (watch->request.target.object_pid)
        return watch_add_other(watch, &finding->file);
    char *path = strdup(object_file_path(finding->object));
    if (!path)
        return -ENOMEM;
    free(watch->path);
    watch->path = path;
    watched_files_add(&watch->files, &finding->file);
    return 0;
}

static bool nop5_becomes_call(void *set)
{
    return probe_set_has_hazard(set, HAZARD_NOP5_RED_ZONE);
}

static int attach_functions_of(struct finding *finding, const char *path)
{
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    const char *pattern = finding->watch->request.target.name;
    int error = object_file_open(path, &object, finding->reterr_diag);
    if (error)
        return error;
    finding->object = object;
    const struct placement_options options = {.nop5_becomes_call = nop5_becomes_call,
                                              .context = finding->set};
    error = probe_placement_new(object, &options, &finding->chooser);
    if (error)
        return diag_set(finding->reterr_diag, -error, "out of memory");
    object_file_match(object, pattern, on_function, finding);
    if (finding->error)
        return finding->error;
    if (finding->matched == 0)
        return object_file_not_found(object, pattern, finding->reterr_diag);
    error = pin_file(finding);
    if (!error)
        error = link_found(finding);
    return error ? error : remember_file(finding);
}

static int check_user_kind(const struct watch *watch, struct diag *reterr_diag)
{
    switch (watch->request.attach) {
    case ATTACH_AUTO:
    case ATTACH_UPROBE:
    case ATTACH_UPROBE_MULTI:
    case ATTACH_UPROBE_SESSION:
    case ATTACH_UPROBE_EXITS:
        return 0;
    default:
        diag_set(reterr_diag, EINVAL, "%s is no way to attach a user function",
                 attach_kind_name(watch->request.attach));
        diag_hint(reterr_diag, "choose uprobe-session, uprobe-multi, uprobe, uprobe-exits or auto");
        return -EINVAL;
    }
}

/* One after the other, the files that a process has mapped. */
struct pid_search {
    struct probe_set *set;
    struct watch *watch;
    struct attach_report *report;
    size_t matched;
    int error;
    struct diag diag;
};

static void on_pid_object(const char *path, const char *seen_path, void *context)
{
    struct pid_search *search = context;
    struct diag diag = {0};
    (void)seen_path;
    _cleanup_(finding_done) struct finding finding = {.set = search->set,
                                                      .watch = search->watch,
                                                      .report = search->report,
                                                      .reterr_diag = &diag,
                                                      .file.places.fd = -1};
    int error = attach_functions_of(&finding, path);
    search->matched += finding.matched;
    if (error && (finding.matched > 0 || !search->error)) {
        search->error = error;
        search->diag = diag;
    }
}

static int attach_pid(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag)
{
    struct pid_search search = {.set = set, .watch = watch, .report = report};
    const struct target *target = &watch->request.target;
    int error = object_files_of_pid(target->object_pid, on_pid_object, &search, reterr_diag);
    if (error)
        return error;
    if (search.matched > 0 && watch->others_count > 0)
        return 0;
    if (search.matched > 0) {
        *reterr_diag = search.diag;
        return search.error ? search.error : -EOPNOTSUPP;
    }
    diag_set(reterr_diag, ENOENT, "no function '%s' in any file that process %d has mapped",
             target->name, target->object_pid);
    diag_hint(reterr_diag, "try: loris list 'user:pid:%d:*%s*'", target->object_pid, target->name);
    return -ENOENT;
}

int watch_attach_user(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag)
{
    char path[PATH_MAX];
    int error = check_user_kind(watch, reterr_diag);
    if (error)
        return error;
    if (watch->request.target.object_pid)
        return attach_pid(set, watch, report, reterr_diag);
    _cleanup_(finding_done) struct finding finding = {.set = set,
                                                      .watch = watch,
                                                      .report = report,
                                                      .reterr_diag = reterr_diag,
                                                      .file.places.fd = -1};
    error = object_file_resolve(watch->request.target.object, "", path, reterr_diag);
    return error ? error : attach_functions_of(&finding, path);
}

/* --- static marks ---------------------------------------------------------------------------- */

static void suggest_marks(struct finding *finding, const char *mark_name)
{
    const struct object_mark *marks;
    const struct target *target = &finding->watch->request.target;
    size_t count = object_file_marks(finding->object, &marks);
    const char *nearest = NULL;
    unsigned least = SUGGEST_DISTANCE_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(marks[i].name, mark_name, SUGGEST_DISTANCE_MAX);
        if (strcmp(marks[i].provider, target->provider) == 0 && distance < least) {
            least = distance;
            nearest = marks[i].name;
        }
    }
    if (nearest)
        diag_hint(finding->reterr_diag, "nearest name: %s", nearest);
    else
        diag_hint(finding->reterr_diag, "try: loris list 'usdt:%s'", target->object);
}

/* A five-byte nop at the mark, which the kernel turns into a call. */
static bool is_nop5(const struct object_file *object, uint64_t file_offset)
{
    static const unsigned char nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
    unsigned char bytes[sizeof(nop5)];
    _cleanup_close_ int fd =
        open(object_file_path(object), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd >= 0 &&
           pread(fd, bytes, sizeof(bytes), (off_t)file_offset) == (ssize_t)sizeof(bytes) &&
           memcmp(bytes, nop5, sizeof(nop5)) == 0;
}

static bool mark_is_dangerous(struct finding *finding, const struct object_mark *mark)
{
    if (finding->watch->request.force || !is_nop5(finding->object, mark->file_offset) ||
        !probe_set_has_hazard(finding->set, HAZARD_NOP5_RED_ZONE))
        return false;
    refuse(finding, mark->name,
           "this kernel makes a call of a five-byte nop, which overwrites the stack's red zone");
    finding->report->forcible = true;
    return true;
}

static int add_marks(struct finding *finding, struct place_list *list, const char *mark_name,
                     uint32_t probe)
{
    const struct object_mark *marks;
    const struct target *target = &finding->watch->request.target;
    size_t count = object_file_marks(finding->object, &marks);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(marks[i].provider, target->provider) != 0 ||
            strcmp(marks[i].name, mark_name) != 0)
            continue;
        found++;
        if (mark_is_dangerous(finding, &marks[i]))
            continue;
        const struct attach_place place = {.offset = marks[i].file_offset,
                                           .semaphore = marks[i].semaphore_offset,
                                           .name = marks[i].name,
                                           .probe = probe};
        if (place_list_add(list, place))
            return diag_set(finding->reterr_diag, ENOMEM, "out of memory");
    }
    if (found > 0)
        return 0;
    diag_set(finding->reterr_diag, ENOENT, "no static mark %s:%s in %s", target->provider,
             mark_name, object_file_path(finding->object));
    suggest_marks(finding, mark_name);
    return -ENOENT;
}

int watch_attach_usdt(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag)
{
    char path[PATH_MAX];
    char suffix[3 * TARGET_TEXT_MAX + 8];
    uint32_t id;
    const struct target *target = &watch->request.target;
    _cleanup_(object_file_free_cleanup) struct object_file *object = NULL;
    _cleanup_(finding_done) struct finding finding = {.set = set,
                                                      .watch = watch,
                                                      .report = report,
                                                      .reterr_diag = reterr_diag,
                                                      .file.places.fd = -1};
    int error = check_user_kind(watch, reterr_diag);
    if (!error)
        error = object_file_resolve(target->object, "", path, reterr_diag);
    if (!error)
        error = object_file_open(path, &object, reterr_diag);
    if (error)
        return error;
    finding.object = object;
    snprintf(suffix, sizeof(suffix), "%s:%s..%s", target->provider, target->name, target->end_name);
    error = make_probe(&finding, suffix, &id);
    if (error == -EEXIST)
        return diag_set(reterr_diag, EEXIST, "%s is watched already", target->text);
    if (!error)
        error = add_marks(&finding, &finding.entries, target->name, id);
    if (!error)
        error = add_marks(&finding, &finding.exits, target->end_name, id);
    if (!error)
        error = pin_file(&finding);
    if (error)
        return error;
    if (finding.entries.count == 0 || finding.exits.count == 0)
        return 0; /* refused, and said so: a probe without places is none */
    error = link_places(&finding, ATTACH_UPROBE_MULTI, LINKED_PLACE_MARK, &finding.entries,
                        &finding.exits);
    return error ? error : remember_file(&finding);
}
