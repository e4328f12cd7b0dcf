/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/sketch.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* A page in memory is never empty: it comes with its first count and goes with its last. */

#define PAGES_MAX (LORIS_SKETCH_PAGES - 1)

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t minus_clamped(uint64_t value, uint64_t earlier)
{
    return value > earlier ? value - earlier : 0;
}

static unsigned slots_of(const struct sketch *sketch)
{
    return LORIS_PAGE_BUCKETS >> sketch->halvings;
}

static unsigned pages_of(const struct sketch *sketch)
{
    return (unsigned)__builtin_popcountll(sketch->touched);
}

static bool has_page(const struct sketch *sketch, unsigned power)
{
    return sketch->touched >> power & 1;
}

static struct sketch_page **page_at(const struct sketch *sketch, unsigned power)
{
    return &sketch->pages[sketch_page_position(sketch->touched, 1ULL << power)];
}

void sketch_done(struct sketch *sketch)
{
    sketch_clear(sketch);
    sketch->halvings = 0;
}

void sketch_clear(struct sketch *sketch)
{
    unsigned pages = pages_of(sketch);
    for (unsigned i = 0; i < pages; i++)
        free(sketch->pages[i]);
    free(sketch->pages);
    *sketch = (struct sketch){.halvings = sketch->halvings};
}

static int reserve_pointer(struct sketch *sketch)
{
    unsigned pages = pages_of(sketch);
    if (pages < sketch->pages_capacity)
        return 0;
    /* Odd numbers of pointers fill a chunk of the allocator to the last byte. */
    unsigned capacity = pages == 0 ? 3 : pages + 2;
    if (capacity > PAGES_MAX)
        capacity = PAGES_MAX;
    struct sketch_page **moved = reallocarray(sketch->pages, capacity, sizeof(*moved));
    if (!moved)
        return -ENOMEM;
    if (sketch->pages_capacity > 0)
        sketch->heap_bytes -= sketch_page_chunk_bytes(sketch->pages_capacity * sizeof(*moved));
    sketch->heap_bytes += sketch_page_chunk_bytes(capacity * sizeof(*moved));
    sketch->pages = moved;
    sketch->pages_capacity = (uint8_t)capacity;
    return 0;
}

static int add_page(struct sketch *sketch, unsigned power, unsigned width_log2)
{
    int status = reserve_pointer(sketch);
    if (status < 0)
        return status;
    struct sketch_page *page = sketch_page_new(slots_of(sketch), width_log2);
    if (!page)
        return -ENOMEM;
    struct sketch_page **at = page_at(sketch, power);
    size_t behind = pages_of(sketch) - (size_t)(at - sketch->pages);
    memmove(at + 1, at, behind * sizeof(*at));
    *at = page;
    sketch->touched |= 1ULL << power;
    sketch->heap_bytes += sketch_page_heap_bytes(page);
    return 0;
}

/* Makes the page exist, with counters wide enough for `value`. No count changes. */
static int reserve_page(struct sketch *sketch, unsigned power, uint64_t value)
{
    unsigned width_log2 = sketch_page_width_log2(value);
    if (!has_page(sketch, power))
        return add_page(sketch, power, width_log2);
    struct sketch_page **page = page_at(sketch, power);
    uint32_t before = sketch_page_heap_bytes(*page);
    int status = sketch_page_widen(page, slots_of(sketch), width_log2);
    sketch->heap_bytes += sketch_page_heap_bytes(*page) - before;
    return status;
}

static void drop_empty_pages(struct sketch *sketch)
{
    struct sketch_page **keep = sketch->pages, **page = sketch->pages;
    for (uint64_t rest = sketch->touched; rest; rest &= rest - 1, page++) {
        if (sketch_page_sum(*page, slots_of(sketch))) {
            *keep++ = *page;
            continue;
        }
        sketch->heap_bytes -= sketch_page_heap_bytes(*page);
        sketch->touched &= ~(rest & -rest);
        free(*page);
    }
}

unsigned sketch_try_record_each(struct sketch *sketch, const uint16_t *buckets, unsigned count)
{
    struct sketch_page *pages[LORIS_SKETCH_PAGES] = {NULL};
    struct sketch_page *const *next = sketch->pages;
    unsigned halvings = sketch->halvings;
    sketch_prefetch(sketch);
    for (uint64_t rest = sketch->touched; rest; rest &= rest - 1)
        pages[__builtin_ctzll(rest) + 1] = *next++;
    for (unsigned i = 0; i < count; i++) {
        struct sketch_page *page = pages[buckets[i] / LORIS_PAGE_BUCKETS];
        unsigned slot = (buckets[i] % LORIS_PAGE_BUCKETS) >> halvings;
        if (!page || !sketch_page_try_count(page, slot, 1))
            return i;
    }
    return count;
}

