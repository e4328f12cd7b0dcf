/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/kernel_counters.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "loris/sketch.h"

#define WALK_BATCH 32 /* ledgers of one system call */

/* What was taken of one page. */
struct taken_page {
    uint64_t count[LORIS_PAGE_BUCKETS];
};

/* What was taken of one probe; made when its sketch is first touched. */
struct taken {
    struct taken_page *pages[LORIS_SKETCH_PAGES];
    uint64_t coarse[LORIS_SKETCH_PAGES];
    uint64_t calls; /* counted + ring_full when last looked at */
    uint64_t errors;
    uint64_t sum_ns;
    uint64_t min_inverted;
    uint64_t max_ns;
    bool behind; /* the last take saw fewer calls than the ledger had */
};

struct kernel_counters {
    const struct kernel_side *side;
    struct taken **taken;         /* by probe */
    struct loris_ledger *ledgers; /* scratch, WALK_BATCH probes, one per CPU each */
    uint64_t *page;               /* scratch, one page per CPU */
    uint64_t bytes;
};

int kernel_counters_new(const struct kernel_side *side, struct kernel_counters **ret_counters)
{
    _cleanup_(kernel_counters_free_cleanup) struct kernel_counters *counters =
        calloc(1, sizeof(*counters));
    if (!counters)
        return -ENOMEM;
    counters->side = side;
    uint32_t cpus = kernel_side_cpus(side);
    counters->taken = calloc(kernel_side_config(side)->probes_max, sizeof(*counters->taken));
    counters->ledgers = calloc((size_t)cpus * WALK_BATCH, sizeof(*counters->ledgers));
    counters->page = calloc((size_t)cpus * LORIS_PAGE_BUCKETS, sizeof(*counters->page));
    if (!counters->taken || !counters->ledgers || !counters->page)
        return -ENOMEM;
    counters->bytes = sizeof(*counters) +
                      kernel_side_config(side)->probes_max * sizeof(*counters->taken) +
                      cpus * (WALK_BATCH * sizeof(struct loris_ledger) + sizeof(struct taken_page));
    *ret_counters = take_ptr(counters);
    return 0;
}

void kernel_counters_forget(struct kernel_counters *counters, uint32_t probe)
{
    struct taken *taken = take_ptr(counters->taken[probe]);
    if (!taken)
        return;
    for (size_t i = 0; i < LORIS_SKETCH_PAGES; i++) {
        if (taken->pages[i])
            counters->bytes -= sizeof(struct taken_page);
        free(taken->pages[i]);
    }
    free(taken);
    counters->bytes -= sizeof(struct taken);
}

void kernel_counters_free(struct kernel_counters *counters)
{
    if (!counters)
        return;
    for (uint32_t probe = 0;
         counters->taken && probe < kernel_side_config(counters->side)->probes_max; probe++)
        kernel_counters_forget(counters, probe);
    free(counters->taken);
    free(counters->ledgers);
    free(counters->page);
    free(counters);
}

/* As the kernel's allocator rounds them, its own header included. */
#define STACK_BYTES 2048
#define SLOT_BYTES  128

uint64_t kernel_counters_storage_bytes(struct kernel_counters *counters)
{
    struct loris_rare_ledger ledger;
    if (kernel_counters_rare(counters, &ledger))
        return 0;
    return (ledger.stacks_made - ledger.stacks_gone) * STACK_BYTES +
           (ledger.slots_made - ledger.slots_gone) * SLOT_BYTES;
}

uint64_t kernel_counters_bytes(const struct kernel_counters *counters)
{
    return counters->bytes;
}

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static struct loris_ledger sum_ledgers(const struct loris_ledger *each, uint32_t cpus)
{
    struct loris_ledger sum = {0};
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        const struct loris_ledger *one = &each[cpu];
        sum.entered += one->entered;
        sum.returned += one->returned;
        sum.abandoned += one->abandoned;
        sum.thin += loris_ledger_waiting(one) << 32;
        sum.ring_full += one->ring_full;
        sum.counted += one->counted;
        sum.sketch_errors += one->sketch_errors;
        sum.sketch_sum_ns += one->sketch_sum_ns;
        sum.sketch_min_inverted = larger(sum.sketch_min_inverted, one->sketch_min_inverted);
        sum.sketch_max_ns = larger(sum.sketch_max_ns, one->sketch_max_ns);
        sum.sketch_coarse += one->sketch_coarse;
        sum.too_deep += one->too_deep;
        sum.no_storage += one->no_storage;
        sum.unmatched += one->unmatched;
        sum.inherited += one->inherited;
        sum.filtered += one->filtered;
    }
    return sum;
}

