/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of the kernel itself: version, types, lockdown, settings, clock. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/doctor_internal.h"
#include "base/quantity.h"

#define FLOOR_MAJOR 5 /* cookies, by which a program knows its probe */
#define FLOOR_MINOR 15
#define BTF_MAGIC   0xeb9f
#define BTF_PATH    "/sys/kernel/btf/vmlinux"
#define CLOCK_PATH  "/sys/devices/system/clocksource/clocksource0/"
#define CLOCK_DEAR  150 /* ns; a probe looks twice, and costs less than 1,000 in all */

static void check_version(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    unsigned major = 0, minor = 0;
    if (sscanf(machine->release, "%3u.%3u", &major, &minor) != 2) {
        doctor_found(finding, DOCTOR_UNKNOWN, "\"%.100s\" is no version of a kernel",
                     machine->release);
        return;
    }
    if (major > FLOOR_MAJOR || (major == FLOOR_MAJOR && minor >= FLOOR_MINOR)) {
        doctor_found(finding, DOCTOR_OK, "%.100s; loris needs %d.%d or newer", machine->release,
                     FLOOR_MAJOR, FLOOR_MINOR);
        return;
    }
    doctor_found(finding, DOCTOR_FAIL, "%.100s is older than %d.%d", machine->release, FLOOR_MAJOR,
                 FLOOR_MINOR);
    doctor_means(finding, "its probes cannot tell programs which of them was hit: nothing works");
    doctor_remedy(finding, "boot a newer kernel");
}

static void check_types(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    char path[PATH_MAX];
    uint16_t magic = 0;
    struct stat status;
    int error = doctor_path(machine, BTF_PATH, path);
    _cleanup_close_ int fd =
        error ? error : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (!error && fd < 0)
        error = -errno;
    if (error && error != -ENOENT) {
        doctor_unread(finding, BTF_PATH, error);
        return;
    }
    bool is_there = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                    read(fd, &magic, sizeof(magic)) == sizeof(magic) && magic == BTF_MAGIC;
    if (is_there) {
        char bytes[16];
        format_bytes((uint64_t)status.st_size, bytes);
        doctor_found(finding, DOCTOR_OK, BTF_PATH ", %s", bytes);
        return;
    }
    doctor_found(finding, DOCTOR_FAIL,
                 fd < 0 ? "no type information: " BTF_PATH " is missing"
                        : BTF_PATH " holds no type information");
    doctor_means(finding, "programs cannot be fitted to this kernel: nothing can be attached");
    doctor_remedy(finding, "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' "
                           "are; in a container, let it see /sys/kernel/btf");
}

/* What stands between the brackets in "none [integrity] confidentiality". */
static bool chosen_word(const char *line, char out[32])
{
    const char *from = strchr(line, '[');
    const char *to = from ? strchr(from, ']') : NULL;
    if (!to || to - from - 1 <= 0 || to - from - 1 >= 32)
        return false;
    snprintf(out, 32, "%.*s", (int)(to - from - 1), from + 1);
    return true;
}

/* Trampolines are refused on kernels that are patched at boot alone, whatever the file says. */
static bool tracing_is_refused(const struct attach_survey *survey)
{
    const struct survey_outcome *fentry = &survey->kinds[ATTACH_FENTRY];
    return survey->core.taken && !fentry->taken && strstr(fentry->refusal.what, strerror(EPERM));
}

static void check_lockdown(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/sys/kernel/security/lockdown";
    char mode[32] = "";
    _cleanup_free_ char *line = NULL;
    int error = doctor_read(machine, path, &line);
    bool refused = tracing_is_refused(machine->survey);
    if (!error && !chosen_word(line, mode)) {
        doctor_found(finding, DOCTOR_UNKNOWN, "%s names no mode", path);
        return;
    }
    if (strcmp(mode, "confidentiality") == 0) {
        doctor_found(finding, machine->survey->core.taken ? DOCTOR_WARNING : DOCTOR_FAIL,
                     "confidentiality");
        doctor_means(finding, "programs may not read kernel memory: kernel functions, and on most "
                              "kernels everything else, cannot be watched");
        doctor_remedy(finding, "boot with lockdown=integrity, or with Secure Boot off");
    } else if (refused) {
        doctor_found(finding, DOCTOR_WARNING,
                     "mode %s, and programs on kernel functions (fentry) are forbidden to root",
                     mode[0] ? mode : "unknown");
        doctor_means(finding, "kernel functions need kprobes here, if at all");
        doctor_remedy(finding, "ask who runs the kernel: it was configured or patched so");
    } else if (mode[0]) {
        doctor_found(finding, DOCTOR_OK, "%s", mode);
    } else if (error == -ENOENT && machine->survey->core.taken) {
        doctor_found(finding, DOCTOR_OK, "no lockdown to be seen, and nothing was refused for it");
    } else {
        doctor_unread(finding, path, error);
    }
}

