/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor.h"

#include <stdarg.h>
#include <string.h>

#include "agent/doctor_internal.h"
#include "base/text.h"

const char *doctor_result_name(enum doctor_result result)
{
    static const char *const names[DOCTOR_RESULTS] = {
        [DOCTOR_OK] = "ok",     [DOCTOR_ABSENT] = "absent",   [DOCTOR_WARNING] = "warning",
        [DOCTOR_FAIL] = "fail", [DOCTOR_UNKNOWN] = "unknown",
    };
    return result < DOCTOR_RESULTS ? names[result] : "?";
}

/* What the files of a machine say goes to terminals and logs. */
static __attribute__((format(printf, 2, 0))) void set(char out[512], const char *format,
                                                      va_list arguments)
{
    vsnprintf(out, 512, format, arguments);
    text_sanitize(out, strlen(out), out);
}

void doctor_found(struct doctor_finding *finding, enum doctor_result result, const char *format,
                  ...)
{
    va_list arguments;
    finding->result = result;
    va_start(arguments, format);
    set(finding->found, format, arguments);
    va_end(arguments);
}

void doctor_means(struct doctor_finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(finding->consequence, format, arguments);
    va_end(arguments);
}

void doctor_remedy(struct doctor_finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(finding->remedy, format, arguments);
    va_end(arguments);
}

void doctor_unread(struct doctor_finding *finding, const char *path, int negative_errno)
{
    doctor_found(finding, DOCTOR_UNKNOWN, "cannot read %s: %s", path, strerror(-negative_errno));
}

void doctor_run(const struct doctor_machine *machine, doctor_finding_fn on_finding, void *context)
{
    static const struct doctor_check *const areas[] = {
        doctor_kernel_checks, doctor_host_checks,   doctor_rights_checks,
        doctor_attach_checks, doctor_hazard_checks, doctor_agent_checks,
    };
    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
        for (const struct doctor_check *check = areas[i]; check->name; check++) {
            struct doctor_finding finding = {.check = check->name};
            check->look(machine, &finding);
            on_finding(&finding, context);
        }
}

bool doctor_is_limited(const struct doctor_machine *machine)
{
    return !machine->is_root && !machine->survey->core.taken &&
           doctor_has_capability(machine, CAP_BPF) <= 0 &&
           doctor_has_capability(machine, CAP_SYS_ADMIN) <= 0;
}