int sketch_record_many(struct sketch *sketch, uint32_t bucket, uint64_t count)
{
    assert(bucket < LORIS_SKETCH_BUCKETS);
    if (count == 0)
        return 0;
    if (bucket < LORIS_PAGE_BUCKETS) {
        uint64_t *counter = bucket == 0 ? &sketch->zeros : &sketch->ones;
        *counter = saturating_add(*counter, count);
        return 0;
    }
    unsigned power = bucket / LORIS_PAGE_BUCKETS - 1;
    unsigned slot = (bucket % LORIS_PAGE_BUCKETS) >> sketch->halvings;
    unsigned slots = slots_of(sketch);
    uint64_t counts[LORIS_PAGE_BUCKETS] = {0};
    if (has_page(sketch, power))
        sketch_page_load(*page_at(sketch, power), slots, counts);
    counts[slot] = saturating_add(counts[slot], count);

    int status = reserve_page(sketch, power, counts[slot]);
    if (status < 0)
        return status;
    sketch_page_store(*page_at(sketch, power), slots, counts);
    return 0;
}

/* A page of `sketch` as it would be after `halvings` halvings, not fewer than it has. */
static void load_coarser(const struct sketch *sketch, unsigned power, unsigned halvings,
                         uint64_t *ret_counts)
{
    sketch_page_load(*page_at(sketch, power), slots_of(sketch), ret_counts);
    for (unsigned h = sketch->halvings; h < halvings; h++)
        sketch_page_halve_counts(ret_counts, LORIS_PAGE_BUCKETS >> h);
}

/* What a page of `into` holds after the merge; returns the OR of the counts. */
static uint64_t merged_counts(const struct sketch *into, const struct sketch *from, unsigned power,
                              uint64_t *ret_counts)
{
    unsigned slots = slots_of(into);
    uint64_t own[LORIS_PAGE_BUCKETS] = {0}, all = 0;
    load_coarser(from, power, into->halvings, ret_counts);
    if (has_page(into, power))
        sketch_page_load(*page_at(into, power), slots, own);
    for (unsigned i = 0; i < slots; i++) {
        ret_counts[i] = saturating_add(ret_counts[i], own[i]);
        all |= ret_counts[i];
    }
    return all;
}

/* Whether the pages of the two can be added as they are, which is the common case and quick. */
static bool can_add_page(const struct sketch *into, const struct sketch *from, unsigned power)
{
    return into->halvings == from->halvings && has_page(into, power) &&
           sketch_page_can_add(*page_at(into, power), *page_at(from, power), slots_of(into));
}

static int reserve_merged(struct sketch *into, const struct sketch *from, unsigned power)
{
    if (into->halvings == from->halvings && !has_page(into, power))
        return add_page(into, power, (*page_at(from, power))->width_log2);
    if (can_add_page(into, from, power))
        return 0;
    uint64_t counts[LORIS_PAGE_BUCKETS];
    return reserve_page(into, power, merged_counts(into, from, power, counts));
}

static void merge_page(struct sketch *into, const struct sketch *from, unsigned power)
{
    struct sketch_page *page = *page_at(into, power);
    if (can_add_page(into, from, power)) {
        sketch_page_add(page, *page_at(from, power), slots_of(into));
        return;
    }
    uint64_t counts[LORIS_PAGE_BUCKETS];
    merged_counts(into, from, power, counts);
    sketch_page_store(page, slots_of(into), counts);
}

int sketch_merge(struct sketch *into, const struct sketch *from)
{
    while (into->halvings < from->halvings)
        sketch_halve(into);

    /* First all the memory, then the values: a failure on the way has changed none. */
    for (uint64_t rest = from->touched; rest; rest &= rest - 1) {
        int status = reserve_merged(into, from, (unsigned)__builtin_ctzll(rest));
        if (status < 0) {
            drop_empty_pages(into);
            return status;
        }
    }
    for (uint64_t rest = from->touched; rest; rest &= rest - 1)
        merge_page(into, from, (unsigned)__builtin_ctzll(rest));
    into->zeros = saturating_add(into->zeros, from->zeros);
    into->ones = saturating_add(into->ones, from->ones);
    return 0;
}

int sketch_subtract(struct sketch *from, const struct sketch *earlier)
{
    while (from->halvings < earlier->halvings)
        sketch_halve(from);

    unsigned slots = slots_of(from);
    for (uint64_t rest = from->touched & earlier->touched; rest; rest &= rest - 1) {
        unsigned power = (unsigned)__builtin_ctzll(rest);
        uint64_t counts[LORIS_PAGE_BUCKETS], gone[LORIS_PAGE_BUCKETS];
        struct sketch_page *page = *page_at(from, power);
        sketch_page_load(page, slots, counts);
        load_coarser(earlier, power, from->halvings, gone);
        for (unsigned i = 0; i < slots; i++)
            counts[i] = minus_clamped(counts[i], gone[i]);
        sketch_page_store(page, slots, counts);
    }
    from->zeros = minus_clamped(from->zeros, earlier->zeros);
    from->ones = minus_clamped(from->ones, earlier->ones);
    drop_empty_pages(from);
    return 0;
}

