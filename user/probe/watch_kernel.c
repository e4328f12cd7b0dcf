/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches kernel functions: finds them, and walks down the ladder until each is held. */
#include <errno.h>
#include <string.h>

#include "probe/attach_error.h"
#include "probe/kernel_functions.h"
#include "probe/probe_set_internal.h"

/* Each function through fentry costs two loaded programs; more go through one link. */
#define FENTRY_FUNCTIONS_MAX 16

struct finding {
    struct probe_set *set;
    struct watch *watch;
    struct attach_report *report;
    struct diag *reterr_diag;
    struct place_list places;   /* names owned */
    struct watched_file kernel; /* no file: the functions that are linked */
    int error;
};

/* Symbols as the kernel has them: clones carry a suffix, module functions a module. */
static void on_function(const char *symbol, void *context)
{
    struct finding *finding = context;
    char name[TARGET_TEXT_MAX];
    uint32_t id;
    struct diag diag = {0};
    if (finding->error)
        return;
    int base_length = (int)strcspn(symbol, ". ");
    const char *denied = kernel_function_denied(symbol);
    if (denied) {
        finding->report->refused++;
        attach_report_add(finding->report, "kernel:%.*s is refused: %s", base_length, symbol,
                          denied);
        return;
    }
    snprintf(name, sizeof(name), "kernel:%.*s", base_length, symbol);
    int error = probe_set_make(finding->set, finding->watch, name, "", &id, &diag);
    if (error == -EEXIST) {
        attach_report_add(finding->report, "%s", diag.what);
        return;
    }
    char *own_symbol = error ? NULL : strndup(symbol, strcspn(symbol, " "));
    if (!error && !own_symbol)
        error = -ENOMEM;
    if (!error) {
        struct attach_place place = {.name = own_symbol, .probe = id};
        error = place_list_add(&finding->places, place);
        if (error)
            free(own_symbol);
    }
    if (error) {
        finding->error = error;
        *finding->reterr_diag = diag;
    }
}

static void finding_done(struct finding *finding)
{
    for (size_t i = 0; i < finding->places.count; i++)
        free((char *)finding->places.places[i].name);
    place_list_done(&finding->places);
    watched_file_done(&finding->kernel);
}

/* One rung: what it could not hold goes on to the next one. */
struct rung {
    struct probe_set *set;
    const struct place_list *tried;
    struct place_list leftover; /* names are those of `tried` */
    int last_error;
};

/* The place is a copy whose name will go. */
static void on_refused(const struct attach_place *place, int error, void *context)
{
    struct rung *rung = context;
    rung->last_error = error;
    probe_set_unplaced(rung->set, place->probe);
    for (size_t i = 0; i < rung->tried->count; i++) {
        const struct attach_place *tried = &rung->tried->places[i];
        if (tried->probe != place->probe || strcmp(tried->name, place->name) != 0)
            continue;
        if (place_list_add(&rung->leftover, *tried))
            rung->last_error = -ENOMEM;
        return;
    }
}

/* Links all that the rung holds. -EOPNOTSUPP: the kernel lacks it. */
static int try_rung(struct finding *finding, enum attach_kind kind, struct rung *rung)
{
    struct linked_places *linked = &finding->kernel.places;
    size_t before = linked->count;
    int error = 0;
    for (size_t i = 0; i < rung->tried->count && !error; i++) {
        const struct attach_place *place = &rung->tried->places[i];
        error = linked_places_add(linked, place, kind, false,
                                  probe_set_is_own(finding->set, place->probe));
    }
    if (error) {
        linked_places_forget(linked, before);
        return diag_set(finding->reterr_diag, -error, "out of memory");
    }
    for (size_t i = 0; i < rung->tried->count; i++)
        probe_set_placed(finding->set, &rung->tried->places[i], kind);
    const struct attach_job job = {finding->set->side, &finding->set->trials, NULL, on_refused,
                                   rung};
    error = probe_set_link(finding->set, &finding->kernel, &job, finding->reterr_diag);
    if (!error)
        return 0;
    linked_places_forget(linked, before);
    for (size_t i = 0; i < rung->leftover.count; i++) /* these were taken back before */
        probe_set_placed(finding->set, &rung->leftover.places[i], kind);
    for (size_t i = 0; i < rung->tried->count; i++)
        probe_set_unplaced(finding->set, rung->tried->places[i].probe);
    place_list_done(&rung->leftover);
    return error;
}

