/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel_side.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "loris/event.h"
#include "loris/ledger.h"
#include "loris/sample_log.h"
#include "loris/sketch.h"
#include "probe/bpf_link.h"
#include "probe/kernel_objects.h"
#include "probe/ring_family.h"

#define RING_OVERHEAD_BYTES (3 * 4096)

struct kernel_side {
    struct ring_family rare_rings;
    struct kernel_side_config config;
    struct loris_control control;
    uint32_t cpus;
    int map_fds[KERNEL_MAPS];
    int program_fds[KERNEL_PROGRAMS];
    bool group_loaded[KERNEL_GROUPS];
    struct diag group_refusal[KERNEL_GROUPS]; /* why, when what is not empty */
};

/* libbpf talks on stderr by default; what it says matters to developers only. */
_printf_(2, 0) static int print_libbpf(enum libbpf_print_level level, const char *format,
                                       va_list args)
{
    if (level == LIBBPF_DEBUG || !getenv("LORIS_DEBUG"))
        return 0;
    return vfprintf(stderr, format, args);
}

static int fill_free_pages(struct kernel_side *side)
{
    for (uint32_t page = side->config.sketch_pages; page >= 1; page--)
        if (bpf_map_update_elem(side->map_fds[KERNEL_MAP_SKETCH_FREE], NULL, &page, 0))
            return -errno;
    return 0;
}

static int size_sample_logs(struct kernel_side *side)
{
    const struct loris_sample_log empty = {.capacity_log2 = side->config.samples_log2};
    for (uint32_t cpu = 0; cpu < side->cpus; cpu++)
        if (bpf_map_update_elem(side->map_fds[KERNEL_MAP_SAMPLE_LOGS], &cpu, &empty, BPF_ANY))
            return -errno;
    return 0;
}

static int prepare_maps(struct kernel_side *side)
{
    struct loris_control control = {
        .rare_ring_half = side->config.rare_ring_bytes / 2,
    };
    int error = fill_free_pages(side);
    if (!error)
        error = size_sample_logs(side);
    return error ? error : kernel_side_set_control(side, &control);
}

static int load_core(struct kernel_side *side, struct diag *reterr_diag)
{
    int error = prepare_maps(side);
    if (error)
        return diag_set(reterr_diag, -error, "cannot fill the maps: %s", strerror(-error));
    error = kernel_objects_load_group(KERNEL_GROUP_CORE, &side->config, side->map_fds,
                                      side->program_fds, reterr_diag);
    side->group_loaded[KERNEL_GROUP_CORE] = !error;
    return error;
}

int kernel_side_open(const struct kernel_side_config *config, struct kernel_side **ret_side,
                     struct diag *reterr_diag)
{
    libbpf_set_print(print_libbpf);
    int cpus = libbpf_num_possible_cpus();
    if (cpus < 0)
        return diag_set(reterr_diag, -cpus, "cannot learn the number of CPUs: %s", strerror(-cpus));
    _cleanup_(kernel_side_free_cleanup) struct kernel_side *side = calloc(1, sizeof(*side));
    if (!side)
        return diag_set(reterr_diag, ENOMEM, "out of memory");
    side->config = *config;
    side->cpus = (uint32_t)cpus;
    for (size_t i = 0; i < KERNEL_MAPS; i++)
        side->map_fds[i] = -1;
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++)
        side->program_fds[i] = -1;
    int error = kernel_objects_create_maps(config, side->cpus, side->map_fds, reterr_diag);
    if (error)
        return error;
    error = ring_family_init(&side->rare_rings, "rare_ring", side->map_fds[KERNEL_MAP_RARE_RINGS],
                             side->cpus, config->rare_ring_bytes);
    if (error)
        return diag_set(reterr_diag, -error, "cannot create the rings: %s", strerror(-error));
    pid_t installer = ring_family_begin_install(&side->rare_rings);
    error = load_core(side, reterr_diag);
    int ring_error = ring_family_end_install(installer, &side->rare_rings);
    if (error)
        return error;
    if (ring_error)
        return diag_set(reterr_diag, -ring_error, "cannot install the rings: %s",
                        strerror(-ring_error));
    malloc_trim(0); /* loading takes 7 MB that are not needed again */
    *ret_side = take_ptr(side);
    return 0;
}

void kernel_side_free(struct kernel_side *side)
{
    if (!side)
        return;
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++)
        close_fd(&side->program_fds[i]);
    ring_family_done(&side->rare_rings);
    for (size_t i = 0; i < KERNEL_MAPS; i++)
        close_fd(&side->map_fds[i]);
    free(side);
}

