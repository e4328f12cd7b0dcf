/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/process_filter.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define UNIT_BYTES 512

/* One filter in the kernel, and what tells whether another target can have the same. */
struct process_filter_use {
    uint32_t targets;
    bool follow;
    uint32_t cgroup_level;
    uint64_t cgroup_id; /* not compared: a unit's changes with every start */
    char comm[16];
    char unit[UNIT_BYTES];
    size_t pids_count;
    int32_t pids[PROCESS_FILTER_PIDS_MAX]; /* ascending, once each */
};

static uint32_t bit_of(uint32_t id)
{
    return 1u << id;
}

void process_filters_done(struct process_filters *filters)
{
    for (size_t id = 0; id < LORIS_FILTERS_MAX; id++)
        free(take_ptr(filters->uses[id]));
}

/* --- processes ------------------------------------------------------------------------------- */

int process_filter_check_pid(int32_t pid, struct diag *reterr_diag)
{
    char path[32], line[256], state = 'X';
    int tgid = 0, threads = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    _cleanup_fclose_ FILE *status = pid > 0 ? fopen(path, "re") : NULL;
    if (!status && pid > 0 && errno != ENOENT && errno != ESRCH)
        return diag_set(reterr_diag, errno, "cannot look at process %d: %s", pid, strerror(errno));
    while (status && fgets(line, sizeof(line), status)) {
        /* Names are escaped there: no process can forge a line. */
        if (sscanf(line, "State: %c", &state) == 1 || sscanf(line, "Tgid: %d", &tgid) == 1 ||
            sscanf(line, "Threads: %d", &threads) == 1)
            continue;
    }
    if (tgid == 0)
        return diag_set(reterr_diag, ESRCH, "no process %d", pid);
    if (tgid != pid) {
        diag_set(reterr_diag, EINVAL, "%d is a thread of process %d", pid, tgid);
        diag_hint(reterr_diag, "give %d", tgid);
        return -EINVAL;
    }
    /* A process whose first thread has ended before the others looks like a zombie, too. */
    if ((state == 'Z' || state == 'X') && threads <= 1)
        return diag_set(reterr_diag, ESRCH, "process %d has ended", pid);
    return 0;
}

/* Takes the filter's bit off a process; without any it is not listed any more. */
static void unlist_pid(int pids_fd, uint32_t pid, uint32_t bit)
{
    uint32_t mask = 0;
    if (bpf_map_lookup_elem(pids_fd, &pid, &mask) || !(mask & bit))
        return;
    mask &= ~bit;
    if (mask)
        (void)bpf_map_update_elem(pids_fd, &pid, &mask, BPF_EXIST);
    else
        (void)bpf_map_delete_elem(pids_fd, &pid);
}

static int list_pid(int pids_fd, int32_t pid, uint32_t bit, struct diag *reterr_diag)
{
    uint32_t key = (uint32_t)pid;
    uint32_t mask = 0;
    int error = process_filter_check_pid(pid, reterr_diag);
    if (error)
        return error;
    (void)bpf_map_lookup_elem(pids_fd, &key, &mask);
    mask |= bit;
    if (bpf_map_update_elem(pids_fd, &key, &mask, BPF_ANY))
        return diag_set(reterr_diag, errno, "cannot filter by process %d: %s", pid,
                        strerror(errno));
    /* The kernel side takes off what ends from now on. What has ended in between would stay
     * listed, for whoever gets its pid next. */
    error = process_filter_check_pid(pid, reterr_diag);
    if (error)
        unlist_pid(pids_fd, key, bit);
    return error;
}

static void unlist_all(int pids_fd, uint32_t bit)
{
    uint32_t key = 0, next = 0;
    bool more = bpf_map_get_next_key(pids_fd, NULL, &next) == 0;
    while (more) {
        key = next;
        more = bpf_map_get_next_key(pids_fd, &key, &next) == 0;
        unlist_pid(pids_fd, key, bit);
    }
}

/* --- filters --------------------------------------------------------------------------------- */

