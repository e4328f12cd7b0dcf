/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/sizing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "loris/heap.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The least that is worth running, whatever the budget says. */
#define PROBES_MIN       512
#define SKETCH_PAGES_MIN 64
#define WAITS_MIN        1024
#define RING_MIN         (4 * KIB)
#define SAMPLES_LOG2_MIN 7

static struct config config_of(uint64_t budget_bytes)
{
    return (struct config){.memory_budget_bytes = budget_bytes, .probes_max = 2048};
}

/* Maps and rings, and where the agent's own memory has them again: rings twice. */
static uint64_t bytes_of(const struct sizing *sizing, uint32_t cpus)
{
    return kernel_side_estimate_bytes(&sizing->kernel, cpus) +
           cpus * 2ull * sizing->kernel.rare_ring_bytes;
}

/* Below this the parts that every CPU needs are as small as they get, and the agent alone can tell
 * whether that still fits. */
#define BUDGET_MIN_PER_CPU (400 * KIB)

static void for_each_machine(void (*check)(uint64_t budget_bytes, uint32_t cpus))
{
    for (uint64_t budget_bytes = 12 * MIB; budget_bytes <= 64 * GIB;
         budget_bytes += budget_bytes / 16)
        for (uint32_t cpus = 1; cpus <= 256; cpus++)
            check(budget_bytes, cpus);
    for (uint32_t cpus = 1; cpus <= 256; cpus++)
        check(64 * GIB, cpus);
}

static void check_half(uint64_t budget_bytes, uint32_t cpus)
{
    const struct config config = config_of(budget_bytes);
    struct sizing sizing = sizing_of(&config, cpus);
    bool scarce = budget_bytes / cpus < BUDGET_MIN_PER_CPU;
    if (!scarce && bytes_of(&sizing, cpus) > budget_bytes / 2)
        fail_msg("%llu KiB on %u CPUs: %llu KiB for maps and rings (%u probes, %u pages, %u waits, "
                 "2^%u samples, rings of %u)",
                 budget_bytes / KIB, cpus, (unsigned long long)bytes_of(&sizing, cpus) / KIB,
                 sizing.kernel.probes_max, sizing.kernel.sketch_pages, sizing.kernel.waits_max,
                 sizing.kernel.samples_log2, sizing.kernel.rare_ring_bytes);
}

static void maps_and_rings_take_at_most_half_of_the_budget(void **state)
{
    (void)state;
    for_each_machine(check_half);
}

static void check_scarce(uint64_t budget_bytes, uint32_t cpus)
{
    const struct config config = config_of(budget_bytes);
    const struct kernel_side_config kernel = sizing_of(&config, cpus).kernel;
    bool scarce = budget_bytes / cpus < BUDGET_MIN_PER_CPU / 2;
    if (scarce && (kernel.sketch_pages > SKETCH_PAGES_MIN ||
                   kernel.samples_log2 > SAMPLES_LOG2_MIN || kernel.rare_ring_bytes > RING_MIN))
        fail_msg("%llu KiB on %u CPUs: more than the least", budget_bytes / KIB, cpus);
}

static void where_the_budget_is_scarce_each_cpu_gets_the_least_that_works(void **state)
{
    (void)state;
    for_each_machine(check_scarce);
}

static bool is_power_of_two(uint32_t value)
{
    return value && !(value & (value - 1));
}

static void check_bounds(uint64_t budget_bytes, uint32_t cpus)
{
    const struct config config = config_of(budget_bytes);
    struct sizing sizing = sizing_of(&config, cpus);
    bool fits =
        sizing.kernel.probes_max >= PROBES_MIN && sizing.kernel.probes_max <= config.probes_max &&
        sizing.kernel.sketch_pages >= SKETCH_PAGES_MIN && sizing.kernel.waits_max >= WAITS_MIN &&
        is_power_of_two(sizing.kernel.rare_ring_bytes) &&
        sizing.kernel.samples_log2 >= SAMPLES_LOG2_MIN &&
        sizing.kernel.rare_ring_bytes >= RING_MIN && sizing.processes_max >= 1024 &&
        sizing.names_max >= 1024 && sizing.cgroups_max >= 512 &&
        sizing.queued_bytes_max >= 2 * MIB && sizing.queued_bytes_max <= 64 * MIB &&
        (sizing.queued_bytes_max == 2 * MIB || sizing.queued_bytes_max <= budget_bytes / 8) &&
        sizing.series_min_bytes >= 256 * KIB && sizing.series_min_bytes <= budget_bytes / 2;
    if (!fits)
        fail_msg("%llu KiB on %u CPUs", budget_bytes / KIB, cpus);
}

