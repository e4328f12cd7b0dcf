/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loris status: health in the first word, then what the agent does, holds and lost. */
#include "cli/status.h"

#include <string.h>

#include "cli/agent_access.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/series_view.h"

#define NS_PER_S  1e9
#define NS_PER_US 1000u

static void print_reasons(const json_t *reply, struct text *out)
{
    const json_t *reasons = json_object_get(reply, "reasons");
    const json_t *remedies = json_object_get(reply, "remedies");
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const char *reason = json_string_value(json_array_get(reasons, i));
        const char *remedy = json_string_value(json_array_get(remedies, i));
        text_append_string(out, "  ");
        text_append_sanitized(out, reason ? reason : "");
        if (remedy && *remedy) {
            text_append_string(out, "\n    hint: ");
            text_append_sanitized(out, remedy);
        }
        text_append(out, "\n", 1);
    }
}

static void print_agent(const json_t *reply, struct text *out)
{
    char uptime[16], cpu[16], used[16], budget[16], peak[16];
    double uptime_s = json_field_number(reply, "uptime_s");
    double cpu_s = json_field_number(reply, "cpu_s");
    format_duration(uptime_s > 0.0 && uptime_s < 1e9 ? (uint64_t)(uptime_s * NS_PER_S) : 0, uptime);
    format_duration(cpu_s > 0.0 && cpu_s < 1e9 ? (uint64_t)(cpu_s * NS_PER_S) : 0, cpu);
    format_bytes(json_field_u64(reply, "memory_used"), used);
    format_bytes(json_field_u64(reply, "memory_budget"), budget);
    format_bytes(json_field_u64(reply, "memory_peak"), peak);
    text_append_string(out, "agent     lorisd ");
    text_append_sanitized(out, json_field_string(reply, "version"));
    text_append_format(out, ", pid %llu, up %s, %s of CPU",
                       (unsigned long long)json_field_u64(reply, "pid"), uptime, cpu);
    if (uptime_s > 0.0 && cpu_s >= 0.0)
        text_append_format(out, " (%.2f %%)", 100.0 * cpu_s / uptime_s);
    text_append_string(out, "\nkernel    ");
    text_append_sanitized(out, json_field_string(reply, "kernel"));
    text_append_format(out, "\nmemory    %s of %s, at most %s since the start\n", used, budget,
                       peak);
}

static void print_probes(const json_t *reply, struct text *out)
{
    char number[32];
    const json_t *kinds = json_object_get(reply, "attach_kinds");
    series_view_format_exact(json_field_u64(reply, "probes_attached"), number);
    text_append_format(out, "probes    %s attached%s", number,
                       json_array_size(kinds) > 0 ? ", through " : "");
    for (size_t i = 0; i < json_array_size(kinds); i++) {
        const char *kind = json_string_value(json_array_get(kinds, i));
        text_append_string(out, i > 0 ? ", " : "");
        text_append_sanitized(out, kind ? kind : "");
    }
    series_view_format_exact(json_field_u64(reply, "series"), number);
    text_append_format(out, "\nseries    %s\n", number);
}

/* "TARGET is not watched: ..." */
static bool is_among(const json_t *reasons, const char *target)
{
    size_t length = strlen(target);
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const char *reason = json_string_value(json_array_get(reasons, i));
        if (reason && strncmp(reason, target, length) == 0 && reason[length] == ' ')
            return true;
    }
    return false;
}

/* Those that are no reason for a worse health: what is optional. The reason names the target, as a
 * rule. */
static void print_refused(const json_t *reply, struct text *out)
{
    const json_t *probes = json_object_get(reply, "probes");
    for (size_t i = 0; i < json_array_size(probes); i++) {
        const json_t *probe = json_array_get(probes, i);
        const char *target = json_field_string(probe, "target");
        const char *reason = json_field_string(probe, "reason");
        if (strcmp(json_field_string(probe, "state"), "refused") != 0 ||
            is_among(json_object_get(reply, "reasons"), target))
            continue;
        text_append_string(out, "refused   ");
        if (!strstr(reason, target)) {
            text_append_sanitized(out, target);
            text_append_string(out, ": ");
        }
        text_append_sanitized(out, reason);
        text_append(out, "\n", 1);
    }
}

static void append_exact(struct text *out, const char *before, uint64_t number, const char *after)
{
    char digits[32];
    series_view_format_exact(number, digits);
    text_append_format(out, "%s%s%s", before, digits, after);
}

