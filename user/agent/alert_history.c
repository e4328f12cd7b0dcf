/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_history.h"

#include <errno.h>
#include <string.h>

#include "export/alert_json.h"

struct entry {
    uint64_t seq;
    char *name;
    char *json;
};

struct alert_history {
    size_t max;
    size_t count;
    size_t first; /* the oldest */
    uint64_t next_seq;
    struct entry *entries;
};

static struct entry *entry_at(const struct alert_history *history, size_t nth)
{
    return &history->entries[(history->first + nth) % history->max];
}

int alert_history_new(size_t entries_max, struct alert_history **ret_history)
{
    _cleanup_(alert_history_free_cleanup) struct alert_history *history =
        calloc(1, sizeof(*history));
    if (!history)
        return -ENOMEM;
    history->max = entries_max;
    history->next_seq = 1;
    history->entries = calloc(entries_max, sizeof(*history->entries));
    if (!history->entries)
        return -ENOMEM;
    *ret_history = take_ptr(history);
    return 0;
}

static void drop_oldest(struct alert_history *history)
{
    struct entry *oldest = entry_at(history, 0);
    free(oldest->name);
    free(oldest->json);
    history->first = (history->first + 1) % history->max;
    history->count--;
}

void alert_history_free(struct alert_history *history)
{
    if (!history)
        return;
    while (history->count > 0)
        drop_oldest(history);
    free(history->entries);
    free(history);
}

int alert_history_set_max(struct alert_history *history, size_t entries_max)
{
    struct entry *entries = calloc(entries_max, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    while (history->count > entries_max)
        drop_oldest(history);
    for (size_t i = 0; i < history->count; i++)
        entries[i] = *entry_at(history, i);
    free(history->entries);
    history->entries = entries;
    history->max = entries_max;
    history->first = 0;
    return 0;
}

uint64_t alert_history_next(const struct alert_history *history)
{
    return history->next_seq;
}

void alert_history_add(struct alert_history *history, const char *name, const char *json)
{
    uint64_t seq = history->next_seq++;
    if (strlen(json) > ALERT_HISTORY_ENTRY_BYTES)
        return;
    _cleanup_free_ char *own_name = strdup(name);
    _cleanup_free_ char *own_json = strdup(json);
    if (!own_name || !own_json)
        return;
    if (history->count == history->max)
        drop_oldest(history);
    *entry_at(history, history->count++) =
        (struct entry){seq, take_ptr(own_name), take_ptr(own_json)};
}

void alert_history_walk(const struct alert_history *history, alert_history_fn on_entry,
                        void *context)
{
    for (size_t i = history->count; i > 0; i--) {
        const struct entry *entry = entry_at(history, i - 1);
        if (!on_entry(entry->seq, entry->name, entry->json, context))
            return;
    }
}

void alert_history_save(const struct alert_history *history, struct json_writer *json,
                        const char *key)
{
    json_begin_array(json, key);
    for (size_t i = 0; i < history->count; i++)
        json_raw(json, NULL, entry_at(history, i)->json);
    json_end_array(json);
}

static void restore_entry(struct alert_history *history, const json_t *object)
{
    const char *schema = json_string_value(json_object_get(object, "schema"));
    const char *name = json_string_value(json_object_get(object, "alert"));
    json_int_t seq = json_integer_value(json_object_get(object, "seq"));
    if (!schema || strcmp(schema, ALERT_JSON_SCHEMA) != 0 || !name || seq < 1 ||
        (uint64_t)seq < history->next_seq || seq > INT64_MAX / 2)
        return;
    char *json = json_dumps(object, JSON_COMPACT);
    if (json) {
        history->next_seq = (uint64_t)seq;
        alert_history_add(history, name, json);
    }
    free(json);
}

void alert_history_restore(struct alert_history *history, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        restore_entry(history, json_array_get(array, i));
}
