/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls between two readings, although series were folded in between.
 *
 * Of each row k there are N(k), now, and E(k), earlier; each of count, errors, sum, thinned square
 * and every bucket is treated for itself. Since E was read, calls were added anywhere, and folds
 * moved calls from rows to rows above them on their chain of parents, ending at OTHER, never down
 * and never away.
 *
 * From the finest level up, each row owes D(k) = E(k) + what finer rows could not pay. It pays
 * min(N(k), D(k)); the rest C(k) = max(0, D(k) - N(k)) is owed by the next row on its chain.
 *
 *     Nobody pays too much: C(k) never exceeds what really left k and all below it for above. By
 *     induction D(k) is at most E(k) plus what came up to k, and N(k) is at least that less what
 *     left k upward.
 *     All is paid: nothing leaves OTHER, so C(OTHER) = 0. Then the sum over the rows of what
 *     remains is the sum of N less the sum of E, bucket by bucket: the calls in between, exactly.
 *     Halving the resolution on the way adds neighbours on both sides and changes no sum.
 *
 * Only where a row of the same key was made anew after its fold does this put calls into the wrong
 * row (never into a wrong sum): new calls of the fresh row pay for old ones that moved up. Rows
 * that are a single series show it by their serial and then owe nothing themselves.
 *
 * Should the chain have changed in between (a process table forgot a parent), OTHER may be left
 * with a debt after all. Then whoever has such calls pays, the busiest first, marked estimated.
 */
#include <errno.h>

#include "aggregate/rollup.h"

struct debtor {
    struct rollup_row *row;
    struct latency_stat owed;
    bool carried; /* owes for others, too */
};

struct settlement {
    struct debtor *debtors; /* by level and who: finer ones first */
    size_t count;
    struct latency_stat unpaid; /* what OTHER could not pay */
    series_parent_fn parent;
    void *context;
};

static int compare_debtors(const void *a, const void *b)
{
    const struct series_key *left = &((const struct debtor *)a)->row->key;
    const struct series_key *right = &((const struct debtor *)b)->row->key;
    if (left->level != right->level)
        return left->level < right->level ? -1 : 1;
    return left->who < right->who ? -1 : left->who > right->who;
}

static struct debtor *find_debtor(const struct settlement *settlement, struct series_key key)
{
    struct rollup_row row = {.key = key};
    struct debtor wanted = {.row = &row};
    if (settlement->count == 0)
        return NULL;
    return bsearch(&wanted, settlement->debtors, settlement->count, sizeof(wanted),
                   compare_debtors);
}

static struct series_key parent_of(const struct settlement *settlement, struct series_key key)
{
    struct series_key other = {.probe = key.probe, .level = SERIES_OTHER};
    if (!settlement->parent || key.level >= SERIES_UNIT)
        return other;
    struct series_key parent = settlement->parent(key, settlement->context);
    return parent.level > key.level && parent.level < SERIES_OTHER ? parent : other;
}

/* The first row above the key, NULL when not even OTHER has one. */
static struct debtor *debtor_above(const struct settlement *settlement, struct series_key key)
{
    while (key.level < SERIES_OTHER) {
        key = parent_of(settlement, key);
        struct debtor *debtor = find_debtor(settlement, key);
        if (debtor)
            return debtor;
    }
    return NULL;
}

static int owe_above(struct settlement *settlement, struct series_key key,
                     const struct latency_stat *owed)
{
    struct debtor *debtor = debtor_above(settlement, key);
    if (debtor)
        debtor->carried = true;
    return latency_stat_merge(debtor ? &debtor->owed : &settlement->unpaid, owed);
}

static int owe_earlier(struct settlement *settlement, const struct rollup *earlier)
{
    for (size_t i = 0; i < earlier->row_count; i++) {
        const struct rollup_row *row = &earlier->rows[i];
        struct debtor *debtor = find_debtor(settlement, row->key);
        bool folded =
            !debtor || (row->serial && debtor->row->serial && row->serial != debtor->row->serial);
        int status = folded ? owe_above(settlement, row->key, &row->stat)
                            : latency_stat_merge(&debtor->owed, &row->stat);
        if (status < 0)
            return status;
    }
    return 0;
}

static uint64_t minus_clamped(uint64_t value, uint64_t less)
{
    return value > less ? value - less : 0;
}

static void subtract_clamped(struct latency_stat *from, const struct latency_stat *less)
{
    sketch_subtract(&from->sketch, &less->sketch);
    from->count = sketch_count(&from->sketch);
    from->errors = minus_clamped(from->errors, less->errors);
    from->sum_ns = minus_clamped(from->sum_ns, less->sum_ns);
    from->thinned_square = minus_clamped(from->thinned_square, less->thinned_square);
}

