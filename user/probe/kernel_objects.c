/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel_objects.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "core.skel.h"
#include "fentry.skel.h"
#include "heap.skel.h"
#include "kmem.skel.h"
#include "kprobe.skel.h"
#include "maps.skel.h"
#include "open.skel.h"
#include "session.skel.h"
#include "session_ctx.skel.h"
#include "tracepoints.skel.h"
#include "user.skel.h"
#pragma GCC diagnostic pop

struct program_spec {
    const char *name;
    enum kernel_group group;
    const char *tracepoint; /* of tp_btf programs, to leave out what this kernel lacks */
    int attach_type;        /* expected attach type where the section name does not say */
};

static const struct program_spec program_specs[KERNEL_PROGRAMS] = {
    [KERNEL_SYSCALL_ENTRY] = {"on_syscall_entry", KERNEL_GROUP_SYSCALLS, NULL, 0},
    [KERNEL_SYSCALL_EXIT] = {"on_syscall_exit", KERNEL_GROUP_SYSCALLS, NULL, 0},
    [KERNEL_REQUEST_ISSUE] = {"on_request_issue", KERNEL_GROUP_BLOCK_IO, "block_rq_issue", 0},
    [KERNEL_REQUEST_REQUEUE] = {"on_request_requeue", KERNEL_GROUP_BLOCK_IO, "block_rq_requeue", 0},
    [KERNEL_REQUEST_COMPLETE] = {"on_request_complete", KERNEL_GROUP_BLOCK_IO, "block_rq_complete",
                                 0},
    [KERNEL_WAKEUP] = {"on_wakeup", KERNEL_GROUP_RUN_QUEUE, "sched_wakeup", 0},
    [KERNEL_WAKEUP_NEW] = {"on_wakeup_new", KERNEL_GROUP_RUN_QUEUE, "sched_wakeup_new", 0},
    [KERNEL_SWITCH] = {"on_switch", KERNEL_GROUP_RUN_QUEUE, "sched_switch", 0},
    [KERNEL_SOFTIRQ_ENTRY] = {"on_softirq_entry", KERNEL_GROUP_SOFTIRQ, "softirq_entry", 0},
    [KERNEL_SOFTIRQ_EXIT] = {"on_softirq_exit", KERNEL_GROUP_SOFTIRQ, "softirq_exit", 0},
    [KERNEL_IRQ_ENTRY] = {"on_irq_entry", KERNEL_GROUP_IRQ, "irq_handler_entry", 0},
    [KERNEL_IRQ_EXIT] = {"on_irq_exit", KERNEL_GROUP_IRQ, "irq_handler_exit", 0},
    [KERNEL_PROCESS_FORK] = {"on_process_fork", KERNEL_GROUP_CORE, "sched_process_fork", 0},
    [KERNEL_PROCESS_EXEC] = {"on_process_exec", KERNEL_GROUP_CORE, "sched_process_exec", 0},
    [KERNEL_PROCESS_EXIT] = {"on_process_exit", KERNEL_GROUP_CORE, "sched_process_exit", 0},
    [KERNEL_PROCESS_RENAME] = {"on_process_rename", KERNEL_GROUP_CORE, "task_rename", 0},
    [KERNEL_CGROUP_MKDIR] = {"on_cgroup_mkdir", KERNEL_GROUP_CORE, "cgroup_mkdir", 0},
    [KERNEL_CGROUP_RMDIR] = {"on_cgroup_rmdir", KERNEL_GROUP_CORE, "cgroup_rmdir", 0},
    [KERNEL_CGROUP_ATTACH] = {"on_cgroup_attach", KERNEL_GROUP_CORE, "cgroup_attach_task", 0},
    [KERNEL_EACH_PROCESS] = {"on_each_process", KERNEL_GROUP_CORE, NULL, 0},
    [KERNEL_EACH_OPEN] = {"on_each_open", KERNEL_GROUP_OPEN_CALLS, NULL, 0},
    [KERNEL_USER_ENTRY] = {"on_user_entry", KERNEL_GROUP_USER, NULL, 0},
    [KERNEL_USER_RETURN] = {"on_user_return", KERNEL_GROUP_USER, NULL, 0},
    [KERNEL_USER_EXIT] = {"on_user_exit", KERNEL_GROUP_USER_EXITS, NULL, 0},
    [KERNEL_UMULTI_ENTRY] = {"on_umulti_entry", KERNEL_GROUP_UMULTI, NULL,
                             KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_UMULTI_RETURN] = {"on_umulti_ret", KERNEL_GROUP_UMULTI_RETURNS, NULL,
                              KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_UMULTI_EXIT] = {"on_umulti_exit", KERNEL_GROUP_UMULTI, NULL,
                            KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_MARK_BEGIN] = {"on_mark_begin", KERNEL_GROUP_MARKS, NULL, 0},
    [KERNEL_MARK_END] = {"on_mark_end", KERNEL_GROUP_MARKS, NULL, 0},
    [KERNEL_MMARK_BEGIN] = {"on_mmark_begin", KERNEL_GROUP_MMARKS, NULL,
                            KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_MMARK_END] = {"on_mmark_end", KERNEL_GROUP_MMARKS, NULL, KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_KPROBE_ENTRY] = {"on_kprobe_entry", KERNEL_GROUP_KPROBE, NULL, 0},
    [KERNEL_KPROBE_RETURN] = {"on_kprobe_ret", KERNEL_GROUP_KPROBE, NULL, 0},
    [KERNEL_KMULTI_ENTRY] = {"on_kmulti_entry", KERNEL_GROUP_KMULTI, NULL,
                             KERNEL_ATTACH_KPROBE_MULTI},
    [KERNEL_KMULTI_RETURN] = {"on_kmulti_ret", KERNEL_GROUP_KMULTI, NULL,
                              KERNEL_ATTACH_KPROBE_MULTI},
    [KERNEL_USER_SESSION] = {"on_user_session", KERNEL_GROUP_USER_SESSION, NULL,
                             KERNEL_ATTACH_UPROBE_SESSION},
    [KERNEL_KERN_SESSION] = {"on_kern_session", KERNEL_GROUP_KERN_SESSION, NULL,
                             KERNEL_ATTACH_KPROBE_SESSION},
    [KERNEL_EACH_SESSION] = {"on_each_session", KERNEL_GROUP_OPEN_SESSIONS, NULL, 0},
    [KERNEL_HEAP_ENTRY] = {"on_heap_entry", KERNEL_GROUP_HEAP, NULL, 0},
    [KERNEL_HEAP_RETURN] = {"on_heap_return", KERNEL_GROUP_HEAP, NULL, 0},
    [KERNEL_HEAP_EXIT] = {"on_heap_exit", KERNEL_GROUP_HEAP_EXITS, NULL, 0},
    [KERNEL_MHEAP_ENTRY] = {"on_mheap_entry", KERNEL_GROUP_MHEAP, NULL, KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_MHEAP_RETURN] = {"on_mheap_return", KERNEL_GROUP_MHEAP, NULL,
                             KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_MHEAP_EXIT] = {"on_mheap_exit", KERNEL_GROUP_MHEAP_EXITS, NULL,
                           KERNEL_ATTACH_UPROBE_MULTI},
    [KERNEL_HEAP_EXEC] = {"on_heap_exec", KERNEL_GROUP_HEAP_LIFE, NULL, 0},
    [KERNEL_HEAP_THREAD_EXIT] = {"on_heap_thread_exit", KERNEL_GROUP_HEAP_LIFE, NULL, 0},
    [KERNEL_CACHE_ALLOC] = {"on_cache_alloc", KERNEL_GROUP_KMEM_SLAB, NULL, 0},
    [KERNEL_CACHE_FREE] = {"on_cache_free", KERNEL_GROUP_KMEM_SLAB, NULL, 0},
    [KERNEL_KMALLOC] = {"on_kmalloc", KERNEL_GROUP_KMEM_SLAB, NULL, 0},
    [KERNEL_KFREE] = {"on_kfree", KERNEL_GROUP_KMEM_SLAB, NULL, 0},
    [KERNEL_PAGE_ALLOC] = {"on_page_alloc", KERNEL_GROUP_KMEM_PAGES, NULL, 0},
    [KERNEL_PAGE_FREE] = {"on_page_free", KERNEL_GROUP_KMEM_PAGES, NULL, 0},
};