void sketch_halve(struct sketch *sketch)
{
    if (sketch->halvings >= SKETCH_HALVINGS_MAX)
        return;
    unsigned pages = pages_of(sketch);
    for (unsigned i = 0; i < pages; i++) {
        uint32_t before = sketch_page_heap_bytes(sketch->pages[i]);
        sketch_page_halve(&sketch->pages[i], slots_of(sketch));
        sketch->heap_bytes -= before - sketch_page_heap_bytes(sketch->pages[i]);
    }
    sketch->halvings++;
}

uint64_t sketch_count(const struct sketch *sketch)
{
    uint64_t total = saturating_add(sketch->zeros, sketch->ones);
    unsigned pages = pages_of(sketch), slots = slots_of(sketch);
    for (unsigned i = 0; i < pages; i++)
        total = saturating_add(total, sketch_page_sum(sketch->pages[i], slots));
    return total;
}

double sketch_relative_error(const struct sketch *sketch)
{
    double ratio = exp2((double)(1u << sketch->halvings) / LORIS_PAGE_BUCKETS);
    return (ratio - 1) / (ratio + 1);
}

/* floor(2^(i/64)), exact because floors nest; 2^64 - 1 for what comes after the last bucket. */
static uint64_t floor_exp2_64th(unsigned i)
{
    if (i >= PAGES_MAX * LORIS_PAGE_BUCKETS)
        return UINT64_MAX;
    return loris_sketch_threshold[i % LORIS_PAGE_BUCKETS] >> (63 - i / LORIS_PAGE_BUCKETS);
}

/* Least and greatest whole number of a bucket, which goes by the first of the full resolution's
 * buckets that it covers. */
static void whole_bounds(uint32_t bucket, unsigned halvings, uint64_t *ret_low, uint64_t *ret_high)
{
    if (bucket < LORIS_PAGE_BUCKETS) {
        *ret_low = *ret_high = bucket == 0 ? 0 : 1;
        return;
    }
    unsigned i = bucket - LORIS_PAGE_BUCKETS;
    *ret_high = floor_exp2_64th(i + (1u << halvings));
    *ret_low = floor_exp2_64th(i) + 1;
    if (*ret_low > *ret_high) /* between two whole numbers: nobody records there */
        *ret_low = *ret_high;
}

/* 2*low*high / (low + high) = low + low*(high - low) / (low + high), to the nearest. */
static uint64_t estimate(uint64_t low, uint64_t high)
{
    if (low == high)
        return low;
    unsigned __int128 sum = (unsigned __int128)low + high;
    unsigned __int128 product = (unsigned __int128)low * (high - low);
    return low + (uint64_t)((product + sum / 2) / sum);
}

/* ceil(q * count) for the decimal fraction that q stands for: 0.07 * 100 is 7, although the
 * product of the doubles lies above. */
static uint64_t nearest_rank(double quantile, uint64_t count)
{
    double rank = quantile * (double)count;
    rank = ceil(rank - rank * DBL_EPSILON);
    if (rank < 1)
        return 1;
    return rank >= (double)count ? count : (uint64_t)rank;
}

/* Ranks on the way up through the buckets. */
struct rank_walk {
    const struct sketch *sketch;
    const double *quantiles;
    size_t n, answered;
    uint64_t count, seen;
    uint64_t next_rank; /* of quantiles[answered] */
    uint64_t *ret_values_ns;
};

static void pass_bucket(struct rank_walk *walk, uint32_t bucket, uint64_t count)
{
    walk->seen = saturating_add(walk->seen, count);
    if (walk->next_rank > walk->seen)
        return;
    uint64_t low, high;
    whole_bounds(bucket, walk->sketch->halvings, &low, &high);
    uint64_t value = estimate(low, high);
    while (walk->answered < walk->n && walk->next_rank <= walk->seen) {
        walk->ret_values_ns[walk->answered++] = value;
        if (walk->answered < walk->n)
            walk->next_rank = nearest_rank(walk->quantiles[walk->answered], walk->count);
    }
}

static void pass_page(struct rank_walk *walk, const struct sketch_page *page, unsigned power)
{
    unsigned slots = slots_of(walk->sketch);
    uint64_t sum = sketch_page_sum(page, slots);
    if (walk->next_rank > saturating_add(walk->seen, sum)) {
        walk->seen += sum;
        return;
    }
    uint64_t counts[LORIS_PAGE_BUCKETS];
    sketch_page_load(page, slots, counts);
    uint32_t first = (power + 1) * LORIS_PAGE_BUCKETS;
    for (unsigned slot = 0; slot < slots; slot++)
        if (counts[slot])
            pass_bucket(walk, first + (slot << walk->sketch->halvings), counts[slot]);
}

