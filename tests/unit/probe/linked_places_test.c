/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"
#include "probe/linked_places.h"
#include "probe/probe_set.h"

static int add(struct linked_places *linked, uint32_t probe, uint64_t offset)
{
    const struct attach_place place = {.offset = offset, .probe = probe, .name = "name"};
    return linked_places_add(linked, &place, ATTACH_UPROBE_SESSION, false, false);
}

/* As if of a file; no test links anything. */
static struct linked_places of_file(void)
{
    int fd = open("/dev/null", O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    return (struct linked_places){.fd = fd};
}

/* A link stands for any descriptor: what counts is that it is closed. */
static int open_link(struct link_set *links)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(link_set_add(links, fd), 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void pretend_linked(struct linked_places *linked)
{
    for (size_t i = 0; i < linked->count; i++)
        linked->places[i].is_linked = true;
}

static void isolation_cuts_the_shared_link_and_keeps_the_probe_out(void **state)
{
    (void)state;
    const uint32_t hot[] = {2, 5};
    struct linked_places linked = of_file();
    for (uint32_t probe = 0; probe < 8; probe++)
        assert_int_equal(add(&linked, probe, probe * 16), 0);
    pretend_linked(&linked);
    int shared = open_link(&linked.shared);
    assert_false(linked_places_lack(&linked));
    assert_int_equal(linked_places_reserve(&linked, hot, 2), 0);
    linked_places_isolate(&linked, hot, 2);
    assert_false(is_open(shared));
    assert_true(linked_places_lack(&linked));
    for (uint32_t probe = 0; probe < 8; probe++)
        assert_int_equal(linked_places_share(&linked, probe), probe != 2 && probe != 5);
    /* Further places of the probe stay apart as well, as when it has clones. */
    assert_int_equal(add(&linked, 5, 200), 0);
    assert_false(linked_places_share(&linked, 5));
    linked_places_done(&linked);
}

static void a_paused_probe_lacks_nothing_until_it_is_resumed(void **state)
{
    (void)state;
    const uint32_t hot = 1;
    struct linked_places linked = of_file();
    assert_int_equal(add(&linked, 1, 16), 0);
    assert_int_equal(add(&linked, 2, 32), 0);
    assert_int_equal(linked_places_reserve(&linked, &hot, 1), 0);
    linked_places_isolate(&linked, &hot, 1);
    pretend_linked(&linked);
    int own = open_link(&linked.own[0].links);
    int shared = open_link(&linked.shared);
    assert_int_equal(linked_places_pause(&linked, 1), 0);
    assert_true(!is_open(own) && is_open(shared));
    assert_false(linked_places_lack(&linked));
    linked_places_resume(&linked, 1);
    assert_true(linked_places_lack(&linked));
    linked_places_done(&linked);
    assert_false(is_open(shared));
}

static void places_that_take_single_links_are_never_shared(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {ATTACH_UPROBE, ATTACH_KPROBE, ATTACH_FENTRY};
    struct linked_places linked = {.fd = -1};
    for (uint32_t i = 0; i < 3; i++) {
        const struct attach_place place = {.probe = i, .name = "vfs_read"};
        assert_int_equal(linked_places_add(&linked, &place, kinds[i], false, false), 0);
        assert_false(linked_places_share(&linked, i));
    }
    assert_int_equal(add(&linked, 9, 0), 0);
    assert_true(linked_places_share(&linked, 9));
    linked_places_done(&linked);
}

static void forgetting_closes_what_a_failed_rung_has_linked(void **state)
{
    (void)state;
    struct linked_places linked = of_file();
    assert_int_equal(add(&linked, 1, 16), 0);
    const struct attach_place place = {.offset = 32, .probe = 2};
    assert_int_equal(linked_places_add(&linked, &place, ATTACH_UPROBE, false, false), 0);
    assert_int_equal(linked_places_pause(&linked, 2), 0);
    linked_places_resume(&linked, 2);
    int own = open_link(&linked.own[0].links);
    linked.places[1].is_linked = true;
    linked_places_forget(&linked, 1);
    assert_false(is_open(own));
    assert_int_equal(linked.count, 1);
    linked_places_done(&linked);
}

static void thousands_of_places_take_24_bytes_each(void **state)
{
    (void)state;
    struct linked_places linked = of_file();
    const struct attach_job job = {0};
    for (uint32_t probe = 0; probe < 2000; probe++)
        assert_int_equal(add(&linked, probe, probe), 0);
    pretend_linked(&linked);
    assert_int_equal(linked_places_link(&linked, &job, NULL), 0); /* nothing to do but trim */
    assert_int_equal(linked.capacity, 2000);
    assert_int_equal(sizeof(*linked.places), 24);
    linked_places_done(&linked);
}

static void all_links_can_be_taken(void **state)
{
    (void)state;
    struct link_set taken = {0};
    struct linked_places linked = of_file();
    assert_int_equal(linked_places_pause(&linked, 7), 0);
    int shared = open_link(&linked.shared);
    int own = open_link(&linked.own[0].links);
    assert_int_equal(linked_places_take_links(&linked, &taken), 0);
    linked_places_done(&linked);
    assert_true(is_open(shared) && is_open(own));
    link_set_done(&taken);
    assert_false(is_open(shared) || is_open(own));
}

static void build_and_free(void *context)
{
    (void)context;
    static const uint32_t probes[] = {1, 2, 3, 4, 5, 6};
    struct link_set taken = {0};
    struct linked_places linked = {.fd = -1};
    int error = 0;
    for (uint32_t i = 0; i < 6 && !error; i++)
        error = add(&linked, i + 1, 0);
    if (!error)
        error = linked_places_reserve(&linked, probes, 6);
    if (!error) {
        linked_places_isolate(&linked, probes, 6);
        error = linked_places_pause(&linked, 9);
    }
    if (!error)
        error = link_set_add(&linked.shared, open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!error)
        error = linked_places_take_links(&linked, &taken);
    assert_true(error == 0 || error == -ENOMEM);
    link_set_done(&taken);
    linked_places_done(&linked);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(build_and_free, NULL), 10, 100);
}

static void a_probe_owns_the_generations_since_its_first(void **state)
{
    (void)state;
    struct probe probe = {.first_generation = 65530, .knobs = {.generation = 65530}};
    assert_true(probe_owns_generation(&probe, 65530));
    assert_false(probe_owns_generation(&probe, 65529) || probe_owns_generation(&probe, 65531));
    probe.knobs.generation = 3; /* it has come round */
    assert_true(probe_owns_generation(&probe, 65535) && probe_owns_generation(&probe, 0) &&
                probe_owns_generation(&probe, 3));
    assert_false(probe_owns_generation(&probe, 4) || probe_owns_generation(&probe, 65529));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isolation_cuts_the_shared_link_and_keeps_the_probe_out),
        cmocka_unit_test(a_paused_probe_lacks_nothing_until_it_is_resumed),
        cmocka_unit_test(places_that_take_single_links_are_never_shared),
        cmocka_unit_test(forgetting_closes_what_a_failed_rung_has_linked),
        cmocka_unit_test(thousands_of_places_take_24_bytes_each),
        cmocka_unit_test(all_links_can_be_taken),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(a_probe_owns_the_generations_since_its_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
