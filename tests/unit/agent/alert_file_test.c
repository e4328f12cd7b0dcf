/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_folder.h"

#include "agent/alert_file.h"
#include "agent/alert_history.h"

#define FILE_IN(folder, out) snprintf(out, sizeof(out), "%s/alerts.state", (folder)->path)

static void what_is_written_is_read(void **state)
{
    char path[PATH_MAX];
    FILE_IN((const struct folder *)*state, path);
    json_t *object = NULL;
    assert_int_equal(alert_file_read(path, &object), -ENOENT);
    for (int i = 0; i < 2; i++) { /* anew, and over what is there */
        const char *text = i ? "{\"a\":2}\n" : "{\"a\":1}\n";
        assert_int_equal(alert_file_write(path, text, strlen(text)), 0);
        assert_int_equal(alert_file_read(path, &object), 0);
        assert_int_equal(json_integer_value(json_object_get(object, "a")), i + 1);
        json_decref(object);
    }
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX], fresh[PATH_MAX + 8];
    FILE_IN(folder, path);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    assert_int_equal(alert_file_write(path, "{}", 2), 0);
    assert_int_equal(mkdir(fresh, 0700), 0); /* in the way, even for root */
    assert_int_equal(alert_file_write(path, "{\"a\":1}", 7), -EISDIR);
    json_t *object = NULL;
    assert_int_equal(alert_file_read(path, &object), 0);
    assert_int_equal(json_object_size(object), 0);
    json_decref(object);
    assert_int_equal(rmdir(fresh), 0);
    /* what a crash left there is no obstacle, nor is a link that somebody laid */
    assert_int_equal(symlink("/dev/null", fresh), 0);
    assert_int_equal(alert_file_write(path, "{\"a\":1}", 7), 0);
    assert_int_equal(access(fresh, F_OK), -1);
}

static void refuses_what_is_no_file_of_ours(void **state)
{
    const struct folder *folder = *state;
    char path[PATH_MAX];
    json_t *object = NULL;
    FILE_IN(folder, path);
    assert_int_equal(symlink(folder->main_file, path), 0);
    assert_int_equal(alert_file_read(path, &object), -ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(alert_file_read(path, &object), -EINVAL);
    assert_int_equal(unlink(path), 0);
    static const char *const texts[] = {
        "", "{", "[]", "7", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(folder, "alerts.state", texts[i]);
        assert_int_equal(alert_file_read(path, &object), -EBADMSG);
    }
    write_bytes(folder, "alerts.state", "{\"a\":\"\0\"}", 9);
    assert_int_equal(alert_file_read(path, &object), -EBADMSG);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, ALERT_FILE_BYTES_MAX + 1), 0);
    close(fd);
    assert_int_equal(alert_file_read(path, &object), -EBADMSG);
    /* nested without end: a parser must not use up the stack */
    static char deep[100000];
    memset(deep, '[', sizeof(deep) - 1);
    write_file(folder, "alerts.state", deep);
    assert_int_equal(alert_file_read(path, &object), -EBADMSG);
}

/* --- history ---------------------------------------------------------------------------------- */

static void add(struct alert_history *history, const char *name)
{
    char json[128];
    snprintf(json, sizeof(json), "{\"schema\":\"loris.alert/1\",\"seq\":%llu,\"alert\":\"%s\"}",
             (unsigned long long)alert_history_next(history), name);
    alert_history_add(history, name, json);
}

static bool note_name(uint64_t seq, const char *name, const char *json, void *context)
{
    char *names = context;
    (void)json;
    sprintf(names + strlen(names), "%s%llu ", name, (unsigned long long)seq);
    return strlen(names) < 60;
}

static void assert_names(const struct alert_history *history, const char *expected)
{
    char names[128] = "";
    alert_history_walk(history, note_name, names);
    assert_string_equal(names, expected);
}

static void history_keeps_the_newest(void **state)
{
    (void)state;
    struct alert_history *history = NULL;
    assert_int_equal(alert_history_new(3, &history), 0);
    assert_names(history, "");
    for (int i = 0; i < 5; i++)
        add(history, "a");
    assert_names(history, "a5 a4 a3 ");
    assert_int_equal(alert_history_set_max(history, 2), 0);
    assert_names(history, "a5 a4 ");
    assert_int_equal(alert_history_set_max(history, 4), 0);
    add(history, "b");
    add(history, "c");
    add(history, "d");
    assert_names(history, "d8 c7 b6 a5 ");
    alert_history_free(history);
}

static void history_survives_a_restart_and_garbage(void **state)
{
    (void)state;
    struct alert_history *history = NULL;
    struct text text = {0};
    struct json_writer json = {.text = &text};
    assert_int_equal(alert_history_new(3, &history), 0);
    for (int i = 0; i < 4; i++)
        add(history, "a");
    alert_history_save(history, &json, NULL);
    alert_history_free(history);
    json_t *array = json_loads(text.bytes, 0, NULL);
    static const char *const garbage[] = {
        "7",
        "{}",
        "{\"schema\":\"loris.alert/1\",\"seq\":2,\"alert\":\"back in time\"}",
        "{\"schema\":\"loris.alert/1\",\"seq\":9223372036854775807,\"alert\":\"x\"}",
        "{\"schema\":\"loris.series/1\",\"seq\":9,\"alert\":\"x\"}",
        "{\"schema\":\"loris.alert/1\",\"seq\":9,\"alert\":[]}",
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        json_array_append_new(array, json_loads(garbage[i], JSON_DECODE_ANY, NULL));
    assert_int_equal(alert_history_new(3, &history), 0);
    alert_history_restore(history, array);
    assert_names(history, "a4 a3 a2 ");
    assert_int_equal(alert_history_next(history), 5);
    json_decref(array);
    text_done(&text);
    alert_history_free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_written_is_read),
        IN_FOLDER(a_failed_write_leaves_the_old_file),
        IN_FOLDER(refuses_what_is_no_file_of_ours),
        cmocka_unit_test(history_keeps_the_newest),
        cmocka_unit_test(history_survives_a_restart_and_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