void sketch_quantiles(const struct sketch *sketch, const double *quantiles, size_t n,
                      uint64_t *ret_values_ns)
{
    struct rank_walk walk = {
        .sketch = sketch,
        .quantiles = quantiles,
        .n = n,
        .count = sketch_count(sketch),
        .ret_values_ns = ret_values_ns,
    };
    if (n == 0)
        return;
    if (walk.count == 0) {
        memset(ret_values_ns, 0, n * sizeof(*ret_values_ns));
        return;
    }
    walk.next_rank = nearest_rank(quantiles[0], walk.count);
    pass_bucket(&walk, 0, sketch->zeros);
    pass_bucket(&walk, LORIS_PAGE_BUCKETS - 1, sketch->ones);
    struct sketch_page *const *page = sketch->pages;
    for (uint64_t rest = sketch->touched; rest && walk.answered < n; rest &= rest - 1)
        pass_page(&walk, *page++, (unsigned)__builtin_ctzll(rest));
}

/* Steps through the non-empty buckets. */
struct bucket_cursor {
    const struct sketch *sketch;
    uint64_t rest; /* pages to come */
    struct sketch_page *const *next_page;
    uint32_t first; /* bucket of the page at hand */
    unsigned shift, slots, slot;
    uint64_t counts[LORIS_PAGE_BUCKETS];
};

static void cursor_init(struct bucket_cursor *cursor, const struct sketch *sketch)
{
    *cursor = (struct bucket_cursor){
        .sketch = sketch,
        .rest = sketch->touched,
        .next_page = sketch->pages,
        .slots = LORIS_PAGE_BUCKETS,
    };
    cursor->counts[0] = sketch->zeros;
    cursor->counts[LORIS_PAGE_BUCKETS - 1] = sketch->ones;
}

static bool cursor_next(struct bucket_cursor *cursor, uint32_t *ret_bucket, uint64_t *ret_count)
{
    for (;;) {
        for (; cursor->slot < cursor->slots; cursor->slot++) {
            if (!cursor->counts[cursor->slot])
                continue;
            *ret_count = cursor->counts[cursor->slot];
            *ret_bucket = cursor->first + (cursor->slot++ << cursor->shift);
            return true;
        }
        if (!cursor->rest)
            return false;
        unsigned power = (unsigned)__builtin_ctzll(cursor->rest);
        cursor->rest &= cursor->rest - 1;
        cursor->first = (power + 1) * LORIS_PAGE_BUCKETS;
        cursor->shift = cursor->sketch->halvings;
        cursor->slots = slots_of(cursor->sketch);
        cursor->slot = 0;
        sketch_page_load(*cursor->next_page++, cursor->slots, cursor->counts);
    }
}

bool sketch_extremes(const struct sketch *sketch, uint64_t *ret_low_ns, uint64_t *ret_high_ns)
{
    uint32_t first, last;
    uint64_t count, low, high;
    struct bucket_cursor cursor;
    cursor_init(&cursor, sketch);
    if (!cursor_next(&cursor, &first, &count))
        return false;
    last = first;
    while (cursor_next(&cursor, &last, &count))
        ;
    whole_bounds(first, sketch->halvings, ret_low_ns, &high);
    whole_bounds(last, sketch->halvings, &low, ret_high_ns);
    return true;
}

void sketch_bucket_bounds(uint32_t bucket, double *ret_lower_ns, double *ret_upper_ns)
{
    int i = (int)bucket - LORIS_PAGE_BUCKETS;
    *ret_lower_ns = bucket == 0 ? 0 : exp2((double)i / LORIS_PAGE_BUCKETS);
    *ret_upper_ns = bucket == 0 ? 0 : exp2((double)(i + 1) / LORIS_PAGE_BUCKETS);
}

void sketch_walk(const struct sketch *sketch, sketch_bucket_fn on_bucket, void *context)
{
    uint32_t bucket;
    int covered = 1 << sketch->halvings;
    uint64_t count;
    struct bucket_cursor cursor;
    cursor_init(&cursor, sketch);
    while (cursor_next(&cursor, &bucket, &count)) {
        if (bucket == 0) {
            on_bucket(0, 0, count, context);
            continue;
        }
        /* The value 1 is the last of the buckets that its coarser one covers, not the first. */
        int i = bucket == LORIS_PAGE_BUCKETS - 1 ? -covered : (int)bucket - LORIS_PAGE_BUCKETS;
        on_bucket(exp2((double)i / LORIS_PAGE_BUCKETS),
                  exp2((double)(i + covered) / LORIS_PAGE_BUCKETS), count, context);
    }
}