int kernel_side_map(const struct kernel_side *side, enum kernel_map map)
{
    return side->map_fds[map];
}

uint32_t kernel_side_cpus(const struct kernel_side *side)
{
    return side->cpus;
}

int kernel_side_rare_ring(const struct kernel_side *side, uint32_t cpu)
{
    return side->rare_rings.fds[cpu];
}

const struct kernel_side_config *kernel_side_config(const struct kernel_side *side)
{
    return &side->config;
}

static int publish_session_program(struct kernel_side *side)
{
    struct bpf_prog_info info = {0};
    __u32 bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(side->program_fds[KERNEL_USER_SESSION], &info, &bytes))
        return -errno;
    struct loris_control control = side->control;
    control.user_session_program = info.id;
    return kernel_side_set_control(side, &control);
}

static int load_group(struct kernel_side *side, enum kernel_group group, struct diag *reterr_diag)
{
    struct diag *refusal = &side->group_refusal[group];
    if (!side->group_loaded[group] && !refusal->what[0]) {
        int error = kernel_objects_load_group(group, &side->config, side->map_fds,
                                              side->program_fds, refusal);
        if (!error && group == KERNEL_GROUP_USER_SESSION)
            error = publish_session_program(side);
        side->group_loaded[group] = error == 0;
        if (error && !refusal->what[0])
            diag_set(refusal, -error, "%s", strerror(-error));
        malloc_trim(0);
    }
    if (side->group_loaded[group])
        return 0;
    diag_set(reterr_diag, EOPNOTSUPP, "%s", refusal->what);
    diag_hint(reterr_diag, "%s", refusal->hint);
    return -EOPNOTSUPP;
}

int kernel_side_program(struct kernel_side *side, enum kernel_program program,
                        struct diag *reterr_diag)
{
    int error = load_group(side, kernel_program_group(program), reterr_diag);
    if (error)
        return error;
    if (side->program_fds[program] < 0)
        return diag_set(reterr_diag, EOPNOTSUPP, "this kernel lacks the tracepoint");
    return side->program_fds[program];
}

int kernel_side_load_fentry(struct kernel_side *side, const char *function, int *ret_entry_fd,
                            int *ret_exit_fd, struct diag *reterr_diag)
{
    int error =
        kernel_objects_load_fentry(function, side->map_fds, ret_entry_fd, ret_exit_fd, reterr_diag);
    malloc_trim(0);
    return error;
}

int kernel_side_set_knobs(struct kernel_side *side, uint32_t probe,
                          const struct loris_probe_knobs *knobs)
{
    assert(probe <= side->config.probes_max);
    int fd = side->map_fds[KERNEL_MAP_PROBE_KNOBS];
    return bpf_map_update_elem(fd, &probe, knobs, BPF_ANY) ? -errno : 0;
}

int kernel_side_set_control(struct kernel_side *side, const struct loris_control *control)
{
    uint32_t zero = 0;
    if (bpf_map_update_elem(side->map_fds[KERNEL_MAP_CONTROL], &zero, control, BPF_ANY))
        return -errno;
    side->control = *control;
    return 0;
}

struct loris_control kernel_side_control(const struct kernel_side *side)
{
    return side->control;
}

/* Gives the pages of a probe back, emptied. */
static int free_sketch_pages(struct kernel_side *side, uint32_t probe)
{
    uint32_t directory[LORIS_SKETCH_PAGES + 1] = {0};
    int dirs_fd = side->map_fds[KERNEL_MAP_SKETCH_DIRS];
    if (bpf_map_lookup_elem(dirs_fd, &probe, directory))
        return -errno;
    _cleanup_free_ uint64_t *empty =
        calloc((size_t)side->cpus * LORIS_PAGE_BUCKETS, sizeof(*empty));
    if (!empty)
        return -ENOMEM;
    for (size_t i = 0; i < LORIS_SKETCH_PAGES; i++) {
        uint32_t page = directory[i];
        if (!page)
            continue;
        if (bpf_map_update_elem(side->map_fds[KERNEL_MAP_SKETCH_PAGES], &page, empty, BPF_ANY) ||
            bpf_map_update_elem(side->map_fds[KERNEL_MAP_SKETCH_FREE], NULL, &page, 0))
            return -errno;
    }
    memset(directory, 0, sizeof(directory));
    return bpf_map_update_elem(dirs_fd, &probe, directory, BPF_ANY) ? -errno : 0;
}