int kernel_counters_ledger(struct kernel_counters *counters, uint32_t probe,
                           struct loris_ledger *ret_ledger)
{
    int fd = kernel_side_map(counters->side, KERNEL_MAP_PROBE_LEDGER);
    if (bpf_map_lookup_elem(fd, &probe, counters->ledgers))
        return -errno;
    *ret_ledger = sum_ledgers(counters->ledgers, kernel_side_cpus(counters->side));
    return 0;
}

int kernel_counters_walk(struct kernel_counters *counters, uint32_t end, kernel_ledger_fn on_ledger,
                         void *context)
{
    int fd = kernel_side_map(counters->side, KERNEL_MAP_PROBE_LEDGER);
    uint32_t cpus = kernel_side_cpus(counters->side);
    uint32_t keys[WALK_BATCH] = {0};
    uint32_t position = 0;
    for (uint32_t from = 0; from < end;) {
        uint32_t count = end - from < WALK_BATCH ? end - from : WALK_BATCH;
        int error = bpf_map_lookup_batch(fd, from ? &position : NULL, &position, keys,
                                         counters->ledgers, &count, NULL);
        if (error && errno != ENOENT) /* that is the end of the map */
            return -errno;
        for (uint32_t i = 0; i < count; i++) {
            struct loris_ledger sum = sum_ledgers(&counters->ledgers[(size_t)i * cpus], cpus);
            if (sum.entered || sum.thin || sum.filtered)
                on_ledger(keys[i], &sum, context);
        }
        if (error || count == 0)
            break;
        from += count;
    }
    return 0;
}

int kernel_counters_rare(struct kernel_counters *counters, struct loris_rare_ledger *ret_ledger)
{
    uint32_t zero = 0, cpus = kernel_side_cpus(counters->side);
    _cleanup_free_ struct loris_rare_ledger *each = calloc(cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    int fd = kernel_side_map(counters->side, KERNEL_MAP_RARE_LEDGER);
    if (bpf_map_lookup_elem(fd, &zero, each))
        return -errno;
    struct loris_rare_ledger sum = {0};
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        sum.submitted += each[cpu].submitted;
        sum.ring_full += each[cpu].ring_full;
        sum.follow_failed += each[cpu].follow_failed;
        sum.stacks_made += each[cpu].stacks_made;
        sum.stacks_gone += each[cpu].stacks_gone;
        sum.slots_made += each[cpu].slots_made;
        sum.slots_gone += each[cpu].slots_gone;
    }
    *ret_ledger = sum;
    return 0;
}

struct take {
    struct kernel_counters *counters;
    struct taken *taken;
    kernel_bucket_fn on_bucket;
    void *context;
    struct kernel_gain *gain;
};

static int take_page(struct take *take, uint32_t number, uint32_t id)
{
    struct kernel_counters *counters = take->counters;
    int fd = kernel_side_map(counters->side, KERNEL_MAP_SKETCH_PAGES);
    if (!take->taken->pages[number]) {
        take->taken->pages[number] = calloc(1, sizeof(struct taken_page));
        if (!take->taken->pages[number])
            return -ENOMEM;
        counters->bytes += sizeof(struct taken_page);
    }
    if (bpf_map_lookup_elem(fd, &id, counters->page))
        return -errno;
    uint64_t *before = take->taken->pages[number]->count;
    for (uint32_t bucket = 0; bucket < LORIS_PAGE_BUCKETS; bucket++) {
        uint64_t now = 0;
        for (uint32_t cpu = 0; cpu < kernel_side_cpus(counters->side); cpu++)
            now += counters->page[cpu * LORIS_PAGE_BUCKETS + bucket];
        if (now == before[bucket])
            continue;
        take->on_bucket(number * LORIS_PAGE_BUCKETS + bucket, now - before[bucket], false,
                        take->context);
        take->gain->count += now - before[bucket];
        before[bucket] = now;
    }
    return 0;
}