static const char *const map_names[KERNEL_MAPS] = {
    [KERNEL_MAP_SAMPLE_LOGS] = "sample_logs",
    [KERNEL_MAP_SAMPLES] = "samples",
    [KERNEL_MAP_RARE_RINGS] = "rare_rings",
    [KERNEL_MAP_RING_WAKES] = "ring_wakes",
    [KERNEL_MAP_CONTROL] = "control",
    [KERNEL_MAP_PROBE_KNOBS] = "probe_knobs",
    [KERNEL_MAP_PROBE_LEDGER] = "probe_ledger",
    [KERNEL_MAP_RARE_LEDGER] = "rare_ledger",
    [KERNEL_MAP_SKETCH_DIRS] = "sketch_dirs",
    [KERNEL_MAP_SKETCH_COARSES] = "sketch_coarses",
    [KERNEL_MAP_SKETCH_PAGES] = "sketch_pages",
    [KERNEL_MAP_SKETCH_FREE] = "sketch_free",
    [KERNEL_MAP_FILTERS] = "filters",
    [KERNEL_MAP_FILTER_PIDS] = "filter_pids",
    [KERNEL_MAP_CALL_STACKS] = "call_stacks",
    [KERNEL_MAP_MARK_STACKS] = "mark_stacks",
    [KERNEL_MAP_SYSCALL_SLOTS] = "syscall_slots",
    [KERNEL_MAP_SYSCALL_OPEN] = "syscall_open",
    [KERNEL_MAP_RUNQUEUE_SLOTS] = "runqueue_slots",
    [KERNEL_MAP_RUNQUEUE_OPEN] = "runqueue_open",
    [KERNEL_MAP_REQUEST_OPEN] = "request_open",
    [KERNEL_MAP_INTERRUPT_OPEN] = "interrupt_open",
    [KERNEL_MAP_SYSCALL_PROBES] = "syscall_probes",
    [KERNEL_MAP_SPAN_PROBES] = "span_probes",
    [KERNEL_MAP_HEAP_ROWS] = "heap_rows",
    [KERNEL_MAP_HEAP_BLOCKS] = "heap_blocks",
    [KERNEL_MAP_HEAP_SIZES] = "heap_sizes",
    [KERNEL_MAP_HEAP_LEDGERS] = "heap_ledgers",
    [KERNEL_MAP_HEAP_LAST_ID] = "heap_last_id",
    [KERNEL_MAP_HEAP_TARGETS] = "heap_targets",
    [KERNEL_MAP_HEAP_THREADS] = "heap_threads",
    [KERNEL_MAP_KMEM_SLABS] = "kmem_slabs",
    [KERNEL_MAP_KMEM_CACHES] = "kmem_caches",
    [KERNEL_MAP_KMEM_PAGES] = "kmem_pages",
    [KERNEL_MAP_KMEM_LEDGERS] = "kmem_ledgers",
};

