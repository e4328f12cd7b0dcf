/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/calibration_load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

/* The last numbers that syscall_probes holds; no kernel is near them. */
#define ABSENT_SYSCALL      (LORIS_SYSCALLS_MAX - 1)
#define ABSENT_SYSCALL_BARE (LORIS_SYSCALLS_MAX - 2)
/* A kernel function that does next to nothing, that BTF knows, and that getpid calls once and
 * getuid does not; processes that start or end call it as well. */
#define KERNEL_FUNCTION      "__task_pid_nr_ns"
#define KERNEL_FUNCTION_CALL SYS_getpid
#define KERNEL_FUNCTION_BARE SYS_getuid

#define UNTRACED_CHUNKS      8
#define UNTRACED_CHUNK_CALLS 16

_Static_assert(ATTACH_UPROBE_EXITS - ATTACH_UPROBE == CALIBRATION_COPIES - 1, "a copy for each");

static bool is_user_kind(enum attach_kind kind)
{
    return kind == ATTACH_UPROBE || kind == ATTACH_UPROBE_MULTI || kind == ATTACH_UPROBE_SESSION ||
           kind == ATTACH_UPROBE_EXITS;
}

static bool is_mark(enum calibration_place place)
{
    return place == CALIBRATION_MARK || place == CALIBRATION_MARK_NOP5;
}

uint32_t calibration_load_probe(const struct kernel_side *side)
{
    return kernel_side_config(side)->probes_max;
}

/* --- calling --------------------------------------------------------------------------------- */

void calibration_loop_run(const struct calibration_loop *loop, enum calibration_loop_side side,
                          unsigned calls)
{
    void (*function)(void) = loop->functions[side];
    long number = loop->numbers[side];
    if (function)
        for (unsigned i = 0; i < calls; i++)
            function();
    else
        for (unsigned i = 0; i < calls; i++)
            (void)syscall(number);
}

static size_t linked_functions(const struct calibration_load *load, enum attach_kind kind,
                               enum calibration_place place,
                               struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX])
{
    unsigned copy = (unsigned)kind - ATTACH_UPROBE;
    size_t count = calibration_code_functions(&load->code, copy, place, functions);
    return kind == ATTACH_UPROBE && count > 1 ? 1 : count;
}

struct calibration_loop calibration_load_loop(const struct calibration_load *load,
                                              enum attach_kind kind, enum calibration_place place,
                                              unsigned turn)
{
    if (kind == ATTACH_RAW_TRACEPOINT)
        return (struct calibration_loop){.numbers = {ABSENT_SYSCALL_BARE, ABSENT_SYSCALL}};
    if (!is_user_kind(kind))
        return (struct calibration_loop){.numbers = {KERNEL_FUNCTION_BARE, KERNEL_FUNCTION_CALL}};
    struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX];
    size_t count = linked_functions(load, kind, place, functions);
    const struct calibration_function *chosen = &functions[turn % count];
    return (struct calibration_loop){.functions = {chosen->bare, chosen->probed}};
}

/* The least of some chunks, per call. */
static double absent_syscall_ns(void)
{
    const struct calibration_loop loop = {.numbers = {ABSENT_SYSCALL_BARE}};
    uint64_t least_ns = UINT64_MAX;
    for (int i = 0; i < UNTRACED_CHUNKS; i++) {
        uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);
        calibration_loop_run(&loop, CALIBRATION_LOOP_BARE, UNTRACED_CHUNK_CALLS);
        uint64_t took_ns = clock_now_ns(CLOCK_MONOTONIC) - began_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    return (double)least_ns / UNTRACED_CHUNK_CALLS;
}

double calibration_load_shared_ns(const struct calibration_load *load, enum attach_kind kind)
{
    if (kind != ATTACH_RAW_TRACEPOINT)
        return 0;
    double more_ns = absent_syscall_ns() - load->untraced_ns;
    return more_ns > 0 ? more_ns : 0;
}

/* --- attaching ------------------------------------------------------------------------------- */

void calibration_load_init(struct calibration_load *load, struct kernel_side *side,
                           struct attach_trials *trials)
{
    *load = (struct calibration_load){
        .side = side, .trials = trials, .code.fd = -1, .untraced_ns = absent_syscall_ns()};
}

void calibration_load_done(struct calibration_load *load)
{
    for (size_t kind = 0; kind < ATTACH_KINDS; kind++)
        for (size_t place = 0; place < CALIBRATION_PLACES; place++)
            link_set_done(&load->attachments[kind][place].links);
    calibration_code_done(&load->code);
}

/* The places that are attached together are kept with the first of them. */
static enum calibration_place group_of(enum attach_kind kind, enum calibration_place place)
{
    if (kind == ATTACH_UPROBE)
        return place;
    return is_user_kind(kind) && is_mark(place) ? CALIBRATION_MARK : CALIBRATION_PLACE_ANY;
}

#define PLACES_MAX (CALIBRATION_PLACES * CALIBRATION_FUNCTIONS_MAX)

/* What is linked together: two edges of functions, by file offset. */
struct edges {
    struct attach_place entries[PLACES_MAX];
    struct attach_place ends[PLACES_MAX];
    size_t count;
};

