/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of pausing share: a watched file, a workload on it, and a look at the ledgers. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "loris/ledger.h"
#include "pause_workload.h"
#include "probe/probe_set.h"

#define PROBES_MAX 64

struct fixture {
    struct kernel_side *side;
    struct probe_set *set;
    char folder[64];
    char path[128]; /* of the watched executable */
    struct workload workload;
    struct workload former; /* runs on the file that was replaced last */
    unsigned seed;
};

static const struct kernel_side_config side_config = {.probes_max = PROBES_MAX,
                                                      .sketch_pages = 64,
                                                      .waits_max = 1024,
                                                      .samples_log2 = 13,
                                                      .rare_ring_bytes = 65536};

/* --- the watched file ---------------------------------------------------------------------- */

static inline void copy_self(const char *path)
{
    struct stat own;
    _cleanup_close_ int from_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int to_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    assert_int_equal(fstat(from_fd, &own), 0);
    for (off_t left = own.st_size; left > 0;) {
        ssize_t sent = sendfile(to_fd, from_fd, NULL, (size_t)left);
        assert_true(sent > 0);
        left -= sent;
    }
}

static inline void replace_file(struct fixture *fixture)
{
    char next[160];
    snprintf(next, sizeof(next), "%s.next", fixture->path);
    copy_self(next);
    assert_int_equal(rename(next, fixture->path), 0);
}

/* In place: the places stay where they are, but nobody can know. No process may run it. */
static inline void rewrite_file(const struct fixture *fixture)
{
    _cleanup_close_ int fd = open(fixture->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "more", 4), 4);
}

static inline int set_up(void **state)
{
    static struct fixture fixture;
    struct diag diag = {0};
    fixture = (struct fixture){.workload.pid = -1, .former.pid = -1, .seed = 7};
    *state = &fixture;
    if (geteuid() != 0) {
        puts("[          ] skipped: loading BPF programs needs root");
        return 0;
    }
    snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/loris-pause-XXXXXX");
    if (!mkdtemp(fixture.folder))
        return -errno;
    snprintf(fixture.path, sizeof(fixture.path), "%s/watched", fixture.folder);
    copy_self(fixture.path);
    int error = kernel_side_open(&side_config, &fixture.side, &diag);
    if (error)
        printf("%s\n", diag.what);
    return error ? error : probe_set_new(fixture.side, 1, NULL, NULL, &fixture.set);
}

/* --- what is attached ---------------------------------------------------------------------- */

/* The links on this machine whose program is one of ours. */
static inline unsigned count_links(struct kernel_side *side)
{
    unsigned links = 0;
    __u32 id = 0;
    while (bpf_link_get_next_id(id, &id) == 0) {
        struct bpf_link_info info = {0};
        __u32 bytes = sizeof(info);
        _cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes))
            continue;
        for (int program = 0; program < KERNEL_PROGRAMS; program++) {
            struct bpf_prog_info known = {0};
            __u32 known_bytes = sizeof(known);
            int program_fd = kernel_side_program(side, (enum kernel_program)program, NULL);
            if (program_fd >= 0 && !bpf_obj_get_info_by_fd(program_fd, &known, &known_bytes))
                links += known.id == info.prog_id;
        }
    }
    return links;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->side)
        return 0;
    workload_stop(&fixture->workload);
    workload_stop(&fixture->former);
    probe_set_free(fixture->set);
    unsigned left = count_links(fixture->side);
    for (int tries = 0; left && tries < 1000; tries++) { /* a process apart may still close some */
        usleep(10000);
        left = count_links(fixture->side);
    }
    kernel_side_free(fixture->side);
    unlink(fixture->path);
    rmdir(fixture->folder);
    if (left)
        printf("%u links are left\n", left);
    return left ? -1 : 0;
}

static inline struct loris_ledger ledger_of(const struct fixture *fixture, uint32_t probe)
{
    struct loris_ledger cpus[256], sum = {0};
    assert_in_range(kernel_side_cpus(fixture->side), 1, 256);
    int fd = kernel_side_map(fixture->side, KERNEL_MAP_PROBE_LEDGER);
    assert_int_equal(bpf_map_lookup_elem(fd, &probe, cpus), 0);
    for (uint32_t i = 0; i < kernel_side_cpus(fixture->side); i++) {
        sum.entered += cpus[i].entered;
        sum.returned += cpus[i].returned;
        sum.abandoned += cpus[i].abandoned;
        sum.unmatched += cpus[i].unmatched;
        if (cpus[i].sketch_max_ns > sum.sketch_max_ns)
            sum.sketch_max_ns = cpus[i].sketch_max_ns;
    }
    return sum;
}

struct search {
    const char *end;
    uint32_t id;
};

static inline void match_probe(const struct probe *probe, void *context)
{
    struct search *search = context;
    const char *colon = strrchr(probe->name, ':');
    if (probe->attached && strcmp(colon + 1, search->end) == 0)
        search->id = probe->id;
}

static inline uint32_t find_probe(const struct fixture *fixture, const char *end)
{
    struct search search = {end, UINT32_MAX};
    probe_set_walk(fixture->set, match_probe, &search);
    assert_int_not_equal(search.id, UINT32_MAX);
    return search.id;
}

static inline void count_only(const struct probe *probe, void *context)
{
    static const struct probe_tuning tuning = {.sample_shift = LORIS_SAMPLE_NEVER};
    struct fixture *fixture = context;
    assert_int_equal(probe_set_tune(fixture->set, probe->id, &tuning), 0);
}

/* False: this kernel lacks the kind. */
static inline bool attach(struct fixture *fixture, const char *text, enum attach_kind kind,
                          bool own_links)
{
    struct diag diag = {0};
    struct attach_request request = {.attach = kind, .own_links = own_links};
    _cleanup_(attach_report_done) struct attach_report report = {0};
    assert_int_equal(target_parse(text, &request.target, &diag), 0);
    int error = probe_set_attach(fixture->set, &request, &report, &diag);
    if (error == -EOPNOTSUPP) {
        printf("[          ] skipped: %s\n", diag.what);
        return false;
    }
    if (error)
        fail_msg("%s", diag.what);
    probe_set_walk(fixture->set, count_only, fixture);
    return true;
}

static inline bool attach_functions(struct fixture *fixture, const char *glob,
                                    enum attach_kind kind, bool own_links)
{
    char text[200];
    snprintf(text, sizeof(text), "user:%s:%s", fixture->path, glob);
    return attach(fixture, text, kind, own_links);
}

static inline void release_detached(const struct probe *probe, void *context)
{
    struct fixture *fixture = context;
    if (!probe->attached)
        assert_int_equal(probe_set_release(fixture->set, probe->id), 0);
}

static inline void detach_functions(struct fixture *fixture, const char *glob)
{
    char text[200];
    snprintf(text, sizeof(text), "user:%s:%s", fixture->path, glob);
    assert_int_not_equal(probe_set_detach(fixture->set, text), 0);
    probe_set_walk(fixture->set, release_detached, fixture);
}

#define KERNEL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
