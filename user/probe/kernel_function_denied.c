/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel functions that no probe may sit on. The kernel refuses most of them itself (notrace,
 * noinstr, NOKPROBE_SYMBOL), but which ones depends on its version and configuration. */
#include <stdbool.h>
#include <string.h>

#include "probe/clone_names.h"
#include "probe/kernel_functions.h"

/* `*` stands at the beginning, at the end or at both ends of a name only: sixty thousand names
 * meet this table at start. */
struct denied_group {
    const char *reason;
    const char *const *names; /* NULL at the end */
};

#define NAMES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct denied_group groups[] = {
    {"it runs inside BPF programs and their maps: the probe would call itself",
     NAMES("bpf_*", "__bpf_*", "___bpf_*", "____bpf_*", "htab_*", "__htab_*", "htab_map_*",
           "array_map_*", "percpu_array_map_*", "trie_*", "dev_map_*", "pcpu_freelist_*",
           "__pcpu_freelist_*", "ringbuf_*", "__ringbuf_*", "__sys_bpf", "__cgroup_bpf_*",
           "trampoline_*", "copy_map_value*", "stack_map_*", "queue_stack_map_*")},
    {"it is part of tracing itself: the probe would call itself",
     NAMES("ftrace_*", "__ftrace_*", "arch_ftrace_*", "trace_*", "__trace_*", "tracing_*",
           "__tracing_*", "__traceiter_*", "function_trace*", "function_graph*", "function_stack*",
           "fgraph_*", "fprobe_*", "__fprobe_*", "event_trigger*", "ring_buffer_*", "rb_reserve_*",
           "__rb_reserve_next*", "rb_move_tail*", "rb_commit*", "rb_handle_*", "perf_*", "__perf_*",
           "x86_pmu_*", "intel_pmu_*", "amd_pmu_*", "return_to_handler", "prepare_ftrace_return")},
    {"it handles probes: the probe would call itself",
     NAMES("kprobe*", "__kprobe*", "kretprobe*", "__kretprobe*", "arch_kprobe*", "get_kprobe*",
           "uprobe*", "__uprobe*", "uretprobe*", "arch_uprobe*", "arch_uretprobe*", "handle_swbp*",
           "find_active_uprobe*", "rethook_*", "arch_rethook*", "__rethook*", "optimized_callback",
           "opt_pre_handler", "aggr_pre_handler", "aggr_post_handler", "poke_int3_handler",
           "text_poke*", "__text_poke*", "smp_text_poke*", "static_key_*", "jump_label_*",
           "__jump_label_*")},
    {"it is entry, exit or exception code, where tracing is not allowed yet",
     NAMES("asm_*", "exc_*", "entry_*", "__entry_*", "do_int3*", "do_int80_*", "do_syscall_*",
           "__do_fast_syscall_*", "do_fast_syscall_*", "do_SYSENTER_32", "x64_sys_call",
           "ia32_sys_call", "irqentry_*", "syscall_enter_from_user_mode*",
           "__syscall_enter_from_user_mode*", "syscall_exit_to_user_mode*",
           "__syscall_exit_to_user_mode*", "exit_to_user_mode*", "enter_from_user_mode*",
           "__enter_from_user_mode", "ret_from_*", "error_entry", "error_return", "paranoid_*",
           "sysvec_*", "__sysvec_*", "fred_*", "native_iret*", "fixup_bad_iret", "sync_regs",
           "handle_bug", "do_machine_check", "mce_*", "__mce_*", "do_double_fault",
           "fixup_exception", "search_exception_tables", "search_extable",
           "search_kernel_exception_table", "search_module_extables", "ex_handler_*", "ex_get_*",
           "do_user_addr_fault", "do_kern_addr_fault", "notify_die", "atomic_notifier_call_chain")},
    {"it runs in NMI context, where a probe can deadlock",
     NAMES("*_nmi*", "nmi_*", "__nmi_*", "*_in_nmi", "default_do_nmi", "do_nmi", "hardlockup_*",
           "watchdog_overflow_callback")},
    {"tracing takes RCU locks through it: the probe would call itself",
     NAMES("rcu_read_lock*", "rcu_read_unlock*", "__rcu_read_lock*", "__rcu_read_unlock*",
           "rcu_is_watching*", "rcu_irq_*", "rcu_nmi_*", "rcu_dynticks_*", "rcu_watching_*",
           "rcu_preempt_deferred_qs*", "rcu_lockdep_*", "rcu_idle_*", "rcu_user_*", "ct_nmi_*",
           "ct_irq_*", "ct_kernel_*", "ct_idle_*", "ct_user_*", "__ct_user_*", "ct_state*",
           "__srcu_read_*", "context_tracking_*")},
    {"every probe switches preemption or migration with it: the probe would call itself",
     NAMES("preempt_count_*", "preempt_schedule*", "__preempt_*", "migrate_disable",
           "migrate_enable", "__migrate_*", "debug_smp_processor_id", "check_preemption_disabled",
           "__this_cpu_preempt_check", "lockdep_*", "lock_acquire*", "lock_release*",
           "lock_is_held*", "trace_hardirqs_*", "trace_preempt_*")},
    {"maps and ring buffers take this lock: a probe on it can deadlock",
     NAMES("_raw_spin_*", "__raw_spin_*", "_raw_read_*", "_raw_write_*", "do_raw_spin_*",
           "queued_spin_lock_slowpath*", "native_queued_spin_lock_slowpath*", "__pv_queued_spin_*",
           "queued_read_lock_slowpath*", "queued_write_lock_slowpath*", "resilient_*",
           "rqspinlock_*", "raw_res_spin_*", "irq_work_*", "__irq_work_*")},
    {"the probe reads its clock through it",
     NAMES("ktime_get_mono_fast*", "ktime_get_boot_fast*", "ktime_get_raw_fast*",
           "ktime_get_tai_fast*", "ktime_get_real_fast*", "ktime_get_fast_*", "native_sched_clock*",
           "sched_clock*", "local_clock*", "paravirt_sched_clock", "read_tsc*", "pvclock_*",
           "kvm_clock_*", "kvm_sched_clock_*", "read_hv_*", "arch_counter_*")},
    {"the probe reads memory through it",
     NAMES("copy_from_kernel_nofault*", "copy_to_kernel_nofault*", "strncpy_from_kernel_nofault*",
           "copy_from_user_nofault*", "copy_to_user_nofault*", "strncpy_from_user_nofault*",
           "strnlen_user_nofault*", "copy_from_user_nmi*", "memcpy*", "__memcpy*", "memset*",
           "__memset*", "memmove*", "__memmove*", "memcmp", "bcmp", "__copy_user_*",
           "rep_movs_alternative", "rep_stos_alternative")},
    {"the probe walks stacks through it",
     NAMES("unwind_*", "__unwind_*", "orc_*", "__orc_*", "arch_stack_walk*", "stack_trace_*",
           "get_stack_info*", "get_perf_callchain", "get_callchain_*", "put_callchain_*",
           "kernel_text_address", "__kernel_text_address", "core_kernel_text",
           "is_bpf_text_address", "is_module_text_address", "in_gate_area*")},
    {"the CPU counts as idle there, and RCU does not protect a probe",
     NAMES("default_idle*", "native_safe_halt", "arch_cpu_idle*", "acpi_safe_halt", "acpi_idle_*",
           "intel_idle*", "mwait_idle*", "cpuidle_enter_s2idle", "cpu_startup_entry", "do_idle",
           "tdx_halt", "tdx_safe_halt")},
};

static bool matches(const char *pattern, const char *name, size_t name_length)
{
    const bool from_start = *pattern != '*';
    pattern += !from_start;
    size_t length = strlen(pattern);
    const bool to_end = !length || pattern[length - 1] != '*';
    length -= !to_end;
    if (length > name_length)
        return false;
    if (from_start)
        return !memcmp(pattern, name, length) && (!to_end || length == name_length);
    if (to_end)
        return !memcmp(pattern, name + name_length - length, length);
    return memmem(name, name_length, pattern, length);
}

const char *kernel_function_denied(const char *name)
{
    const size_t length = clone_base_length(name, NULL);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        for (const char *const *pattern = groups[i].names; *pattern; pattern++)
            if (matches(*pattern, name, length))
                return groups[i].reason;
    return NULL;
}