enum kernel_group kernel_program_group(enum kernel_program program)
{
    return program_specs[program].group;
}

struct group_spec {
    const void *(*bytes)(size_t *ret_size); /* the embedded object */
    const char *title;
};

#define USER_TITLE "the programs for user functions"
#define HEAP_TITLE "the programs for allocators"

static const struct group_spec group_specs[KERNEL_GROUPS] = {
    [KERNEL_GROUP_CORE] = {loris_core__elf_bytes, "the core programs"},
    [KERNEL_GROUP_SYSCALLS] = {loris_tracepoints__elf_bytes, "the programs for syscalls"},
    [KERNEL_GROUP_BLOCK_IO] = {loris_tracepoints__elf_bytes, "the programs for span:block-io"},
    [KERNEL_GROUP_RUN_QUEUE] = {loris_tracepoints__elf_bytes, "the programs for span:run-queue"},
    [KERNEL_GROUP_SOFTIRQ] = {loris_tracepoints__elf_bytes, "the programs for span:softirq"},
    [KERNEL_GROUP_IRQ] = {loris_tracepoints__elf_bytes, "the programs for span:irq"},
    [KERNEL_GROUP_OPEN_CALLS] = {loris_open__elf_bytes, "the iterator over open calls"},
    [KERNEL_GROUP_OPEN_SESSIONS] = {loris_open__elf_bytes, "the iterator over open sessions"},
    [KERNEL_GROUP_USER] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_USER_EXITS] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_UMULTI] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_UMULTI_RETURNS] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_MARKS] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_MMARKS] = {loris_user__elf_bytes, USER_TITLE},
    [KERNEL_GROUP_USER_SESSION] = {loris_session__elf_bytes, "the session programs"},
    [KERNEL_GROUP_KERN_SESSION] = {loris_session__elf_bytes, "the session programs"},
    [KERNEL_GROUP_FENTRY] = {loris_fentry__elf_bytes, "the fentry programs"},
    [KERNEL_GROUP_KPROBE] = {loris_kprobe__elf_bytes, "the kprobe programs"},
    [KERNEL_GROUP_KMULTI] = {loris_kprobe__elf_bytes, "the kprobe programs"},
    [KERNEL_GROUP_HEAP] = {loris_heap__elf_bytes, HEAP_TITLE},
    [KERNEL_GROUP_HEAP_EXITS] = {loris_heap__elf_bytes, HEAP_TITLE},
    [KERNEL_GROUP_MHEAP] = {loris_heap__elf_bytes, HEAP_TITLE},
    [KERNEL_GROUP_MHEAP_EXITS] = {loris_heap__elf_bytes, HEAP_TITLE},
    [KERNEL_GROUP_HEAP_LIFE] = {loris_heap__elf_bytes, HEAP_TITLE},
    [KERNEL_GROUP_KMEM_SLAB] = {loris_kmem__elf_bytes, "the programs for kmem:slab"},
    [KERNEL_GROUP_KMEM_PAGES] = {loris_kmem__elf_bytes, "the programs for kmem:pages"},
};