static size_t ladder_for(enum attach_kind wanted, size_t count, enum attach_kind out[4])
{
    size_t rungs = 0;
    if (wanted != ATTACH_AUTO) {
        out[rungs++] = wanted;
        return rungs;
    }
    if (count > FENTRY_FUNCTIONS_MAX)
        out[rungs++] = ATTACH_KPROBE_SESSION;
    if (count <= FENTRY_FUNCTIONS_MAX)
        out[rungs++] = ATTACH_FENTRY;
    out[rungs++] = ATTACH_KPROBE_MULTI;
    out[rungs++] = ATTACH_KPROBE;
    return rungs;
}

static int climb_down(struct finding *finding)
{
    enum attach_kind ladder[4];
    size_t rungs = ladder_for(finding->watch->request.attach, finding->places.count, ladder);
    _cleanup_(place_list_done) struct place_list leftover = {0};
    const struct place_list *open = &finding->places;
    int error = 0;
    int last_error = -EOPNOTSUPP;
    for (size_t i = 0; i < rungs && open->count > 0; i++) {
        struct rung rung = {finding->set, open, {0}, 0};
        error = try_rung(finding, ladder[i], &rung);
        if (error) /* the whole rung is missing: all go on to the next */
            continue;
        place_list_done(&leftover);
        leftover = rung.leftover;
        open = &leftover;
        if (rung.last_error)
            last_error = rung.last_error;
    }
    for (size_t i = 0; !error && i < open->count; i++) {
        finding->report->refused++;
        attach_report_add(finding->report, "kernel function %s was refused by the kernel: %s",
                          open->places[i].name, attach_error_text(last_error));
    }
    return error ? error : watch_add_other(finding->watch, &finding->kernel);
}

static int refuse_foreign_kind(const struct watch *watch, struct diag *reterr_diag)
{
    switch (watch->request.attach) {
    case ATTACH_AUTO:
    case ATTACH_FENTRY:
    case ATTACH_KPROBE:
    case ATTACH_KPROBE_MULTI:
    case ATTACH_KPROBE_SESSION:
        return 0;
    default:
        diag_set(reterr_diag, EINVAL, "%s is no way to attach a kernel function",
                 attach_kind_name(watch->request.attach));
        diag_hint(reterr_diag, "choose fentry, kprobe, kprobe-multi, kprobe-session or auto");
        return -EINVAL;
    }
}

/* Says so at once where no rung holds: listing 50,000 functions first would help nobody. */
static int find_a_rung(struct probe_set *set, const struct watch *watch, struct diag *reterr_diag)
{
    static const enum attach_kind kinds[] = {ATTACH_FENTRY, ATTACH_KPROBE_SESSION,
                                             ATTACH_KPROBE_MULTI, ATTACH_KPROBE};
    const char *text = watch->request.target.text;
    enum attach_kind wanted = watch->request.attach;
    struct diag refusal = {0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((wanted == ATTACH_AUTO || wanted == kinds[i]) &&
            attach_kind_try(&set->trials, set->side, kinds[i], &refusal) == 0)
            return 0;
    if (wanted != ATTACH_AUTO)
        return diag_set(reterr_diag, EOPNOTSUPP, "%s cannot be attached through %s: %s", text,
                        attach_kind_name(wanted), refusal.what);
    return diag_set(reterr_diag, EOPNOTSUPP,
                    "%s: this kernel takes neither fentry nor kprobes (locked down, or built "
                    "without CONFIG_KPROBES)",
                    text);
}

int watch_attach_kernel(struct probe_set *set, struct watch *watch, struct attach_report *report,
                        struct diag *reterr_diag)
{
    const struct target *target = &watch->request.target;
    _cleanup_(kernel_functions_free_cleanup) struct kernel_functions *functions = NULL;
    int error = refuse_foreign_kind(watch, reterr_diag);
    if (!error)
        error = find_a_rung(set, watch, reterr_diag);
    if (!error)
        error = kernel_functions_open(&functions, reterr_diag);
    if (error)
        return error;
    _cleanup_(finding_done) struct finding finding = {.set = set,
                                                      .watch = watch,
                                                      .report = report,
                                                      .reterr_diag = reterr_diag,
                                                      .kernel.places.fd = -1};
    const char *denied = kernel_function_denied(target->name);
    if (denied)
        return diag_set(reterr_diag, EOPNOTSUPP, "kernel:%s is refused: %s", target->name, denied);
    if (kernel_functions_match(functions, target->name, on_function, &finding) == 0) {
        diag_set(reterr_diag, ENOENT, "no kernel function '%s' that can be attached", target->name);
        kernel_functions_suggest(functions, target->name, reterr_diag);
        return -ENOENT;
    }
    return finding.error ? finding.error : climb_down(&finding);
}