static int clear_array(int fd, const struct bpf_map_info *info)
{
    _cleanup_free_ uint32_t *keys = calloc(info->max_entries, sizeof(*keys));
    _cleanup_free_ void *zeroes = calloc(info->max_entries, info->value_size);
    uint32_t count = info->max_entries;
    if (!keys || !zeroes)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = i;
    return bpf_map_update_batch(fd, keys, zeroes, &count, NULL) ? -errno : 0;
}

static int clear_hash(int fd)
{
    uint64_t key = 0; /* the largest key of ours */
    while (bpf_map_get_next_key(fd, NULL, &key) == 0)
        if (bpf_map_delete_elem(fd, &key))
            return -errno;
    return 0;
}

int kernel_side_clear_map(struct kernel_side *side, enum kernel_map map)
{
    struct bpf_map_info info = {0};
    __u32 bytes = sizeof(info);
    int fd = side->map_fds[map];
    if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
        return -errno;
    return info.type == BPF_MAP_TYPE_ARRAY ? clear_array(fd, &info) : clear_hash(fd);
}

int kernel_side_clear_ledger(struct kernel_side *side, uint32_t probe)
{
    _cleanup_free_ struct loris_ledger *no_calls = calloc(side->cpus, sizeof(*no_calls));
    if (!no_calls)
        return -ENOMEM;
    int fd = side->map_fds[KERNEL_MAP_PROBE_LEDGER];
    return bpf_map_update_elem(fd, &probe, no_calls, BPF_ANY) ? -errno : 0;
}

int kernel_side_reset_probe(struct kernel_side *side, uint32_t probe, uint16_t next_generation)
{
    const struct loris_probe_knobs off = {.generation = next_generation};
    const uint64_t no_coarse[LORIS_SKETCH_PAGES] = {0};
    int error = kernel_side_set_knobs(side, probe, &off);
    if (!error)
        error = free_sketch_pages(side, probe);
    if (!error)
        error = kernel_side_clear_ledger(side, probe);
    int fd = side->map_fds[KERNEL_MAP_SKETCH_COARSES];
    if (!error && bpf_map_update_elem(fd, &probe, no_coarse, BPF_ANY))
        error = -errno;
    return error;
}

uint64_t kernel_side_missed(const struct kernel_side *side)
{
    uint64_t missed = 0;
    for (size_t i = 0; i < KERNEL_PROGRAMS; i++)
        if (side->program_fds[i] >= 0)
            missed += bpf_link_program_missed(side->program_fds[i]);
    return missed;
}

/* What the kernel charges for a map: the memlock line of its fdinfo, in bytes. */
static uint64_t map_bytes(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char line[128];
    while (file && fgets(line, sizeof(line), file)) {
        char *number = line + strlen("memlock:");
        if (strncmp(line, "memlock:", strlen("memlock:")) == 0)
            return strtoull(number, NULL, 10);
    }
    return 0;
}

uint64_t kernel_side_map_bytes(const struct kernel_side *side)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < KERNEL_MAPS; i++)
        bytes += side->map_fds[i] >= 0 ? map_bytes(side->map_fds[i]) : 0;
    for (uint32_t cpu = 0; cpu < side->cpus; cpu++)
        bytes += map_bytes(side->rare_rings.fds[cpu]);
    return bytes;
}

uint64_t kernel_side_estimate_bytes(const struct kernel_side_config *config, uint32_t cpus)
{
    const uint64_t per_probe = sizeof(struct loris_probe_knobs) +
                               (uint64_t)cpus * sizeof(struct loris_ledger) +
                               (LORIS_SKETCH_PAGES + 1) * sizeof(uint32_t) +
                               LORIS_SKETCH_PAGES * sizeof(uint64_t) + sizeof(void *);
    const uint64_t per_page =
        (uint64_t)cpus * LORIS_PAGE_BUCKETS * sizeof(uint64_t) + sizeof(void *) + 8;
    const uint64_t per_cpu = (sizeof(struct loris_latency_event) << config->samples_log2) +
                             sizeof(struct loris_sample_log) + config->rare_ring_bytes +
                             RING_OVERHEAD_BYTES;
    const uint64_t per_wait = 2 * 104; /* two maps; key, value, element, up to two bucket heads */
    const uint64_t fixed = 510 * 1024; /* filter pids, hash buckets, slots, small maps */
    return fixed + (config->probes_max + 1) * per_probe + config->sketch_pages * per_page +
           cpus * per_cpu + config->waits_max * per_wait;
}