static void print_drain(const json_t *drain, struct text *out)
{
    char longest[16], last[16];
    if (!json_is_object(drain))
        return;
    format_duration(json_field_u64(drain, "longest_us") * NS_PER_US, longest);
    format_duration(json_field_u64(drain, "last_us") * NS_PER_US, last);
    text_append_format(out, "drain     every %.0f ms", json_field_number(drain, "interval_ms"));
    append_exact(out, "; ", json_field_u64(drain, "records"), " records");
    append_exact(out, " in ", json_field_u64(drain, "drains"), " drains");
    if (json_field_has(drain, "records_per_drain"))
        text_append_format(out, ", %.0f each", json_field_number(drain, "records_per_drain"));
    text_append_format(out,
                       "\n          the longest took %s, the last %s; logs were %.0f %% full "
                       "at most",
                       longest, last, 100.0 * json_field_number(drain, "fill_ratio_peak"));
    append_exact(out, "\n          woken ", json_field_u64(drain, "wakeups"),
                 " times by full logs");
    append_exact(out, "; lost ", json_field_u64(drain, "rare_lost"), " process events");
    append_exact(out, ", ", json_field_u64(drain, "malformed"), " broken records\n");
}

#define STEPS_SHOWN 5

static void print_overhead(const json_t *overhead, struct text *out)
{
    text_append_format(out, "overhead  probes %.2f %% of a CPU",
                       100 * json_field_number(overhead, "probes"));
    if (json_field_has(overhead, "budget"))
        text_append_format(out, " of %.2f %%", 100 * json_field_number(overhead, "budget"));
    if (json_field_has(overhead, "allocators"))
        text_append_format(out, "; heap and kmem targets %.2f %%, in no budget",
                           100 * json_field_number(overhead, "allocators"));
    text_append_format(out, "; the agent itself %.2f %%\n",
                       100 * json_field_number(overhead, "agent"));
    const json_t *steps = json_object_get(overhead, "steps");
    for (size_t i = 0; i < json_array_size(steps) && i < STEPS_SHOWN; i++) {
        const json_t *step = json_array_get(steps, i);
        char rate[16];
        format_count(json_field_number(step, "rate_per_s"), rate);
        text_append_string(out, i == 0 ? "turned    " : "          ");
        text_append_sanitized(out, json_field_string(step, "time"));
        text_append(out, " ", 1);
        text_append_sanitized(out, json_field_string(step, "probe"));
        text_append_format(out, ": %s calls/s, %.2f %% to %.2f %% of a CPU: ", rate,
                           100 * json_field_number(step, "cost_before"),
                           100 * json_field_number(step, "cost_after"));
        text_append_sanitized(out, json_field_string(step, "after"));
        text_append(out, "\n", 1);
    }
}

/* Worth a line only when there is something to say. */
static void print_missed(uint64_t missed, struct text *out)
{
    char number[32];
    if (missed == 0)
        return;
    series_view_format_exact(missed, number);
    text_append_format(out, "missed    %s runs of programs were left out by the kernel\n", number);
}

static void print_status(const struct invocation *invocation, const json_t *reply,
                         const struct output *output, struct text *out)
{
    unsigned width = output_width(output);
    text_append_sanitized(out, json_field_string(reply, "health"));
    text_append(out, "\n", 1);
    print_reasons(reply, out);
    if (json_field_has(reply, "reload_failure")) {
        text_append_string(out, "reload    the last one changed nothing: ");
        text_append_sanitized(out, json_field_string(reply, "reload_failure"));
        text_append_string(out, "\n");
    }
    print_agent(reply, out);
    print_probes(reply, out);
    print_refused(reply, out);
    print_drain(json_object_get(reply, "drain"), out);
    print_overhead(json_object_get(reply, "overhead"), out);
    print_missed(json_field_u64(reply, "kernel_missed"), out);
    status_outputs_print(reply, out);
    status_ledger_print(reply, out);
    if (invocation_has(invocation, OPTION_PROBES)) {
        text_append(out, "\n", 1);
        status_probes_print(reply, width, output->has_colour, out);
    }
    if (invocation_has(invocation, OPTION_MEMORY)) {
        text_append(out, "\n", 1);
        status_memory_print(reply, width, output->has_colour, out);
    }
}

int command_status(const struct invocation *invocation)
{
    _cleanup_(query_client_free_cleanup) struct query_client *client = NULL;
    int code = agent_access_open(invocation, &client);
    if (code != 0)
        return code;
    /* people see the ledger, which is summed over the probes, in any case */
    bool probes = !invocation->json || invocation_has(invocation, OPTION_PROBES);
    _cleanup_json_ json_t *parameters = json_object();
    _cleanup_json_ json_t *reply = NULL;
    if (!json_field_set_bool(parameters, "probes", probes)) {
        message_say("no memory for the question");
        return EXIT_CODE_FAILED;
    }
    code = agent_access_call(client, "Status", parameters, &reply);
    if (code != 0)
        return code;
    struct output output;
    _cleanup_text_ struct text out = {.max_bytes = QUERY_REPLY_MAX};
    int r = output_open(NULL, &output);
    if (r == 0 && invocation->json)
        json_field_dump(reply, &out);
    else if (r == 0)
        print_status(invocation, reply, &output, &out);
    if (r == 0)
        r = output_write(&output, &out);
    code = output_exit_code(r);
    bool is_ok = strcmp(json_field_string(reply, "health"), "ok") == 0;
    return code == 0 && !is_ok ? EXIT_CODE_FAILED : code;
}
