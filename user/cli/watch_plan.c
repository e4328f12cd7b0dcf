/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/watch_plan.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cli/agent_access.h"
#include "cli/exit_code.h"
#include "cli/message.h"
#include "cli/target_path.h"

#define NS_PER_MS       1000000u
#define INTERVAL_MIN_NS (100 * (uint64_t)NS_PER_MS)

static int no_memory(void)
{
    message_say("no memory for the targets");
    return EXIT_CODE_FAILED;
}

static int add_target(const struct invocation *invocation, const char *target, json_t *targets)
{
    struct diag diag;
    _cleanup_free_ char *resolved = NULL;
    if (strncmp(target, "heap:", 5) == 0 || strncmp(target, "kmem:", 5) == 0) {
        message_say("%s has no latencies to watch", target);
        message_hint(
            "name it under targets: in the configuration of the agent, and ask loris heap%s",
            target[0] == 'k' ? " --kernel" : "");
        return EXIT_CODE_USAGE;
    }
    int r = target_path_resolve(target, &resolved, &diag);
    if (r < 0) {
        message_diag(&diag);
        return EXIT_CODE_FAILED;
    }
    json_t *entry = json_object();
    bool complete =
        json_field_set_string(entry, "target", resolved) &&
        json_field_set_string(entry, "errors", invocation_value(invocation, OPTION_ERRORS)) &&
        json_field_set_string(entry, "attach", invocation_value(invocation, OPTION_ATTACH)) &&
        json_field_set_string(entry, "sample", invocation_value(invocation, OPTION_SAMPLE)) &&
        (!invocation_has(invocation, OPTION_FORCE) || json_field_set_bool(entry, "force", true));
    if (json_array_append_new(targets, entry) < 0)
        return no_memory();
    return complete ? 0 : no_memory();
}

static int add_pid(const struct invocation *invocation, const char *given, json_t *pids)
{
    uint64_t pid;
    if (parse_u64(given, &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return message_usage(invocation->command, "-p is \"%s\"; it is the number of a process",
                             given);
    if (kill((pid_t)pid, 0) < 0 && errno == ESRCH) {
        message_say("there is no process %llu", (unsigned long long)pid);
        return EXIT_CODE_FAILED;
    }
    return json_array_append_new(pids, json_integer((json_int_t)pid)) < 0 ? no_memory() : 0;
}

static int make_filter(const struct invocation *invocation, json_t *filter)
{
    json_t *pids = json_array();
    if (json_object_set_new(filter, "pids", pids) < 0)
        return no_memory();
    for (size_t i = 0; i < invocation->given_count; i++) {
        if (invocation->given[i].id != OPTION_PID)
            continue;
        if (invocation->child_arguments)
            return message_usage(invocation->command, "-p and -- COMMAND exclude each other");
        int code = add_pid(invocation, invocation->given[i].value, pids);
        if (code != 0)
            return code;
    }
    if (json_array_size(pids) == 0)
        json_object_del(filter, "pids");
    if (!json_field_set_string(filter, "comm", invocation_value(invocation, OPTION_COMM)) ||
        !json_field_set_string(filter, "unit", invocation_value(invocation, OPTION_UNIT)))
        return no_memory();
    return 0;
}

static int make_targets(const struct invocation *invocation, json_t *targets)
{
    for (size_t i = 0; i < invocation->argument_count; i++) {
        int code = add_target(invocation, invocation->arguments[i], targets);
        if (code != 0)
            return code;
    }
    return 0;
}

int watch_plan_make(const struct invocation *invocation, struct watch_plan *ret_plan)
{
    struct watch_plan *plan = ret_plan;
    const char *by = invocation_value(invocation, OPTION_BY);
    *plan = (struct watch_plan){.by = by ? by : "process"};
    int code = agent_access_number(invocation, OPTION_LIMIT, "limit", &plan->limit);
    if (code == 0)
        code = agent_access_duration(invocation, OPTION_DURATION, "duration", NS_PER_MS,
                                     &plan->duration_ns);
    if (code == 0)
        code = agent_access_duration(invocation, OPTION_INTERVAL, "interval", INTERVAL_MIN_NS,
                                     &plan->interval_ns);
    if (code != 0)
        return code;
    plan->targets = json_array();
    plan->filter = json_object();
    if (!plan->targets || !plan->filter)
        return no_memory();
    code = make_filter(invocation, plan->filter);
    return code != 0 ? code : make_targets(invocation, plan->targets);
}

void watch_plan_done(struct watch_plan *plan)
{
    json_decref(plan->targets);
    json_decref(plan->filter);
    plan->targets = plan->filter = NULL;
}

bool watch_plan_follow(struct watch_plan *plan, pid_t pid)
{
    _cleanup_json_ json_t *pids = json_array();
    return json_array_append_new(pids, json_integer(pid)) == 0 &&
           json_object_set(plan->filter, "pids", pids) == 0 &&
           json_field_set_bool(plan->filter, "follow", true);
}