static void add_edges(const struct calibration_load *load, enum attach_kind kind,
                      enum calibration_place place, struct edges *edges)
{
    struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX];
    size_t count = linked_functions(load, kind, place, functions);
    uint32_t probe = calibration_load_probe(load->side);
    for (size_t i = 0; i < count; i++) {
        uint64_t end = is_mark(place) ? functions[i].mark : functions[i].exit;
        edges->entries[edges->count] =
            (struct attach_place){.offset = functions[i].entry, .probe = probe};
        edges->ends[edges->count++] = (struct attach_place){.offset = end, .probe = probe};
    }
}

static void on_refused(const struct attach_place *place, int error, void *context)
{
    (void)place;
    *(int *)context = error;
}

static int attach_user(struct calibration_load *load, enum attach_kind kind,
                       enum calibration_place place, const struct attach_job *job,
                       struct diag *reterr_diag)
{
    struct edges edges = {.count = 0};
    if (!load->code.pages) {
        int error = calibration_code_init(&load->code, reterr_diag);
        if (error)
            return error;
    }
    for (unsigned i = 0; i < CALIBRATION_PLACES; i++)
        if (group_of(kind, (enum calibration_place)i) == group_of(kind, place))
            add_edges(load, kind, (enum calibration_place)i, &edges);
    if (is_mark(place))
        return attach_user_marks(job, load->code.path, edges.entries, edges.count, edges.ends,
                                 edges.count, reterr_diag);
    if (kind == ATTACH_UPROBE_EXITS)
        return attach_user_exits(job, load->code.path, edges.entries, edges.count, edges.ends,
                                 edges.count, reterr_diag);
    return attach_user_functions(job, kind, load->code.path, edges.entries, edges.count,
                                 reterr_diag);
}

static void call_all(const struct calibration_load *load, enum attach_kind kind,
                     enum calibration_place group)
{
    for (unsigned place = 0; place < CALIBRATION_PLACES; place++) {
        struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX];
        if (group_of(kind, (enum calibration_place)place) != group)
            continue;
        size_t count = linked_functions(load, kind, (enum calibration_place)place, functions);
        for (size_t i = 0; i < count; i++)
            functions[i].probed();
    }
}

static void on_trap(int number)
{
    (void)number;
    _exit(1);
}

/* Whether a probed call comes back, tried by a child. Under valgrind and others that translate code
 * the breakpoint is an instruction of the program; a seccomp filter may see the return. */
static bool call_returns(const struct calibration_load *load, enum attach_kind kind,
                         enum calibration_place group)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_DUMPABLE, 0); /* no core file of us */
        signal(SIGTRAP, on_trap);
        call_all(load, kind, group);
        _exit(0);
    }
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

static int attach(struct calibration_load *load, enum attach_kind kind,
                  enum calibration_place place, struct link_set *links, struct diag *reterr_diag)
{
    int refused = 0;
    const struct attach_job job = {load->side, load->trials, links, on_refused, &refused};
    const struct attach_place function = {.name = KERNEL_FUNCTION,
                                          .probe = calibration_load_probe(load->side)};
    int error = is_user_kind(kind) ? attach_user(load, kind, place, &job, reterr_diag)
                                   : attach_kernel_functions(&job, kind, &function, 1, reterr_diag);
    if (!error && refused)
        error =
            diag_set(reterr_diag, -refused, "the kernel refuses the probe: %s", strerror(-refused));
    if (!error && is_user_kind(kind) && !call_returns(load, kind, group_of(kind, place)))
        error = diag_set(reterr_diag, EOPNOTSUPP, "a probed call of this process does not return");
    if (error)
        link_set_cut(links, 0);
    return error;
}

/* The number gets the calibration's probe, or none. */
static int watch_absent_syscall(const struct calibration_load *load, bool watch)
{
    uint32_t number = ABSENT_SYSCALL;
    uint32_t probe_plus1 = watch ? calibration_load_probe(load->side) + 1 : 0;
    int fd = kernel_side_map(load->side, KERNEL_MAP_SYSCALL_PROBES);
    return bpf_map_update_elem(fd, &number, &probe_plus1, BPF_ANY) ? -errno : 0;
}

int calibration_load_attach(struct calibration_load *load, enum attach_kind kind,
                            enum calibration_place place, struct diag *reterr_diag)
{
    if (kind == ATTACH_RAW_TRACEPOINT) {
        int error = watch_absent_syscall(load, true);
        return error ? diag_set(reterr_diag, -error, "cannot watch a system call: %s",
                                strerror(-error))
                     : 0;
    }
    if (kind == ATTACH_AUTO || kind == ATTACH_TRACEPOINTS)
        return diag_set(reterr_diag, EOPNOTSUPP, "there is nothing to call");
    struct calibration_attachment *attachment = &load->attachments[kind][group_of(kind, place)];
    if (attachment->error)
        return diag_set(reterr_diag, -attachment->error, "it was refused before");
    if (attachment->links.count == 0)
        attachment->error = attach(load, kind, place, &attachment->links, reterr_diag);
    return attachment->error;
}

void calibration_load_settle(struct calibration_load *load, enum attach_kind kind)
{
    if (kind == ATTACH_RAW_TRACEPOINT)
        (void)!watch_absent_syscall(load, false);
    else if (!is_user_kind(kind))
        link_set_cut(&load->attachments[kind][CALIBRATION_PLACE_ANY].links, 0);
}

bool calibration_load_stays(enum attach_kind kind)
{
    return is_user_kind(kind) || kind == ATTACH_RAW_TRACEPOINT;
}
