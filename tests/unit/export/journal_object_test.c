/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/journal_object.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_journald.h"

static const struct line_origin origin = {.host = "db1", .version = "9.8", .run = "r", .seq = 17};

/* What journald would receive for the object. */
static struct text entry_of(const struct fixture *fixture, const char *object)
{
    struct journal_sink *sink = NULL;
    struct text entry = {0};
    static char bytes[JOURNAL_ENTRY_BYTES_MAX];
    assert_int_equal(journal_sink_open(fixture->address.sun_path, &sink), 0);
    assert_int_equal(journal_object_write(sink, &origin, "0123456789abcdef0123456789abcdef", object,
                                          strlen(object)),
                     0);
    ssize_t got = recv(fixture->journald, bytes, sizeof(bytes), 0);
    assert_true(got > 0);
    text_append(&entry, bytes, (size_t)got);
    journal_sink_close(sink);
    return entry;
}

static void each_member_is_a_field(void **state)
{
    _cleanup_text_ struct text entry = entry_of(
        *state,
        "{\"schema\":\"loris.series/1\",\"time\":\"t\",\"probe\":\"syscall:read\","
        "\"group\":{\"kind\":\"process\",\"pid\":71,\"comm\":\"a b\",\"unit\":\"x.service\"},"
        "\"count\":3,\"rate_per_s\":0.5,\"p99_ns\":2100,\"estimated\":false,"
        "\"labels\":{\"team-a\":\"db\"}}");
    assert_string_equal(
        entry.bytes,
        "MESSAGE=syscall:read a b[71]: 3 calls, 0.50/s, p99 2.10 us\nPRIORITY=6\n"
        "MESSAGE_ID=0123456789abcdef0123456789abcdef\nSYSLOG_IDENTIFIER=lorisd\nLORIS_SEQ=17\n"
        "LORIS_RUN=r\nLORIS_SCHEMA=loris.series/1\nLORIS_TIME=t\nLORIS_PROBE=syscall:read\n"
        "LORIS_COUNT=3\nLORIS_RATE_PER_S=0.5\nLORIS_P99_NS=2100\nLORIS_ESTIMATED=false\n"
        "LORIS_GROUP=process\nLORIS_PID=71\nLORIS_COMM=a b\nLORIS_UNIT=x.service\n"
        "LORIS_LABELS_TEAM_A=db\n");
}

static void an_alert_has_its_priority_and_message(void **state)
{
    _cleanup_text_ struct text entry =
        entry_of(*state, "{\"schema\":\"loris.alert/1\",\"time\":\"t\",\"state\":\"firing\","
                         "\"severity\":\"critical\",\"message\":\"slow\\nline 2\"}");
    static const char start[] = "MESSAGE\n\xb\0\0\0\0\0\0\0slow\nline 2\nPRIORITY=2\n";
    assert_memory_equal(entry.bytes, start, sizeof(start) - 1);
}

static void a_name_cannot_write_on_the_terminal(void **state)
{
    _cleanup_text_ struct text entry =
        entry_of(*state, "{\"schema\":\"loris.series/1\",\"time\":\"t\",\"probe\":\"p\","
                         "\"group\":{\"comm\":\"a\\u001b[2J\\nb\"}}");
    static const char start[] = "MESSAGE=p a?[2J?b\nPRIORITY=6\n";
    assert_memory_equal(entry.bytes, start, sizeof(start) - 1);
    assert_non_null(memmem(entry.bytes, entry.length, "a\x1b[2J\nb\n", 8));
}

static void too_many_members_are_counted(void **state)
{
    _cleanup_text_ struct text object = {0};
    text_append_string(&object, "{\"schema\":\"loris.alert/1\",\"time\":\"t\"");
    for (unsigned i = 0; i < 100; i++)
        text_append_format(&object, ",\"k%u\":%u", i, i);
    text_append_string(&object, "}");
    _cleanup_text_ struct text entry = entry_of(*state, object.bytes);
    size_t lines = 0;
    for (size_t i = 0; i < entry.length; i++)
        lines += entry.bytes[i] == '\n';
    assert_int_equal(lines, JOURNAL_FIELDS_MAX);
    assert_non_null(strstr(entry.bytes, "\nLORIS_K54=54\nLORIS_CUT=45\n"));
}

static void refuses_what_is_no_object_of_ours(void **state)
{
    const struct fixture *fixture = *state;
    struct journal_sink *sink = NULL;
    assert_int_equal(journal_sink_open(fixture->address.sun_path, &sink), 0);
    assert_int_equal(journal_object_write(sink, &origin, "id", "{\"a\":1}", 7), -EINVAL);
    assert_int_equal(journal_sink_figures(sink).failed, 0);
    journal_sink_close(sink);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(each_member_is_a_field),
        WITH_FIXTURE(an_alert_has_its_priority_and_message),
        WITH_FIXTURE(a_name_cannot_write_on_the_terminal),
        WITH_FIXTURE(too_many_members_are_counted),
        WITH_FIXTURE(refuses_what_is_no_object_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
