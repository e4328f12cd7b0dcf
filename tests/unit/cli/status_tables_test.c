/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/table.c"

#include "cli/json_field.c"
#include "cli/series_footer.c"
#include "cli/series_view.c"
#include "cli/status_tables.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The table of one probe, as wide as it likes to be unless width says otherwise. */
static struct text probe_table(const char *probe, unsigned width)
{
    struct text out = {0}, reply_text = {0};
    text_append_format(&reply_text, "{\"probes\":[%s]}", probe);
    json_t *reply = json_loads(reply_text.bytes, 0, NULL);
    assert_non_null(reply);
    status_probes_print(reply, width, false, &out);
    assert_int_equal(out.failed, 0);
    json_decref(reply);
    text_done(&reply_text);
    return out;
}

static void assert_probe_table(const char *probe, unsigned width, const char *expected)
{
    struct text out = probe_table(probe, width);
    assert_string_equal(out.bytes, expected);
    text_done(&out);
}

/* What stands between the rows' other cells: " FIRST  SECOND ". */
static void assert_cells(const char *probe, const char *cells)
{
    struct text out = probe_table(probe, 0);
    const char *row = strchr(out.bytes, '\n') + 1;
    if (!strstr(row, cells))
        fail_msg("no \"%s\" in\n%s", cells, out.bytes);
    text_done(&out);
}

static const char busy[] =
    "{\"probe\":\"user:a:b\",\"state\":\"attached\",\"attach\":\"uprobe-session\","
    "\"object\":\"/usr/lib/libc.so.6\",\"offset\":624944,"
    "\"placement\":{\"offset\":4,\"emulated\":true},\"rate_per_s\":13200,\"bias_ns\":433,"
    "\"sample_shift\":0,\"thin_shift\":4,\"attached_ratio\":0.03125,"
    "\"cost\":{\"call_ns\":1166,\"reduced_ns\":500,\"cpu_ratio\":0.0049},"
    "\"ledger\":{\"returned\":73162,\"in_flight\":1,\"closes\":true}}";

static void a_probe_has_a_cost_a_place_and_a_bias(void **state)
{
    (void)state;
    assert_probe_table(
        busy, 0,
        "PROBE     STATE     ATTACHED BY     ADDRESS            AT  RATE/s  NS/CALL  CPU%  RETURNED"
        "  IN FLIGHT                  TIMED    BIAS  LEDGER  WHY\n"
        "user:a:b  attached  uprobe-session  libc.so.6+0x98930  +4  13.2 k    1,166  0.49    73,162"
        "          1  1/16 for 1/32 of time  433 ns  closes  \n");
}

static void what_is_refused_has_no_cost_and_says_why(void **state)
{
    (void)state;
    assert_cells(
        "{\"probe\":\"p\",\"state\":\"refused\",\"reason\":\"Go moves its stacks\","
        "\"ledger\":{\"returned\":0,\"in_flight\":0,\"closes\":true}}",
        " -        -     -         0          0    all  0 ns  closes  Go moves its stacks");
}

static void a_narrow_terminal_keeps_what_says_most(void **state)
{
    (void)state;
    assert_probe_table(busy, 80,
                       "PROBE     STATE     ATTACHED BY     RATE/s  CPU%  RETURNED  WHY\n"
                       "user:a:b  attached  uprobe-session  13.2 k  0.49    73,162  \n");
    assert_probe_table(busy, 30,
                       "PROBE     STATE     RETURNED\n"
                       "user:a:b  attached    73,162\n");
}

static void a_ledger_that_is_open_shows_on_any_terminal(void **state)
{
    (void)state;
    char open_probe[sizeof(busy)];
    snprintf(open_probe, sizeof(open_probe), "%s", busy);
    memcpy(strstr(open_probe, "true}}"), "null", 4);
    assert_probe_table(open_probe, 80,
                       "PROBE     STATE     ATTACHED BY     RATE/s  CPU%  RETURNED  LEDGER  WHY\n"
                       "user:a:b  attached  uprobe-session  13.2 k  0.49    73,162  open    \n");
}