static void bpf_object_close_cleanup(struct bpf_object **object)
{
    bpf_object__close(*object);
}
#define _cleanup_object_ _cleanup_(bpf_object_close_cleanup)

/* Leaves out what belongs to other groups; libbpf then neither relocates nor loads it. */
static void choose_programs(struct bpf_object *object, enum kernel_group group)
{
    struct bpf_program *program;
    bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++) {
        const struct program_spec *spec = &program_specs[i];
        program =
            spec->group == group ? bpf_object__find_program_by_name(object, spec->name) : NULL;
        if (!program)
            continue;
        bpf_program__set_autoload(program, true);
        if (spec->attach_type)
            bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)spec->attach_type);
    }
}

static struct bpf_object *open_bytes(const void *(*bytes_of)(size_t *ret_size))
{
    size_t size = 0;
    const void *bytes = bytes_of(&size);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "loris");
    return bpf_object__open_mem(bytes, size, &options);
}

static int set_sizes(struct bpf_object *object, const struct kernel_side_config *config,
                     uint32_t cpus)
{
    const struct {
        enum kernel_map map;
        uint32_t entries;
    } sizes[] = {
        {KERNEL_MAP_SAMPLE_LOGS, cpus},
        {KERNEL_MAP_SAMPLES, cpus << config->samples_log2},
        {KERNEL_MAP_RARE_RINGS, cpus},
        {KERNEL_MAP_PROBE_KNOBS, config->probes_max + 1},
        {KERNEL_MAP_PROBE_LEDGER, config->probes_max + 1},
        {KERNEL_MAP_SKETCH_DIRS, config->probes_max + 1},
        {KERNEL_MAP_SKETCH_COARSES, config->probes_max + 1},
        {KERNEL_MAP_SKETCH_PAGES, config->sketch_pages + 1}, /* page 0 means none */
        {KERNEL_MAP_SKETCH_FREE, config->sketch_pages},
        {KERNEL_MAP_RUNQUEUE_OPEN, config->waits_max},
        {KERNEL_MAP_REQUEST_OPEN, config->waits_max},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[sizes[i].map]);
        int error = map ? bpf_map__set_max_entries(map, sizes[i].entries) : -ENOENT;
        if (error)
            return error;
    }
    return 0;
}

