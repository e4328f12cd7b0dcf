/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris check: one rule as monitoring plugins say it: a line, performance data, an exit status. */
#include <errno.h>
#include <string.h>

#include "cli/agent_access.h"
#include "cli/alert_view.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/output.h"

/* Of the plugin interface, not ours. */
enum plugin_code {
    PLUGIN_OK = 0,
    PLUGIN_WARNING = 1,
    PLUGIN_CRITICAL = 2,
    PLUGIN_UNKNOWN = 3,
};

static const char *const plugin_words[] = {
    [PLUGIN_OK] = "OK",
    [PLUGIN_WARNING] = "WARNING",
    [PLUGIN_CRITICAL] = "CRITICAL",
    [PLUGIN_UNKNOWN] = "UNKNOWN",
};

static enum plugin_code code_of(const json_t *object)
{
    const char *state = json_field_string(object, "state");
    const char *severity = json_field_string(object, "severity");
    if (strcmp(state, "inactive") == 0 || strcmp(state, "pending") == 0)
        return PLUGIN_OK;
    if (strcmp(state, "firing") != 0)
        return PLUGIN_UNKNOWN;
    return strcmp(severity, "critical") == 0  ? PLUGIN_CRITICAL
           : strcmp(severity, "warning") == 0 ? PLUGIN_WARNING
                                              : PLUGIN_OK;
}

/* The line is one, and `|` begins the performance data. */
static void append_words(struct text *out, const char *words)
{
    char clean[1024];
    size_t length = strnlen(words, sizeof(clean) - 1);
    text_sanitize(words, length, clean);
    for (char *at = clean; *at; at++)
        *at = *at == '|' ? '/' : *at;
    text_append_string(out, clean);
}

/* Seconds, per cent and bytes have units in performance data; others have none. */
static double perfdata_scale(const char *unit, const char **ret_suffix)
{
    bool is_time = strcmp(unit, "ns") == 0, is_ratio = strcmp(unit, "ratio") == 0;
    *ret_suffix = is_time ? "s" : is_ratio ? "%" : strcmp(unit, "bytes") == 0 ? "B" : "";
    return is_time ? 1e-9 : is_ratio ? 100 : 1;
}

static void append_number(struct text *out, double number)
{
    char digits[32];
    snprintf(digits, sizeof(digits), "%.6g", number);
    quantity_force_decimal_point(digits);
    text_append_string(out, digits);
}

/* 'slow-queries'=0.312s;0.2;;0 with the threshold as a range: @ and : as the plugin interface has
 * them. Quotes and = in a label would end it. */
static void append_perfdata(struct text *out, const json_t *rule)
{
    const char *suffix;
    double scale = perfdata_scale(json_field_string(rule, "value_unit"), &suffix);
    bool is_below = strcmp(json_field_string(rule, "condition"), "below") == 0;
    bool is_critical = strcmp(json_field_string(rule, "severity"), "critical") == 0;
    text_append_string(out, " '");
    for (const char *at = json_field_string(rule, "alert"); *at; at++)
        text_append(out, strchr("'=|", *at) || (unsigned char)*at < ' ' ? "_" : at, 1);
    text_append_string(out, "'=");
    append_number(out, scale * json_field_number(rule, "value"));
    text_append_format(out, "%s;%s", suffix, is_critical ? ";" : "");
    append_number(out, scale * json_field_number(rule, "threshold"));
    text_append_format(out, "%s%s;0", is_below ? ":" : "", is_critical ? "" : ";");
}

/* What is worst, in words: an alert that fires; else how the rule stands. */
static void append_finding(struct text *out, const json_t *reply, enum plugin_code code)
{
    const json_t *alerts = json_object_get(reply, "alerts");
    const json_t *rules = json_object_get(reply, "rules");
    size_t alike = 0;
    const json_t *first = NULL;
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *alert = json_array_get(alerts, i);
        if (strcmp(json_field_string(alert, "state"), json_field_string(reply, "state")) != 0 ||
            code_of(alert) != code)
            continue;
        first = first ? first : alert;
        alike++;
    }
    if (first) {
        append_words(out, json_field_string(first, "alert"));
        text_append_format(out, " %s: ", json_field_string(first, "state"));
        append_words(out, json_field_string(first, "message"));
        if (alike > 1)
            text_append_format(out, ", and %zu more", alike - 1);
        return;
    }
    for (size_t i = 0; i < json_array_size(rules) && !first; i++)
        if (code_of(json_array_get(rules, i)) == code)
            first = json_array_get(rules, i);
    char value[32], limit[48];
    alert_view_value(first, "value", value);
    alert_view_limit(first, limit);
    append_words(out, json_field_string(first, "alert"));
    text_append_format(out, ": %s of ", json_field_string(first, "metric"));
    append_words(out, json_field_string(first, "probe"));
    if (json_field_has(first, "value"))
        text_append_format(out, " is %s, not %s", value, limit);
    else
        text_append_format(out, " has no data (limit: %s)", limit);
    if (json_array_size(rules) > 1)
        text_append_format(out, "; %zu rules", json_array_size(rules));
}

static int say(enum plugin_code code, struct text *line)
{
    text_append(line, "\n", 1);
    return output_once(line) == EXIT_CODE_FINE ? (int)code : PLUGIN_UNKNOWN;
}

static int say_diag(const struct diag *diag)
{
    _cleanup_text_ struct text line = {0};
    text_append_string(&line, "LORIS UNKNOWN - ");
    append_words(&line, diag->what);
    if (diag->hint[0]) {
        text_append_string(&line, "; ");
        append_words(&line, diag->hint);
    }
    return say(PLUGIN_UNKNOWN, &line);
}

static int say_reply(const struct invocation *invocation, const json_t *reply)
{
    _cleanup_text_ struct text line = {0};
    enum plugin_code code = code_of(reply);
    const json_t *rules = json_object_get(reply, "rules");
    if (invocation->json) {
        json_field_dump(reply, &line);
        return output_once(&line) == EXIT_CODE_FINE ? (int)code : PLUGIN_UNKNOWN;
    }
    text_append_format(&line, "LORIS %s - ", plugin_words[code]);
    append_finding(&line, reply, code);
    const char *before = " |";
    for (size_t i = 0; i < json_array_size(rules); i++) {
        if (!json_field_has(json_array_get(rules, i), "value"))
            continue;
        text_append_string(&line, before);
        append_perfdata(&line, json_array_get(rules, i));
        before = "";
    }
    return say(code, &line);
}

int command_check(const struct invocation *invocation)
{
    struct diag diag = {0};
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    if (!json_field_set_string(parameters, "rule", invocation->arguments[0])) {
        diag_set(&diag, ENOMEM, "no memory for the question");
        return say_diag(&diag);
    }
    int r = query_client_open(invocation->socket_path, &client, &diag);
    if (r == 0)
        r = query_client_call(client, "Check", parameters, AGENT_CALL_TIMEOUT_NS, NULL, &reply,
                              &diag);
    return r < 0 ? say_diag(&diag) : say_reply(invocation, reply);
}