static int compare_pids(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

static int make_use(const struct process_filter *filter, struct process_filter_use **ret_use)
{
    if (filter->pids_count > PROCESS_FILTER_PIDS_MAX)
        return -E2BIG;
    struct process_filter_use *use = calloc(1, sizeof(*use));
    if (!use)
        return -ENOMEM;
    use->follow = filter->follow;
    use->cgroup_id = filter->cgroup_id;
    use->cgroup_level = filter->cgroup_level;
    snprintf(use->comm, sizeof(use->comm), "%s", filter->comm ? filter->comm : "");
    snprintf(use->unit, sizeof(use->unit), "%s", filter->unit ? filter->unit : "");
    for (size_t i = 0; i < filter->pids_count; i++)
        use->pids[i] = filter->pids[i];
    qsort(use->pids, filter->pids_count, sizeof(use->pids[0]), compare_pids);
    for (size_t i = 0; i < filter->pids_count; i++)
        if (i == 0 || use->pids[i] != use->pids[i - 1])
            use->pids[use->pids_count++] = use->pids[i];
    *ret_use = use;
    return 0;
}

static bool use_equal(const struct process_filter_use *left, const struct process_filter_use *right)
{
    /* Of cgroups without a unit's name the id is all there is. */
    return left->follow == right->follow && strcmp(left->comm, right->comm) == 0 &&
           strcmp(left->unit, right->unit) == 0 &&
           (left->unit[0] || left->cgroup_id == right->cgroup_id) &&
           left->pids_count == right->pids_count &&
           memcmp(left->pids, right->pids, left->pids_count * sizeof(left->pids[0])) == 0;
}

/* A listed process that ended is off the list, and its pid may be another's now. */
static bool all_listed(int pids_fd, const struct process_filter_use *use, uint32_t bit)
{
    for (size_t i = 0; i < use->pids_count; i++) {
        uint32_t key = (uint32_t)use->pids[i], mask = 0;
        if (bpf_map_lookup_elem(pids_fd, &key, &mask) || !(mask & bit) ||
            process_filter_check_pid(use->pids[i], NULL))
            return false;
    }
    return true;
}

/* The id of a filter that does the same; else a free one; LORIS_FILTERS_MAX: none is left. */
static uint32_t choose_id(const struct process_filters *filters, int pids_fd,
                          const struct process_filter_use *wanted)
{
    uint32_t free_id = LORIS_FILTERS_MAX;
    for (uint32_t id = LORIS_FILTERS_MAX - 1; id > 0; id--) {
        const struct process_filter_use *use = filters->uses[id];
        if (!use)
            free_id = id;
        else if (use_equal(use, wanted) && all_listed(pids_fd, use, bit_of(id)))
            return id;
    }
    return free_id;
}

static int set_follow(struct kernel_side *side, uint32_t bit, bool follow)
{
    struct loris_control control = kernel_side_control(side);
    if (follow)
        control.filter_follow_mask |= bit;
    else
        control.filter_follow_mask &= ~bit;
    return kernel_side_set_control(side, &control);
}

static int write_filter(struct kernel_side *side, uint32_t id, const struct process_filter_use *use)
{
    struct loris_filter filter = {
        .flags = (use->pids_count ? (uint32_t)LORIS_FILTER_PIDS : 0) |
                 (use->cgroup_id ? (uint32_t)LORIS_FILTER_CGROUP : 0) |
                 (use->comm[0] ? (uint32_t)LORIS_FILTER_COMM : 0) |
                 (use->follow ? (uint32_t)LORIS_FILTER_FOLLOW : 0),
        .cgroup_level = use->cgroup_level,
        .cgroup_id = use->cgroup_id,
    };
    _Static_assert(sizeof(filter.comm) == sizeof(use->comm), "names are cut alike");
    memcpy(filter.comm, use->comm, sizeof(filter.comm));
    return bpf_map_update_elem(kernel_side_map(side, KERNEL_MAP_FILTERS), &id, &filter, BPF_ANY)
               ? -errno
               : 0;
}

static int set_up(struct kernel_side *side, uint32_t id, const struct process_filter_use *use,
                  struct diag *reterr_diag)
{
    int pids_fd = kernel_side_map(side, KERNEL_MAP_FILTER_PIDS);
    int error = set_follow(side, bit_of(id), use->follow);
    if (!error)
        error = write_filter(side, id, use);
    if (error)
        return diag_set(reterr_diag, -error, "cannot set a filter: %s", strerror(-error));
    for (size_t i = 0; !error && i < use->pids_count; i++)
        error = list_pid(pids_fd, use->pids[i], bit_of(id), reterr_diag);
    return error;
}

static void tear_down(struct kernel_side *side, uint32_t id)
{
    (void)!set_follow(side, bit_of(id), false);
    unlist_all(kernel_side_map(side, KERNEL_MAP_FILTER_PIDS), bit_of(id));
}

int process_filters_add(struct process_filters *filters, struct kernel_side *side,
                        const struct process_filter *filter, uint8_t *ret_id,
                        struct diag *reterr_diag)
{
    _cleanup_free_ struct process_filter_use *use = NULL;
    int error = make_use(filter, &use);
    if (error)
        return diag_set(reterr_diag, -error, "cannot set a filter: %s", strerror(-error));
    uint32_t id = choose_id(filters, kernel_side_map(side, KERNEL_MAP_FILTER_PIDS), use);
    if (id == LORIS_FILTERS_MAX) {
        diag_set(reterr_diag, ENOSPC, "all %d filters are in use", LORIS_FILTERS_MAX - 1);
        diag_hint(reterr_diag, "targets that filter alike share one");
        return -ENOSPC;
    }
    if (filters->uses[id]) {
        error =
            process_filters_retarget(filters, side, (uint8_t)id, use->cgroup_id, use->cgroup_level);
        if (error)
            return diag_set(reterr_diag, -error, "cannot set a filter: %s", strerror(-error));
    } else {
        error = set_up(side, id, use, reterr_diag);
        if (error) {
            tear_down(side, id);
            return error;
        }
        filters->uses[id] = take_ptr(use);
    }
    filters->uses[id]->targets++;
    *ret_id = (uint8_t)id;
    return 0;
}

void process_filters_remove(struct process_filters *filters, struct kernel_side *side, uint8_t id)
{
    struct process_filter_use *use = id < LORIS_FILTERS_MAX ? filters->uses[id] : NULL;
    if (!use || --use->targets > 0)
        return;
    tear_down(side, id);
    free(take_ptr(filters->uses[id]));
}

uint64_t process_filters_cgroup(const struct process_filters *filters, uint8_t id)
{
    const struct process_filter_use *use = id < LORIS_FILTERS_MAX ? filters->uses[id] : NULL;
    return use ? use->cgroup_id : 0;
}

int process_filters_retarget(struct process_filters *filters, struct kernel_side *side, uint8_t id,
                             uint64_t cgroup_id, uint32_t cgroup_level)
{
    struct process_filter_use *use = id < LORIS_FILTERS_MAX ? filters->uses[id] : NULL;
    if (!use)
        return -ENOENT;
    if (use->cgroup_id == cgroup_id)
        return 0;
    struct process_filter_use moved = *use;
    moved.cgroup_id = cgroup_id;
    moved.cgroup_level = cgroup_level;
    int error = write_filter(side, id, &moved);
    if (!error)
        *use = moved;
    return error;
}