/* A ring of the right size, by which the kernel judges the inner maps; closed after loading. */
static int set_ring_template(struct bpf_object *object, enum kernel_map map, uint32_t bytes,
                             int *ret_template_fd)
{
    struct bpf_map *family = bpf_object__find_map_by_name(object, map_names[map]);
    if (!family)
        return -ENOENT;
    int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring_template", 0, 0, bytes, NULL);
    if (fd < 0)
        return -errno;
    *ret_template_fd = fd;
    return bpf_map__set_inner_map_fd(family, fd);
}

/* A tp_btf program whose tracepoint the kernel was built without must not fail all others. */
static bool leave_out_missing_tracepoints(struct bpf_object *object, enum kernel_group group,
                                          const struct btf *kernel)
{
    bool any_left_out = false;
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++) {
        char type_name[96];
        const struct program_spec *spec = &program_specs[i];
        if (spec->group != group || !spec->tracepoint)
            continue;
        snprintf(type_name, sizeof(type_name), "btf_trace_%s", spec->tracepoint);
        if (btf__find_by_name_kind(kernel, type_name, BTF_KIND_TYPEDEF) > 0)
            continue;
        struct bpf_program *program = bpf_object__find_program_by_name(object, spec->name);
        if (program)
            bpf_program__set_autoload(program, false);
        any_left_out = true;
    }
    return any_left_out;
}

static int duplicate_fd(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy >= 0 ? copy : -errno;
}

static int take_programs(struct bpf_object *object, enum kernel_group group,
                         int program_fds[KERNEL_PROGRAMS])
{
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++) {
        if (program_specs[i].group != group)
            continue;
        struct bpf_program *program =
            bpf_object__find_program_by_name(object, program_specs[i].name);
        int fd = program ? bpf_program__fd(program) : -1;
        if (fd < 0)
            continue; /* left out: this kernel lacks its tracepoint */
        program_fds[i] = duplicate_fd(fd);
        if (program_fds[i] < 0)
            return program_fds[i];
    }
    return 0;
}

static int diagnose_load(int error, const char *what, struct diag *reterr_diag)
{
    diag_set(reterr_diag, -error, "cannot load %s into the kernel: %s", what, strerror(-error));
    if (error == -EPERM)
        diag_hint(reterr_diag, "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN; "
                               "a kernel in lockdown=confidentiality refuses it all the same");
    else if (error == -ENOMEM || error == -E2BIG)
        diag_hint(reterr_diag, "set a smaller memory_budget or probes_max");
    return error;
}

static int require_btf(struct btf **ret_btf, struct diag *reterr_diag)
{
    struct btf *kernel = btf__load_vmlinux_btf();
    int error = libbpf_get_error(kernel) ? -errno : 0;
    if (!error && kernel) {
        *ret_btf = kernel;
        return 0;
    }
    diag_set(reterr_diag, ENOENT, "this kernel offers no type information (BTF)");
    diag_hint(reterr_diag, "loris needs a kernel built with CONFIG_DEBUG_INFO_BTF=y; "
                           "/sys/kernel/btf/vmlinux must exist and be readable");
    return -ENOENT;
}

static void btf_free_cleanup(struct btf **btf)
{
    btf__free(*btf);
}

