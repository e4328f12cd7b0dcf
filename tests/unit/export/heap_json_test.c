/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/heap_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "export/kmem_json.h"

static const char *name_of(enum loris_heap_function function)
{
    return function == LORIS_HEAP_MALLOC ? "malloc"
           : function == LORIS_HEAP_FREE ? "free"
                                         : "other";
}

static json_t *parse(const struct text *text)
{
    assert_int_equal(text->failed, 0);
    json_t *object = json_loads(text->bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static json_int_t number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static json_t *written(struct heap_group *group, uint32_t pid)
{
    const struct heap_json heap = {.target = "heap:libc.so.6",
                                   .time = "2026-11-20T07:00:00.123Z",
                                   .group = group,
                                   .pid = pid,
                                   .comm = pid ? "a\"b" : NULL,
                                   .name_of = name_of};
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    heap_json_write(&json, NULL, &heap);
    return parse(&text);
}

static void tells_sizes_within_what_was_seen(void **state)
{
    (void)state;
    struct heap_group group = {.counts = {.calls = {[LORIS_HEAP_MALLOC] = 4, [LORIS_HEAP_FREE] = 1},
                                          .failures = {[LORIS_HEAP_MALLOC] = 1},
                                          .bytes = 3003,
                                          .live_bytes = 2002,
                                          .live_count = 2,
                                          .frees = 1,
                                          .size_min_inverted = ~1001ull,
                                          .size_max = 1001}};
    assert_int_equal(sketch_record(&group.sizes, loris_sketch_bucket(1001), 3), 0);
    json_t *line = written(&group, 71);
    assert_string_equal(json_string_value(json_object_get(line, "schema")), "loris.heap/1");
    assert_int_equal(number(line, "calls"), 4);
    assert_int_equal(number(line, "failures"), 1);
    assert_int_equal(number(line, "size_mean"), 1001);
    assert_int_equal(number(line, "size_min"), 1001);
    assert_int_equal(number(line, "size_p99"), 1001); /* not the middle of its bucket */
    assert_int_equal(number(line, "live_bytes"), 2002);
    const json_t *functions = json_object_get(line, "functions");
    assert_int_equal(json_object_size(functions), 2);
    assert_int_equal(number(json_object_get(functions, "malloc"), "failures"), 1);
    assert_null(json_object_get(json_object_get(functions, "free"), "failures"));
    assert_int_equal(number(json_object_get(line, "group"), "pid"), 71);
    json_decref(line);
    sketch_done(&group.sizes);
}

static void says_nothing_of_sizes_where_nothing_succeeded(void **state)
{
    (void)state;
    struct heap_group group = {
        .counts = {.calls = {[LORIS_HEAP_MALLOC] = 2}, .failures = {[LORIS_HEAP_MALLOC] = 2}}};
    json_t *line = written(&group, 0);
    assert_null(json_object_get(line, "size_min"));
    assert_null(json_object_get(line, "size_p50"));
    assert_null(json_object_get(line, "group"));
    assert_true(json_is_false(json_object_get(line, "estimated")));
    json_decref(line);
}

static void is_never_negative_while_counters_move(void **state)
{
    (void)state;
    struct heap_group group = {.counts = {.live_bytes = -40, .live_count = -1, .untracked = 1}};
    json_t *line = written(&group, 0);
    assert_int_equal(number(line, "live_bytes"), 0);
    assert_int_equal(number(line, "live_count"), 0);
    assert_true(json_is_true(json_object_get(line, "estimated")));
    json_decref(line);
}

static json_t *kernel_line(const struct kmem_json *kmem)
{
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    kmem_json_write(&json, NULL, kmem);
    return parse(&text);
}

static void tells_of_the_kernel_only_what_is_known(void **state)
{
    (void)state;
    struct kmem_json kmem = {.time = "t",
                             .kind = "slab",
                             .name = "filp",
                             .object_bytes = 184,
                             .counts = {.calls = 5, .frees = 9, .bytes = 920},
                             .calls_known = true,
                             .frees_known = true};
    json_t *line = kernel_line(&kmem);
    assert_int_equal(number(line, "live_count"), -4); /* what was there before went */
    assert_int_equal(number(line, "live_bytes"), -736);
    json_decref(line);
    kmem.name = "kfree";
    kmem.object_bytes = 0;
    kmem.calls_known = false;
    line = kernel_line(&kmem);
    assert_int_equal(number(line, "frees"), 9);
    assert_null(json_object_get(line, "calls"));
    assert_null(json_object_get(line, "live_count"));
    assert_null(json_object_get(line, "object_bytes"));
    json_decref(line);
    const struct kmem_json pages = {.time = "t", .kind = "pages", .order = 3, .calls_known = true};
    line = kernel_line(&pages);
    assert_int_equal(number(line, "order"), 3);
    assert_null(json_object_get(line, "name"));
    json_decref(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_sizes_within_what_was_seen),
        cmocka_unit_test(says_nothing_of_sizes_where_nothing_succeeded),
        cmocka_unit_test(is_never_negative_while_counters_move),
        cmocka_unit_test(tells_of_the_kernel_only_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
