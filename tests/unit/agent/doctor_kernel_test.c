/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_machine.h"

#define CLOCK "/sys/devices/system/clocksource/clocksource0/"

static void a_release_is_compared_with_the_floor(void **state)
{
    struct fake_machine *fake = *state;
    static const struct {
        const char *release;
        enum doctor_result result;
    } cases[] = {{"5.15.0", DOCTOR_OK},         {"5.15", DOCTOR_OK},
                 {"6.1.0-44-amd64", DOCTOR_OK}, {"10.0-rc1", DOCTOR_OK},
                 {"5.14.999", DOCTOR_FAIL},     {"4.19.0", DOCTOR_FAIL},
                 {"5", DOCTOR_UNKNOWN},         {"", DOCTOR_UNKNOWN},
                 {"garbage", DOCTOR_UNKNOWN},   {"\x1b[2J", DOCTOR_UNKNOWN}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake->machine.release = cases[i].release;
        assert_finds(fake, "kernel.version", cases[i].result, "");
        assert_null(strchr(find(fake, "kernel.version").found, '\x1b'));
    }
}

static void types_must_be_there_and_be_types(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "kernel.types", DOCTOR_OK, "vmlinux, 3 B");
    put(fake, "/sys/kernel/btf/vmlinux",
        "\x7f"
        "ELF");
    assert_finds(fake, "kernel.types", DOCTOR_FAIL, "holds no type");
    put(fake, "/sys/kernel/btf/vmlinux", "");
    assert_finds(fake, "kernel.types", DOCTOR_FAIL, "holds no type");
    take_away(fake, "/sys/kernel/btf/vmlinux");
    assert_finds(fake, "kernel.types", DOCTOR_FAIL, "is missing");
}

static void a_lockdown_is_read_and_felt(void **state)
{
    struct fake_machine *fake = *state;
    static const char path[] = "/sys/kernel/security/lockdown";
    assert_finds(fake, "kernel.lockdown", DOCTOR_OK, "none");
    put(fake, path, "none [integrity] confidentiality\n");
    assert_finds(fake, "kernel.lockdown", DOCTOR_OK, "integrity");
    put(fake, path, "none integrity [confidentiality]\n");
    assert_finds(fake, "kernel.lockdown", DOCTOR_WARNING, "confidentiality");
    fake->survey.core.taken = false;
    assert_finds(fake, "kernel.lockdown", DOCTOR_FAIL, "confidentiality");
    take_everything(&fake->survey);
    put(fake, path, "none integrity confidentiality\n");
    assert_finds(fake, "kernel.lockdown", DOCTOR_UNKNOWN, "names no mode");
    put(fake, path, "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]");
    assert_finds(fake, "kernel.lockdown", DOCTOR_UNKNOWN, "names no mode");
    take_away(fake, path);
    assert_finds(fake, "kernel.lockdown", DOCTOR_OK, "no lockdown");
    fake->survey.kinds[ATTACH_FENTRY].taken = false;
    diag_set(&fake->survey.kinds[ATTACH_FENTRY].refusal, EPERM, "cannot load: %s", strerror(EPERM));
    assert_finds(fake, "kernel.lockdown", DOCTOR_WARNING, "forbidden to root");
    fake->survey.core.taken = false; /* then nobody tried */
    assert_finds(fake, "kernel.lockdown", DOCTOR_UNKNOWN, "cannot read");
}

static void settings_of_the_compiler_have_their_price(void **state)
{
    struct fake_machine *fake = *state;
    static const struct {
        const char *content;
        enum doctor_result enable, harden;
    } cases[] = {
        {"0", DOCTOR_WARNING, DOCTOR_OK},        {"1", DOCTOR_OK, DOCTOR_OK},
        {"2\n", DOCTOR_WARNING, DOCTOR_WARNING}, {"x", DOCTOR_UNKNOWN, DOCTOR_UNKNOWN},
        {"", DOCTOR_UNKNOWN, DOCTOR_UNKNOWN},    {"1 1", DOCTOR_UNKNOWN, DOCTOR_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(fake, "/proc/sys/net/core/bpf_jit_enable", cases[i].content);
        put(fake, "/proc/sys/net/core/bpf_jit_harden", cases[i].content);
        assert_finds(fake, "kernel.jit", cases[i].enable, "");
        assert_finds(fake, "kernel.jit-harden", cases[i].harden, "");
    }
    take_away(fake, "/proc/sys/net/core");
    assert_finds(fake, "kernel.jit", DOCTOR_UNKNOWN, "container");
    assert_finds(fake, "kernel.jit-harden", DOCTOR_UNKNOWN, "container");
}

static void settings_that_bind_others_are_no_trouble(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "kernel.unprivileged-bpf", DOCTOR_OK, "may not");
    put(fake, "/proc/sys/kernel/unprivileged_bpf_disabled", "0");
    assert_finds(fake, "kernel.unprivileged-bpf", DOCTOR_OK, "users may load");
    take_away(fake, "/proc/sys/kernel/unprivileged_bpf_disabled");
    assert_finds(fake, "kernel.unprivileged-bpf", DOCTOR_UNKNOWN, "No such file");
    put(fake, "/proc/sys/kernel/kptr_restrict", "2");
    assert_finds(fake, "kernel.symbols", DOCTOR_OK, "hidden from root");
    put(fake, "/proc/sys/kernel/kptr_restrict", "\xff\xff");
    assert_finds(fake, "kernel.symbols", DOCTOR_UNKNOWN, "cannot read");
    assert_finds(fake, "kernel.perf", DOCTOR_OK, "is -1");
    take_away(fake, "/proc/sys/kernel/perf_event_paranoid");
    assert_finds(fake, "kernel.perf", DOCTOR_ABSENT, "no perf events");
}

static void a_slow_clock_is_known_by_name_and_by_measure(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "kernel.clock", DOCTOR_OK, "tsc, read in 25 ns");
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies"};
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        put(fake, CLOCK "current_clocksource", slow[i]);
        assert_finds(fake, "kernel.clock", DOCTOR_WARNING, slow[i]);
        assert_finds(fake, "kernel.clock", DOCTOR_WARNING, "tsc hpet acpi_pm");
    }
    put(fake, CLOCK "current_clocksource", "xen\n");
    fake->machine.clock_ns = 950;
    assert_finds(fake, "kernel.clock", DOCTOR_WARNING, "xen, read in 950 ns");
    assert_non_null(strstr(find(fake, "kernel.clock").consequence, "1800 ns more"));
    take_away(fake, CLOCK);
    assert_finds(fake, "kernel.clock", DOCTOR_WARNING, "there are: unknown");
    fake->machine.clock_ns = 40;
    assert_finds(fake, "kernel.clock", DOCTOR_OK, "unknown, read in 40 ns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(a_release_is_compared_with_the_floor),
        ON_MACHINE(types_must_be_there_and_be_types),
        ON_MACHINE(a_lockdown_is_read_and_felt),
        ON_MACHINE(settings_of_the_compiler_have_their_price),
        ON_MACHINE(settings_that_bind_others_are_no_trouble),
        ON_MACHINE(a_slow_clock_is_known_by_name_and_by_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