static int set_map_sizes(struct bpf_object *object, const struct kernel_side_config *config,
                         uint32_t cpus, int *ret_rare_fd)
{
    int error = set_sizes(object, config, cpus);
    if (!error)
        error =
            set_ring_template(object, KERNEL_MAP_RARE_RINGS, config->rare_ring_bytes, ret_rare_fd);
    return error;
}

static int take_maps(struct bpf_object *object, int map_fds[KERNEL_MAPS])
{
    for (size_t i = 0; i < KERNEL_MAPS_SHARED; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
        map_fds[i] = map ? duplicate_fd(bpf_map__fd(map)) : -ENOENT;
        if (map_fds[i] < 0)
            return map_fds[i];
    }
    return 0;
}

static int share_maps(struct bpf_object *object, const int map_fds[KERNEL_MAPS])
{
    for (size_t i = 0; i < KERNEL_MAPS_SHARED; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
        int error = map ? bpf_map__reuse_fd(map, map_fds[i]) : -ENOENT;
        if (error)
            return error;
    }
    return 0;
}

/* Of the maps that come with their programs: which the configuration sizes. */
static uint32_t own_map_entries(const struct kernel_side_config *config, size_t map)
{
    switch (map) {
    case KERNEL_MAP_HEAP_ROWS:
        return config->heap_rows_max;
    case KERNEL_MAP_HEAP_BLOCKS:
        return config->heap_blocks_max;
    case KERNEL_MAP_HEAP_SIZES:
        return config->heap_sizes_max;
    case KERNEL_MAP_KMEM_SLABS:
    case KERNEL_MAP_KMEM_CACHES:
        return config->kmem_caches_max;
    default:
        return 0; /* as the program says */
    }
}

/* Uses the object's own maps again where another group brought them. */
static int prepare_own_maps(struct bpf_object *object, const struct kernel_side_config *config,
                            const int map_fds[KERNEL_MAPS])
{
    int error = 0;
    for (size_t i = KERNEL_MAPS_SHARED; i < KERNEL_MAPS && !error; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
        uint32_t entries = own_map_entries(config, i);
        if (map && map_fds[i] >= 0)
            error = bpf_map__reuse_fd(map, map_fds[i]);
        else if (map && entries)
            error = bpf_map__set_max_entries(map, entries);
    }
    return error;
}

static int take_own_maps(struct bpf_object *object, int map_fds[KERNEL_MAPS])
{
    for (size_t i = KERNEL_MAPS_SHARED; i < KERNEL_MAPS; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
        if (!map || map_fds[i] >= 0)
            continue;
        int fd = duplicate_fd(bpf_map__fd(map));
        if (fd < 0)
            return fd;
        map_fds[i] = fd;
    }
    return 0;
}

int kernel_objects_create_maps(const struct kernel_side_config *config, uint32_t cpus,
                               int map_fds[KERNEL_MAPS], struct diag *reterr_diag)
{
    _cleanup_object_ struct bpf_object *object = open_bytes(loris_maps__elf_bytes);
    _cleanup_close_ int rare_fd = -1;
    if (!object)
        return diagnose_load(-errno, "the maps", reterr_diag);
    int error = set_map_sizes(object, config, cpus, &rare_fd);
    if (!error)
        error = bpf_object__load(object);
    if (!error)
        error = take_maps(object, map_fds);
    return error ? diagnose_load(error, "the maps", reterr_diag) : 0;
}

/* Loads the group's programs from one of its objects, less those that this kernel's types say are
 * missing (NULL: all). */
static int load_from(const void *(*bytes_of)(size_t *ret_size), enum kernel_group group,
                     const struct btf *kernel, const struct kernel_side_config *config,
                     int map_fds[KERNEL_MAPS], int program_fds[KERNEL_PROGRAMS])
{
    _cleanup_object_ struct bpf_object *object = open_bytes(bytes_of);
    if (!object)
        return -errno;
    choose_programs(object, group);
    if (kernel && !leave_out_missing_tracepoints(object, group, kernel))
        return -EALREADY;
    int error = share_maps(object, map_fds);
    if (!error)
        error = prepare_own_maps(object, config, map_fds);
    if (!error)
        error = bpf_object__load(object);
    if (!error)
        error = take_own_maps(object, map_fds);
    return error ? error : take_programs(object, group, program_fds);
}