static int take_coarse(struct take *take, uint32_t probe)
{
    uint64_t now[LORIS_SKETCH_PAGES] = {0};
    int fd = kernel_side_map(take->counters->side, KERNEL_MAP_SKETCH_COARSES);
    if (bpf_map_lookup_elem(fd, &probe, now))
        return -errno;
    for (uint32_t page = 0; page < LORIS_SKETCH_PAGES; page++) {
        uint64_t grown = now[page] - take->taken->coarse[page];
        if (!grown)
            continue;
        /* The last bucket of a page: of page 0 it is the value 1. */
        take->on_bucket(page * LORIS_PAGE_BUCKETS + LORIS_PAGE_BUCKETS - 1, grown, true,
                        take->context);
        take->gain->count += grown;
        take->gain->coarse = true;
        take->taken->coarse[page] = now[page];
    }
    return 0;
}

static struct taken *taken_of(struct kernel_counters *counters, uint32_t probe)
{
    if (!counters->taken[probe]) {
        counters->taken[probe] = calloc(1, sizeof(struct taken));
        if (counters->taken[probe])
            counters->bytes += sizeof(struct taken);
    }
    return counters->taken[probe];
}

int kernel_counters_take(struct kernel_counters *counters, uint32_t probe,
                         kernel_bucket_fn on_bucket, void *context, struct kernel_gain *ret_gain)
{
    struct loris_ledger ledger;
    struct kernel_gain gain = {0};
    int error = kernel_counters_ledger(counters, probe, &ledger);
    if (error)
        return error;
    uint64_t calls = ledger.counted + ledger.ring_full;
    if (calls == 0 || (counters->taken[probe] && calls == counters->taken[probe]->calls &&
                       !counters->taken[probe]->behind)) {
        *ret_gain = gain;
        return 0;
    }
    struct taken *taken = taken_of(counters, probe);
    if (!taken)
        return -ENOMEM;
    uint32_t directory[LORIS_SKETCH_PAGES + 1] = {0};
    if (bpf_map_lookup_elem(kernel_side_map(counters->side, KERNEL_MAP_SKETCH_DIRS), &probe,
                            directory))
        return -errno;
    struct take take = {counters, taken, on_bucket, context, &gain};
    for (uint32_t page = 0; !error && page < LORIS_SKETCH_PAGES; page++)
        if (directory[page])
            error = take_page(&take, page, directory[page]);
    if (!error && ledger.sketch_coarse)
        error = take_coarse(&take, probe);
    if (gain.count == 0) { /* sums stay for the take that brings their calls */
        taken->behind = error || taken->calls != calls;
        if (!error)
            *ret_gain = gain;
        return error;
    }
    /* Read after the pages, so that what they hold has its time and errors; pages that were taken
     * before an error stay taken, and are reported. */
    int ledger_error = kernel_counters_ledger(counters, probe, &ledger);
    if (!ledger_error) {
        gain.errors = ledger.sketch_errors - taken->errors;
        gain.sum_ns = ledger.sketch_sum_ns - taken->sum_ns;
        taken->errors = ledger.sketch_errors;
        taken->sum_ns = ledger.sketch_sum_ns;
    }
    gain.min_ns = ~ledger.sketch_min_inverted;
    gain.max_ns = ledger.sketch_max_ns;
    gain.min_moved = ledger.sketch_min_inverted != taken->min_inverted;
    gain.max_moved = ledger.sketch_max_ns != taken->max_ns;
    taken->min_inverted = ledger.sketch_min_inverted;
    taken->max_ns = ledger.sketch_max_ns;
    taken->calls += gain.count;
    taken->behind = error || ledger_error || taken->calls != calls;
    *ret_gain = gain;
    return 0;
}