/* As the kernel charges hash maps: an element's header, up to two bucket heads. */
static void check_allocators(uint64_t budget_bytes, uint32_t cpus)
{
    const struct config config = config_of(budget_bytes);
    const struct kernel_side_config kernel = sizing_of(&config, cpus).kernel;
    uint64_t bytes = kernel.heap_blocks_max * (48ull + 24 + 32) +
                     kernel.heap_rows_max * (48ull + 16 + sizeof(struct loris_heap_row) + 32) +
                     kernel.heap_sizes_max * (48ull + 16 + 32);
    bool fits = kernel.heap_blocks_max >= 4096 && kernel.heap_rows_max >= 256 &&
                kernel.heap_sizes_max >= 4096 && bytes <= budget_bytes / 8 + MIB;
    if (!fits)
        fail_msg("%llu KiB on %u CPUs: %llu bytes", budget_bytes / KIB, cpus,
                 (unsigned long long)bytes);
}

static void allocators_take_an_eighth_of_the_budget_once_they_are_watched(void **state)
{
    (void)state;
    for_each_machine(check_allocators);
}

static void every_size_lies_within_its_bounds(void **state)
{
    (void)state;
    for_each_machine(check_bounds);
}

static void more_memory_never_means_less_of_anything(void **state)
{
    (void)state;
    static const uint32_t machines[] = {1, 2, 3, 8, 64, 100, 256};
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct sizing last = {0};
        for (uint64_t budget_bytes = 12 * MIB; budget_bytes <= 64 * GIB;
             budget_bytes += budget_bytes / 64) {
            const struct config config = config_of(budget_bytes);
            struct sizing now = sizing_of(&config, machines[i]);
            assert_true(now.kernel.probes_max >= last.kernel.probes_max);
            assert_true(now.kernel.sketch_pages >= last.kernel.sketch_pages);
            assert_true(now.kernel.waits_max >= last.kernel.waits_max);
            assert_true(now.kernel.samples_log2 >= last.kernel.samples_log2);
            assert_true(now.kernel.rare_ring_bytes >= last.kernel.rare_ring_bytes);
            assert_true(now.processes_max >= last.processes_max);
            assert_true(now.series_min_bytes >= last.series_min_bytes);
            assert_true(now.queued_bytes_max >= last.queued_bytes_max);
            last = now;
        }
    }
}

static void what_the_operator_sets_is_kept(void **state)
{
    (void)state;
    struct config config = config_of(64 * MIB);
    config.ring_latency_bytes = 512 * KIB;
    config.ring_rare_bytes = 128 * KIB;
    config.processes_max = 5000;
    config.probes_max = 3;
    struct sizing sizing = sizing_of(&config, 2);
    assert_int_equal(sizing.kernel.samples_log2, 14); /* 24 bytes each */
    assert_int_equal(sizing.kernel.rare_ring_bytes, 128 * KIB);
    assert_int_equal(sizing.processes_max, 5000);
    assert_int_equal(sizing.kernel.probes_max, 3);
}

static void the_default_budget_holds_a_thousand_probes_on_eight_cpus(void **state)
{
    (void)state;
    const struct config config = config_of(64 * MIB);
    struct sizing sizing = sizing_of(&config, 8);
    assert_in_range(sizing.kernel.probes_max, 1000, config.probes_max);
    assert_true(sizing.kernel.samples_log2 >= 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_and_rings_take_at_most_half_of_the_budget),
        cmocka_unit_test(where_the_budget_is_scarce_each_cpu_gets_the_least_that_works),
        cmocka_unit_test(allocators_take_an_eighth_of_the_budget_once_they_are_watched),
        cmocka_unit_test(every_size_lies_within_its_bounds),
        cmocka_unit_test(more_memory_never_means_less_of_anything),
        cmocka_unit_test(what_the_operator_sets_is_kept),
        cmocka_unit_test(the_default_budget_holds_a_thousand_probes_on_eight_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
