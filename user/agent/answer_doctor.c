/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Doctor: gathers what the checks look at, and writes what they found. */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "agent/answers.h"
#include "agent/doctor.h"
#include "base/clock.h"

#define CLOCK_LOOKS  1000
#define CLOCK_ROUNDS 5 /* the quickest counts: the others were disturbed */

static double clock_cost_ns(void)
{
    uint64_t least_ns = UINT64_MAX;
    for (unsigned round = 0; round < CLOCK_ROUNDS; round++) {
        uint64_t began_ns = agent_now_ns();
        for (unsigned i = 0; i < CLOCK_LOOKS; i++)
            (void)agent_now_ns();
        uint64_t took_ns = agent_now_ns() - began_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    return (double)least_ns / CLOCK_LOOKS;
}

/* What was configured, as far as it can be read now. */
struct setup {
    struct config *fresh; /* owned; NULL: it cannot be read, or is not fine */
    struct diag refusal;
    struct doctor_target *targets; /* owned; texts are borrowed */
    char members[256];
};

static void setup_done(struct setup *setup)
{
    config_free(setup->fresh);
    free(setup->targets);
}

/* The file as it is now: a running agent may have read it long ago. */
static void read_config(const struct agent *agent, struct setup *setup,
                        struct doctor_machine *machine)
{
    const char *path = agent->config_path ? agent->config_path : CONFIG_PATH_DEFAULT;
    int error = config_load(path, &setup->fresh, &setup->refusal);
    machine->config_error = error;
    machine->config_path = error == -ENOENT && !agent->config_path ? NULL : path;
    machine->config_refusal = error ? &setup->refusal : NULL;
}

/* Those of the running agent; of a private one, which has none, those of the file. */
static int list_targets(const struct agent *agent, struct setup *setup,
                        struct doctor_machine *machine)
{
    bool is_private = !agent->config_path;
    size_t count = !is_private    ? agent->targets_count
                   : setup->fresh ? setup->fresh->targets_count
                                  : 0;
    setup->targets = calloc(count + 1, sizeof(*setup->targets));
    if (!setup->targets)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct agent_target *running = is_private ? NULL : agent->targets[i];
        const struct config_target *wanted = running ? &running->wanted : &setup->fresh->targets[i];
        setup->targets[i] = (struct doctor_target){
            .text = wanted->text,
            .optional = wanted->optional,
            .attached = running && running->attached,
            .refusal = running && !running->attached ? &running->refusal : NULL,
        };
    }
    machine->targets = setup->targets;
    machine->targets_count = count;
    return 0;
}

static void find_group(const char *name, struct setup *setup, struct doctor_machine *machine)
{
    const struct group *group = name[0] ? getgrnam(name) : NULL;
    machine->socket_group = name;
    machine->group_members = setup->members;
    machine->has_group = group;
    if (!group)
        return;
    machine->group_gid = group->gr_gid;
    for (char **member = group->gr_mem; *member; member++) {
        size_t length = strlen(setup->members);
        snprintf(setup->members + length, sizeof(setup->members) - length, "%s%s",
                 length ? ", " : "", *member);
    }
}

/* Tried once in the life of an agent: for about half a second it does nothing else, and calls that
 * find their log full are counted in the kernel meanwhile. */
static int ready_survey(struct agent *agent)
{
    if (agent->survey && agent->survey->core.taken)
        return 0;
    if (!agent->survey)
        agent->survey = calloc(1, sizeof(*agent->survey));
    if (!agent->survey)
        return -ENOMEM;
    attach_survey_run(agent->probes ? probe_set_trials(agent->probes) : NULL, agent->survey);
    return 0;
}

struct finding_writer {
    struct json_writer *json;
    char time[32];
};

static void write_finding(const struct doctor_finding *finding, void *context)
{
    struct finding_writer *writer = context;
    json_begin_object(writer->json, NULL);
    json_string_z(writer->json, "schema", "loris.check/1");
    json_string_z(writer->json, "time", writer->time);
    json_string_z(writer->json, "check", finding->check);
    json_string_z(writer->json, "result", doctor_result_name(finding->result));
    json_string_z(writer->json, "found", finding->found);
    if (finding->consequence[0])
        json_string_z(writer->json, "consequence", finding->consequence);
    if (finding->remedy[0])
        json_string_z(writer->json, "remedy", finding->remedy);
    json_end_object(writer->json);
}

static void write_reply(struct varlink_call *call, const struct doctor_machine *machine)
{
    struct finding_writer writer = {.json = varlink_call_begin_reply(call)};
    clock_format_utc(clock_now_ns(CLOCK_REALTIME), writer.time);
    json_begin_array(writer.json, "checks");
    doctor_run(machine, write_finding, &writer);
    json_end_array(writer.json);
    json_bool(writer.json, "limited", doctor_is_limited(machine));
    varlink_call_reply(call);
}

void answer_doctor(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    _cleanup_(setup_done) struct setup setup = {0};
    struct rlimit files = {0};
    struct bpf_census census;
    struct utsname kernel = {0};
    (void)parameters;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    uname(&kernel);
    struct doctor_machine machine = {
        .root = "",
        .release = kernel.release,
        .is_root = geteuid() == 0,
        .clock_ns = clock_cost_ns(),
        .files_max = files.rlim_max,
    };
    read_config(agent, &setup, &machine);
    const struct config *config = agent->config_path || !setup.fresh ? agent->config : setup.fresh;
    machine.memory_budget_bytes = config->memory_budget_bytes;
    machine.socket_path = config->socket_path;
    find_group(config->socket_group, &setup, &machine);
    int error = list_targets(agent, &setup, &machine);
    if (!error)
        error = ready_survey(agent);
    if (error) {
        struct diag diag = {0};
        diag_set(&diag, -error, "out of memory for the checks");
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    machine.survey = agent->survey;
    machine.census = bpf_census_take(&census) ? NULL : &census;
    write_reply(call, &machine);
}
