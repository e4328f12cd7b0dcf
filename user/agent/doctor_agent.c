/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of what the agent was set up with: configuration, targets, group, socket. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/doctor_internal.h"

#define NAMED_MAX 3 /* refused targets that are told by name */

static void check_configuration(const struct doctor_machine *machine,
                                struct doctor_finding *finding)
{
    if (!machine->config_path) {
        doctor_found(finding, DOCTOR_ABSENT, "no " CONFIG_PATH_DEFAULT);
        doctor_means(finding, "lorisd does not start without; loris watch does");
        doctor_remedy(finding, "make install puts one there, loris.yaml(5) explains it");
        return;
    }
    if (machine->config_error == -EACCES || machine->config_error == -EPERM) {
        doctor_unread(finding, machine->config_path, machine->config_error);
        return;
    }
    if (!machine->config_error) {
        doctor_found(finding, DOCTOR_OK, "%.256s: fine, %zu target%s", machine->config_path,
                     machine->targets_count, machine->targets_count == 1 ? "" : "s");
        return;
    }
    doctor_found(finding, DOCTOR_FAIL, "%s", machine->config_refusal->what);
    doctor_means(finding, "a running agent keeps what it had; one that starts would not");
    doctor_remedy(finding, "%s",
                  machine->config_refusal->hint[0] ? machine->config_refusal->hint
                                                   : "loris check-config says where");
}

/* Of one that was not tried: whether the survey found a way. */
static bool is_hopeless(const struct doctor_machine *machine, const struct doctor_target *target)
{
    const struct attach_survey *survey = machine->survey;
    if (target->attached || !survey->core.taken)
        return false;
    if (target->refusal)
        return true;
    if (strncmp(target->text, "kernel:", 7) == 0)
        return !attach_survey_takes_kernel_functions(survey);
    if (strncmp(target->text, "usdt:", 5) == 0)
        return !survey->marks.taken;
    return false;
}

static void check_targets(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    char names[256] = "";
    const struct diag *why = NULL;
    size_t hopeless = 0, attached = 0;
    for (size_t i = 0; i < machine->targets_count; i++) {
        const struct doctor_target *target = &machine->targets[i];
        attached += target->attached;
        if (target->optional || !is_hopeless(machine, target))
            continue;
        size_t length = strlen(names);
        if (hopeless++ < NAMED_MAX)
            snprintf(names + length, sizeof(names) - length, "%s%.72s", length ? ", " : "",
                     target->text);
        if (!why)
            why = target->refusal;
    }
    if (hopeless == 0) {
        doctor_found(finding, DOCTOR_OK, "%zu asked for, %zu attached", machine->targets_count,
                     attached);
        return;
    }
    doctor_found(finding, DOCTOR_FAIL, "%zu of %zu cannot be watched: %s%s%s%s", hopeless,
                 machine->targets_count, names, hopeless > NAMED_MAX ? ", ..." : "",
                 why ? "; " : "", why ? why->what : "");
    doctor_remedy(finding, "%s",
                  why && why->hint[0] ? why->hint
                                      : "optional: true in loris.yaml for what not every machine "
                                        "has; see attach.kernel-functions");
}

static void check_group(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    if (!machine->socket_group[0]) {
        doctor_found(finding, DOCTOR_OK, "none is configured: root alone may ask the agent");
        return;
    }
    if (machine->has_group) {
        doctor_found(finding, DOCTOR_OK, "root and the group %s may ask the agent%s%s",
                     machine->socket_group, machine->group_members[0] ? ": " : "; it is empty",
                     machine->group_members);
        return;
    }
    doctor_found(finding, DOCTOR_WARNING, "there is no group %s", machine->socket_group);
    doctor_means(finding, "root alone may ask the agent");
    doctor_remedy(finding, "groupadd --system %s, then adduser YOU %s", machine->socket_group,
                  machine->socket_group);
}

static void check_socket(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    char path[PATH_MAX];
    struct stat status;
    int error = doctor_path(machine, machine->socket_path, path);
    if (!error && lstat(path, &status))
        error = -errno;
    if (error == -ENOENT) {
        doctor_found(finding, DOCTOR_ABSENT, "none at %s", machine->socket_path);
        doctor_means(finding, "no agent runs: nothing is watched but by loris watch");
        doctor_remedy(finding, "systemctl start loris");
    } else if (error) {
        doctor_unread(finding, machine->socket_path, error);
    } else if (!S_ISSOCK(status.st_mode)) {
        doctor_found(finding, DOCTOR_FAIL, "%s is no socket", machine->socket_path);
        doctor_means(finding, "lorisd refuses to start");
        doctor_remedy(finding, "move it away, or set socket: in loris.yaml");
    } else if (status.st_mode & S_IRWXO) {
        doctor_found(finding, DOCTOR_WARNING, "%s is open to everybody (mode %03o)",
                     machine->socket_path, status.st_mode & 0777);
        doctor_means(finding, "every user may see what processes of others do");
        doctor_remedy(finding, "chmod o= %s; the agent makes it 0660", machine->socket_path);
    } else if (machine->has_group && status.st_gid != machine->group_gid) {
        doctor_found(finding, DOCTOR_WARNING, "%s does not belong to the group %s",
                     machine->socket_path, machine->socket_group);
        doctor_means(finding, "its members may not ask the agent");
        doctor_remedy(finding, "systemctl restart loris");
    } else {
        doctor_found(finding, DOCTOR_OK, "%s, mode %03o", machine->socket_path,
                     status.st_mode & 0777);
    }
}

const struct doctor_check doctor_agent_checks[] = {
    {"agent.configuration", check_configuration},
    {"agent.targets", check_targets},
    {"agent.group", check_group},
    {"agent.socket", check_socket},
    {NULL, NULL},
};