static void check_jit(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/proc/sys/net/core/bpf_jit_enable";
    uint64_t enabled = 0;
    int error = doctor_read_number(machine, path, &enabled);
    if (error == -ENOENT) {
        doctor_found(finding, DOCTOR_UNKNOWN, "no %s: a container, or a kernel without", path);
    } else if (error) {
        doctor_unread(finding, path, error);
    } else if (enabled == 1) {
        doctor_found(finding, DOCTOR_OK, "programs run as machine code");
    } else if (enabled == 0) {
        doctor_found(finding, DOCTOR_WARNING, "programs are interpreted");
        doctor_means(finding, "a probe costs several times as much; no fentry, no sessions");
        doctor_remedy(finding, "sysctl -w net.core.bpf_jit_enable=1");
    } else {
        doctor_found(finding, DOCTOR_WARNING, "the compiler prints each program to the kernel log");
        doctor_means(finding, "loading is slow and the log fills up");
        doctor_remedy(finding, "sysctl -w net.core.bpf_jit_enable=1");
    }
}

static void check_jit_harden(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/proc/sys/net/core/bpf_jit_harden";
    uint64_t harden = 0;
    int error = doctor_read_number(machine, path, &harden);
    if (error == -ENOENT) {
        doctor_found(finding, DOCTOR_UNKNOWN, "no %s: a container, or a kernel without", path);
    } else if (error) {
        doctor_unread(finding, path, error);
    } else if (harden < 2) {
        doctor_found(finding, DOCTOR_OK, "root's programs are compiled plainly (%llu)",
                     (unsigned long long)harden);
    } else {
        doctor_found(finding, DOCTOR_WARNING, "constants of root's programs are blinded, too");
        doctor_means(finding, "each run of a program takes some more instructions");
        doctor_remedy(finding, "sysctl -w net.core.bpf_jit_harden=1 blinds those of other users "
                               "only");
    }
}

static void check_unprivileged_bpf(const struct doctor_machine *machine,
                                   struct doctor_finding *finding)
{
    static const char path[] = "/proc/sys/kernel/unprivileged_bpf_disabled";
    uint64_t disabled = 0;
    int error = doctor_read_number(machine, path, &disabled);
    if (error)
        doctor_unread(finding, path, error);
    else
        doctor_found(finding, DOCTOR_OK,
                     "users %s load programs (%llu); loris needs capabilities "
                     "either way",
                     disabled ? "may not" : "may", (unsigned long long)disabled);
}

static void check_symbols(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/proc/sys/kernel/kptr_restrict";
    uint64_t restrict_level = 0;
    int error = doctor_read_number(machine, path, &restrict_level);
    if (error)
        doctor_unread(finding, path, error);
    else
        doctor_found(finding, DOCTOR_OK,
                     "addresses of kernel functions are %s (kptr_restrict %llu); loris goes by "
                     "their names",
                     restrict_level >= 2   ? "hidden from root as well"
                     : restrict_level == 1 ? "shown to CAP_SYSLOG"
                                           : "shown",
                     (unsigned long long)restrict_level);
}

static void check_perf(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char path[] = "/proc/sys/kernel/perf_event_paranoid";
    _cleanup_free_ char *level = NULL;
    int error = doctor_read(machine, path, &level);
    if (error == -ENOENT) {
        doctor_found(finding, DOCTOR_ABSENT, "this kernel has no perf events");
        doctor_means(finding, "single probes (uprobe, kprobe) are not possible, links of many are");
    } else if (error) {
        doctor_unread(finding, path, error);
    } else {
        doctor_found(finding, DOCTOR_OK,
                     "perf_event_paranoid is %.20s; it binds those without CAP_PERFMON, not loris",
                     level);
    }
}

static void check_clock(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    _cleanup_free_ char *source = NULL;
    _cleanup_free_ char *others = NULL;
    int error = doctor_read(machine, CLOCK_PATH "current_clocksource", &source);
    const char *name = error ? "unknown" : source;
    bool is_slow = strncmp(name, "hpet", 4) == 0 || strncmp(name, "acpi_pm", 7) == 0 ||
                   strncmp(name, "jiffies", 7) == 0 || strncmp(name, "refined-jiffies", 15) == 0;
    if (!is_slow && machine->clock_ns <= CLOCK_DEAR) {
        doctor_found(finding, DOCTOR_OK, "%.64s, read in %.0f ns", name, machine->clock_ns);
        return;
    }
    if (doctor_read(machine, CLOCK_PATH "available_clocksource", &others))
        others = NULL;
    doctor_found(finding, DOCTOR_WARNING, "%.64s, read in %.0f ns (there are: %.128s)", name,
                 machine->clock_ns, others ? others : "unknown");
    doctor_means(finding,
                 "each measured call looks at it twice: %.0f ns more than a good clock "
                 "takes",
                 machine->clock_ns > 50 ? 2 * machine->clock_ns - 100 : 0.0);
    doctor_remedy(finding, "boot with clocksource=tsc where the hardware is sound; dmesg says why "
                           "the kernel left it");
}

const struct doctor_check doctor_kernel_checks[] = {
    {"kernel.version", check_version},       {"kernel.types", check_types},
    {"kernel.lockdown", check_lockdown},     {"kernel.jit", check_jit},
    {"kernel.jit-harden", check_jit_harden}, {"kernel.unprivileged-bpf", check_unprivileged_bpf},
    {"kernel.symbols", check_symbols},       {"kernel.perf", check_perf},
    {"kernel.clock", check_clock},           {NULL, NULL},
};