/* How many arguments the kernel's bpf_session_is_return takes: 0, 1, or -1 where it is missing. */
static int session_kfunc_arguments(const struct btf *kernel)
{
    int id = btf__find_by_name_kind(kernel, "bpf_session_is_return", BTF_KIND_FUNC);
    const struct btf_type *function = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;
    const struct btf_type *prototype = function ? btf__type_by_id(kernel, function->type) : NULL;
    return prototype ? btf_vlen(prototype) : -1;
}

/*
 * What a refusal may be due to is looked for only then, because reading the kernel's types takes
 * as long as loading a group. Another outcome than -EALREADY is that of a second try.
 */
static int load_differently(enum kernel_group group, const struct kernel_side_config *config,
                            int map_fds[KERNEL_MAPS], int program_fds[KERNEL_PROGRAMS],
                            struct diag *reterr_diag)
{
    _cleanup_(btf_free_cleanup) struct btf *kernel = NULL;
    int error = require_btf(&kernel, reterr_diag);
    if (error)
        return error;
    if (group != KERNEL_GROUP_USER_SESSION && group != KERNEL_GROUP_KERN_SESSION)
        return load_from(group_specs[group].bytes, group, kernel, config, map_fds, program_fds);
    int arguments = session_kfunc_arguments(kernel);
    if (arguments < 0)
        return diag_set(reterr_diag, EOPNOTSUPP, "this kernel has no sessions (since 6.10)");
    return arguments == 0
               ? -EALREADY
               : load_from(loris_session_ctx__elf_bytes, group, NULL, config, map_fds, program_fds);
}

int kernel_objects_load_group(enum kernel_group group, const struct kernel_side_config *config,
                              int map_fds[KERNEL_MAPS], int program_fds[KERNEL_PROGRAMS],
                              struct diag *reterr_diag)
{
    const struct group_spec *spec = &group_specs[group];
    struct diag diag = {0};
    int error = load_from(spec->bytes, group, NULL, config, map_fds, program_fds);
    if (!error || error == -EPERM || error == -ENOMEM)
        return error ? diagnose_load(error, spec->title, reterr_diag) : 0;
    int second = load_differently(group, config, map_fds, program_fds, &diag);
    if (!second)
        return 0;
    if (diag.what[0] && reterr_diag)
        *reterr_diag = diag;
    if (diag.what[0])
        return second;
    return diagnose_load(second == -EALREADY ? error : second, spec->title, reterr_diag);
}

int kernel_objects_load_fentry(const char *function, const int map_fds[KERNEL_MAPS],
                               int *ret_entry_fd, int *ret_exit_fd, struct diag *reterr_diag)
{
    _cleanup_object_ struct bpf_object *object = open_bytes(loris_fentry__elf_bytes);
    if (!object)
        return diagnose_load(-errno, "the fentry programs", reterr_diag);
    struct bpf_program *entry = bpf_object__find_program_by_name(object, "on_kernel_fentry");
    struct bpf_program *exit_ = bpf_object__find_program_by_name(object, "on_kernel_fexit");
    int error = entry && exit_ ? bpf_program__set_attach_target(entry, 0, function) : -ENOENT;
    if (!error)
        error = bpf_program__set_attach_target(exit_, 0, function);
    if (!error)
        error = share_maps(object, map_fds);
    if (!error)
        error = bpf_object__load(object);
    if (error)
        return diagnose_load(error, "the fentry programs", reterr_diag);
    _cleanup_close_ int entry_fd = duplicate_fd(bpf_program__fd(entry));
    int exit_fd = duplicate_fd(bpf_program__fd(exit_));
    if (entry_fd < 0 || exit_fd < 0)
        return entry_fd < 0 ? entry_fd : exit_fd;
    *ret_entry_fd = take_fd(&entry_fd);
    *ret_exit_fd = exit_fd;
    return 0;
}
