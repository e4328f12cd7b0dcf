/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/privileges.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libcap would be another dependency for two system calls. */

#define WORDS _LINUX_CAPABILITY_U32S_3

static const char *const names[] = {
    [CAP_CHOWN] = "chown",
    [CAP_DAC_OVERRIDE] = "dac_override",
    [CAP_DAC_READ_SEARCH] = "dac_read_search",
    [CAP_FOWNER] = "fowner",
    [CAP_FSETID] = "fsetid",
    [CAP_KILL] = "kill",
    [CAP_SETGID] = "setgid",
    [CAP_SETUID] = "setuid",
    [CAP_SETPCAP] = "setpcap",
    [CAP_LINUX_IMMUTABLE] = "linux_immutable",
    [CAP_NET_BIND_SERVICE] = "net_bind_service",
    [CAP_NET_BROADCAST] = "net_broadcast",
    [CAP_NET_ADMIN] = "net_admin",
    [CAP_NET_RAW] = "net_raw",
    [CAP_IPC_LOCK] = "ipc_lock",
    [CAP_IPC_OWNER] = "ipc_owner",
    [CAP_SYS_MODULE] = "sys_module",
    [CAP_SYS_RAWIO] = "sys_rawio",
    [CAP_SYS_CHROOT] = "sys_chroot",
    [CAP_SYS_PTRACE] = "sys_ptrace",
    [CAP_SYS_PACCT] = "sys_pacct",
    [CAP_SYS_ADMIN] = "sys_admin",
    [CAP_SYS_BOOT] = "sys_boot",
    [CAP_SYS_NICE] = "sys_nice",
    [CAP_SYS_RESOURCE] = "sys_resource",
    [CAP_SYS_TIME] = "sys_time",
    [CAP_SYS_TTY_CONFIG] = "sys_tty_config",
    [CAP_MKNOD] = "mknod",
    [CAP_LEASE] = "lease",
    [CAP_AUDIT_WRITE] = "audit_write",
    [CAP_AUDIT_CONTROL] = "audit_control",
    [CAP_SETFCAP] = "setfcap",
    [CAP_MAC_OVERRIDE] = "mac_override",
    [CAP_MAC_ADMIN] = "mac_admin",
    [CAP_SYSLOG] = "syslog",
    [CAP_WAKE_ALARM] = "wake_alarm",
    [CAP_BLOCK_SUSPEND] = "block_suspend",
    [CAP_AUDIT_READ] = "audit_read",
    [CAP_PERFMON] = "perfmon",
    [CAP_BPF] = "bpf",
    [CAP_CHECKPOINT_RESTORE] = "checkpoint_restore",
};

#define NAMES (sizeof(names) / sizeof(names[0]))

static int get_sets(struct __user_cap_data_struct sets[WORDS])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, sets) ? -errno : 0;
}

int privileges_forbid_new(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int privileges_keep(uint64_t keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[WORDS] = {0};
    int error = get_sets(sets);
    if (error)
        return error;
    for (size_t word = 0; word < WORDS; word++) {
        uint32_t kept = sets[word].permitted & (uint32_t)(keep >> (32 * word));
        sets[word] = (struct __user_cap_data_struct){
            .effective = sets[word].effective & kept, .permitted = kept, .inheritable = 0};
    }
    /* What leaves the inheritable set leaves the ambient one, too. */
    return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

uint64_t privileges_held(void)
{
    struct __user_cap_data_struct sets[WORDS] = {0};
    if (get_sets(sets))
        return 0;
    return (uint64_t)sets[1].effective << 32 | sets[0].effective;
}

const char *privileges_name(unsigned capability)
{
    return capability < NAMES ? names[capability] : NULL;
}

void privileges_describe(uint64_t set, struct text *out)
{
    const char *before = "";
    for (unsigned capability = 0; capability < NAMES; capability++) {
        if (!(set & PRIVILEGE(capability)))
            continue;
        text_append_string(out, before);
        text_append_string(out, names[capability]);
        before = ", ";
    }
    if (!*before)
        text_append_string(out, "none");
}