static void a_place_says_when_it_is_stepped(void **state)
{
    (void)state;
#define PROBE(fields) "{\"probe\":\"p\",\"state\":\"s\",\"attach\":\"a\"," fields "\"ledger\":{}}"
    assert_cells(PROBE("\"placement\":{\"offset\":0,\"emulated\":false},"), "  +0 stepped  ");
    assert_cells(PROBE("\"placement\":{\"offset\":23,\"emulated\":true},"), "  +23  ");
    assert_cells(PROBE(""),
                 "p      s      a                              -  "); /* a syscall has none */
#undef PROBE
}

static void assert_timed(const char *fields, const char *expected)
{
    char probe[256], cells[64];
    snprintf(probe, sizeof(probe), "{\"probe\":\"p\",%s,\"bias_ns\":9,\"ledger\":{}}", fields);
    snprintf(cells, sizeof(cells), "  %s  9 ns  ", expected);
    assert_cells(probe, cells);
}

static void says_how_many_calls_are_timed(void **state)
{
    (void)state;
    assert_timed("\"sample_shift\":0", "all");
    assert_timed("\"thin_shift\":7,\"sample_shift\":0,\"attached_ratio\":1", "1/128");
    assert_timed("\"thin_shift\":0,\"sample_shift\":3,\"attached_ratio\":1", "1/8");
    assert_timed("\"sample_shift\":32,\"attached_ratio\":1", "counted");
    assert_timed("\"sample_shift\":32,\"attached_ratio\":0.0009765625",
                 "counted for 1/1024 of time");
    assert_timed("\"thin_shift\":0,\"sample_shift\":0,\"attached_ratio\":0.5",
                 "all for 1/2 of time");
}

static void memory_has_owners_and_caches(void **state)
{
    (void)state;
    json_t *reply = json_loads(
        "{\"memory_budget\":67108864,\"memory\":[{\"owner\":\"series\",\"bytes\":1048576,"
        "\"entries\":1234,\"peak\":2097152,\"limit\":8388608},{\"owner\":\"maps\",\"bytes\":0}],"
        "\"caches\":[{\"name\":\"units\",\"entries\":3,\"bytes\":512,\"hits\":9,"
        "\"misses\":1,\"hit_ratio\":0.9,\"evicted\":0,\"limit\":4096},"
        "{\"name\":\"series\",\"entries\":7,\"limit_bytes\":1048576},{\"name\":\"new\"}]}",
        0, NULL);
    assert_non_null(reply);
    struct text out = {0};
    status_memory_print(reply, 0, false, &out);
    assert_string_equal(out.bytes,
                        "MEMORY OF    BYTES  BUDGET%     PEAK    LIMIT  ENTRIES\n"
                        "series     1.0 MiB      1.6  2.0 MiB  8.0 MiB    1,234\n"
                        "maps           0 B      0.0        -        -        -\n"
                        "\n"
                        "CACHE   ENTRIES  BYTES    LIMIT  HITS  MISSES  HIT%  EVICTED\n"
                        "units         3  512 B    4,096     9       1  90.0        0\n"
                        "series        7      -  1.0 MiB     -       -     -        -\n"
                        "new           -      -        -     -       -     -        -\n");
    text_done(&out);
    json_decref(reply);
}

static void shows_answers_of_any_shape(void **state)
{
    (void)state;
    static const char odd[] = "{\"thin_shift\":-1,\"sample_shift\":1e99,\"attached_ratio\":\"x\","
                              "\"bias_ns\":null}";
    static const char *const probes[] = {"7", "null", "{}", "{\"placement\":7,\"cost\":[]}", odd};
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        struct text out = probe_table(probes[i], 80);
        text_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_has_a_cost_a_place_and_a_bias),
        cmocka_unit_test(what_is_refused_has_no_cost_and_says_why),
        cmocka_unit_test(a_narrow_terminal_keeps_what_says_most),
        cmocka_unit_test(a_ledger_that_is_open_shows_on_any_terminal),
        cmocka_unit_test(a_place_says_when_it_is_stepped),
        cmocka_unit_test(says_how_many_calls_are_timed),
        cmocka_unit_test(memory_has_owners_and_caches),
        cmocka_unit_test(shows_answers_of_any_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
