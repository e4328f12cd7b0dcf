/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes latency records into the logs of a running agent, from one CPU, at a rate:
 *
 *   bench_source LOGS_ID SAMPLES_ID RINGS_ID LEDGER_ID KNOBS_ID PROBE CPU
 *
 * The ids are of the agent's maps sample_logs, samples, rare_rings, probe_ledger and probe_knobs.
 * Each line of stdin is a job, `RATE PROCESSES MS`, answered with `SUBMITTED LOG_FULL NS`: ns is
 * the time spent inside the source program. It prints `ready` first.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "loris/knobs.h"
#include "source_job.h"

#include "source.skel.h"

#define NS_PER_S 1000000000ull
/* Bursts are short beside a log, and the CPU is held in between: a sleep would end too late. A
 * source that was preempted catches up by and by, or it would write a log full at once. */
#define BURST_NS    50000ull
#define SPAN_MAX_NS (2 * BURST_NS)
#define CATCH_UP    1.25

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "bench_source: %s: %s\n", what, strerror(-error));
    return 1;
}

static int reuse(struct bpf_map *map, const char *id)
{
    int fd = bpf_map_get_fd_by_id((uint32_t)strtoul(id, NULL, 10));
    if (fd < 0)
        return -errno;
    int error = bpf_map__reuse_fd(map, fd);
    close(fd);
    return error;
}

/* ids: in the order of the usage. */
static int reuse_all(struct source_bpf *source, char **ids)
{
    struct bpf_map *maps[] = {source->maps.sample_logs, source->maps.samples,
                              source->maps.rare_rings, source->maps.probe_ledger};
    int error = 0;
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && !error; i++)
        error = reuse(maps[i], ids[i]);
    return error;
}

static int generation_of(const char *knobs_id, uint32_t probe, uint16_t *ret_generation)
{
    struct loris_probe_knobs knobs = {0};
    int fd = bpf_map_get_fd_by_id((uint32_t)strtoul(knobs_id, NULL, 10));
    if (fd < 0)
        return -errno;
    int error = bpf_map_lookup_elem(fd, &probe, &knobs);
    close(fd);
    if (error)
        return error;
    *ret_generation = knobs.generation;
    return 0;
}

static int stay_on(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

static int write_burst(struct source_bpf *source, uint32_t records)
{
    LIBBPF_OPTS(bpf_test_run_opts, options);
    source->bss->job.records = records;
    int error = bpf_prog_test_run_opts(bpf_program__fd(source->progs.write_records), &options);
    if (error)
        return error;
    return options.retval ? -EIO : 0;
}

/* What is due at now_ns, at most a little more than the rate allows for the time since then. */
static uint32_t burst_records(double rate_per_s, uint64_t elapsed_ns, uint64_t since_ns,
                              uint64_t written)
{
    uint64_t span_ns = since_ns < SPAN_MAX_NS ? since_ns : SPAN_MAX_NS;
    double due = rate_per_s * (double)elapsed_ns / NS_PER_S - (double)written;
    double most = CATCH_UP * rate_per_s * (double)span_ns / NS_PER_S;
    return due <= 0 ? 0 : (uint32_t)(due < most ? due : most);
}

static int run_job(struct source_bpf *source, double rate_per_s, uint64_t length_ns)
{
    struct source_job *job = &source->bss->job;
    uint64_t inside_ns = 0, written = 0;
    uint64_t submitted = job->submitted, log_full = job->log_full;
    uint64_t begin_ns = clock_ns(), end_ns = begin_ns + length_ns;
    for (uint64_t now_ns = begin_ns, last_ns = begin_ns; now_ns < end_ns; now_ns = clock_ns()) {
        if (now_ns - last_ns < BURST_NS)
            continue;
        uint32_t records = burst_records(rate_per_s, now_ns - begin_ns, now_ns - last_ns, written);
        last_ns = now_ns;
        int error = write_burst(source, records);
        if (error)
            return error;
        written += records;
        inside_ns += clock_ns() - now_ns;
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (uint64_t)job->submitted - submitted,
           (uint64_t)job->log_full - log_full, inside_ns);
    fflush(stdout);
    return 0;
}

static int serve(struct source_bpf *source)
{
    char line[128];
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        double rate_per_s = 0;
        unsigned processes = 0;
        uint64_t ms = 0;
        if (sscanf(line, "%lf %u %" SCNu64, &rate_per_s, &processes, &ms) != 3)
            return -EINVAL;
        source->bss->job.processes = processes;
        int error = run_job(source, rate_per_s, ms * 1000000u);
        if (error)
            return error;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: bench_source LOGS_ID SAMPLES_ID RINGS_ID LEDGER_ID KNOBS_ID "
                        "PROBE CPU\n");
        return 2;
    }
    uint32_t probe = (uint32_t)strtoul(argv[6], NULL, 10);
    uint16_t generation = 0;
    struct source_bpf *source = source_bpf__open();
    if (!source)
        return fail("open", -errno);
    int error = reuse_all(source, argv + 1);
    if (!error)
        error = generation_of(argv[5], probe, &generation);
    if (error)
        return fail("the agent's maps", error);
    error = source_bpf__load(source);
    if (error)
        return fail("load", error);
    source->bss->job.probe = probe;
    source->bss->job.generation = generation;
    error = stay_on(atoi(argv[7]));
    if (!error)
        error = serve(source);
    source_bpf__destroy(source);
    return error ? fail("run", error) : 0;
}