static bool is_nothing(const struct latency_stat *stat)
{
    return stat->count == 0 && stat->errors == 0 && stat->sum_ns == 0 && stat->thinned_square == 0;
}

/* What remains lies within the bounds of its buckets and the extremes there ever were. */
static void narrow_extremes(struct latency_stat *stat)
{
    uint64_t low, high;
    if (!sketch_extremes(&stat->sketch, &low, &high))
        return;
    if (low > stat->min_ns)
        stat->min_ns = low < stat->max_ns ? low : stat->max_ns;
    if (high < stat->max_ns)
        stat->max_ns = high > stat->min_ns ? high : stat->min_ns;
}

/* The stat pays what it can; what it cannot remains owed. */
static int pay(struct latency_stat *stat, struct latency_stat *owed)
{
    struct latency_stat before;
    latency_stat_init(&before);
    int status = latency_stat_merge(&before, stat);
    if (status == 0) {
        subtract_clamped(stat, owed);
        subtract_clamped(owed, &before);
        narrow_extremes(stat);
    }
    latency_stat_done(&before);
    return status;
}

static int settle_levels(struct settlement *settlement)
{
    for (size_t i = 0; i < settlement->count; i++) {
        struct debtor *debtor = &settlement->debtors[i];
        if (is_nothing(&debtor->owed))
            continue;
        int status = pay(&debtor->row->stat, &debtor->owed);
        if (status < 0)
            return status;
        if (is_nothing(&debtor->owed))
            continue;
        debtor->row->estimated = true;
        status = owe_above(settlement, debtor->row->key, &debtor->owed);
        if (status < 0)
            return status;
    }
    return 0;
}

static int settle_unpaid(struct settlement *settlement, struct rollup *now)
{
    if (is_nothing(&settlement->unpaid))
        return 0;
    rollup_sort(now);
    for (size_t i = 0; i < now->row_count && !is_nothing(&settlement->unpaid); i++) {
        now->rows[i].estimated = true;
        int status = pay(&now->rows[i].stat, &settlement->unpaid);
        if (status < 0)
            return status;
    }
    return 0;
}

/* Drops rows without calls; what else is left in one (its calls were counted in another) goes to
 * the busiest, so that these sums hold, too. */
static void drop_empty_rows(struct rollup *now)
{
    size_t kept = 0;
    uint64_t errors = 0, sum_ns = 0, thinned_square = 0;
    for (size_t i = 0; i < now->row_count; i++) {
        struct rollup_row *row = &now->rows[i];
        if (row->stat.count > 0) {
            now->rows[kept++] = *row;
            continue;
        }
        errors += row->stat.errors;
        sum_ns += row->stat.sum_ns;
        thinned_square += row->stat.thinned_square;
        latency_stat_done(&row->stat);
    }
    now->row_count = kept;
    rollup_sort(now);
    if (kept == 0 || (errors == 0 && sum_ns == 0 && thinned_square == 0))
        return;
    now->rows[0].stat.errors += errors;
    now->rows[0].stat.sum_ns += sum_ns;
    now->rows[0].stat.thinned_square += thinned_square;
    now->rows[0].estimated = true;
}

static int subtract(struct settlement *settlement, struct rollup *now, const struct rollup *earlier)
{
    int status = owe_earlier(settlement, earlier);
    if (status == 0)
        status = settle_levels(settlement);
    return status < 0 ? status : settle_unpaid(settlement, now);
}

int rollup_subtract(struct rollup *now, const struct rollup *earlier, series_parent_fn parent,
                    void *context)
{
    _cleanup_free_ struct debtor *debtors = calloc(now->row_count + 1, sizeof(*debtors));
    if (!debtors)
        return -ENOMEM;
    struct settlement settlement = {
        .debtors = debtors, .count = now->row_count, .parent = parent, .context = context};
    latency_stat_init(&settlement.unpaid);
    for (size_t i = 0; i < now->row_count; i++) {
        debtors[i].row = &now->rows[i];
        latency_stat_init(&debtors[i].owed);
    }
    if (now->row_count > 1)
        qsort(debtors, now->row_count, sizeof(*debtors), compare_debtors);

    int status = subtract(&settlement, now, earlier);
    for (size_t i = 0; i < settlement.count; i++)
        latency_stat_done(&debtors[i].owed);
    latency_stat_done(&settlement.unpaid);
    if (status < 0)
        return status;
    drop_empty_rows(now);
    rollup_level_errors(now);
    now->window_ns = minus_clamped(now->now_ns, earlier->now_ns);
    for (size_t i = 0; i < now->row_count; i++)
        now->rows[i].window_ns = now->window_ns;
    return 0;
}
