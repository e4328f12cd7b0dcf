/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <bpf/btf.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/kernel_functions.h"

struct text_file {
    int fd;
    char path[64];
};

static struct text_file write_file(const void *bytes, size_t length)
{
    struct text_file file = {.fd = memfd_create("names", MFD_CLOEXEC)};
    assert_true(file.fd >= 0);
    assert_int_equal(write(file.fd, bytes, length), length);
    snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

static struct text_file write_text(const char *text)
{
    return write_file(text, strlen(text));
}

static struct text_file write_btf(const char *const *functions)
{
    struct btf *btf = btf__new_empty();
    assert_non_null(btf);
    const int proto = btf__add_func_proto(btf, 0);
    assert_true(proto > 0);
    for (; *functions; functions++)
        assert_true(btf__add_func(btf, *functions, BTF_FUNC_GLOBAL, proto) > 0);
    uint32_t length;
    const void *bytes = btf__raw_data(btf, &length);
    struct text_file file = write_file(bytes, length);
    btf__free(btf);
    return file;
}

struct names {
    size_t count;
    char joined[256];
};

static void on_name(const char *name, void *context)
{
    struct names *const names = context;
    names->count++;
    strcat(strcat(names->joined, name), " ");
}

static const char filter_text[] = "vfs_write\n"
                                  "tcp_sendmsg [net]\n"
                                  "vfs_read\n"
                                  "vfs_read\n"
                                  "vfs_open.isra.0\n"
                                  "__ftrace_invalid_address___64\n"
                                  "bpf_map_update\n"
                                  "migrate_disable\n"
                                  "vfs_read_cold.cold";

static void reads_what_ftrace_accepts(void **state)
{
    (void)state;
    struct text_file filter = write_text(filter_text);
    const struct kernel_function_sources sources = {.filter_functions = {"/none", filter.path},
                                                    .kallsyms = "/none"};
    struct kernel_functions *functions = NULL;
    struct diag diag = {0};
    assert_int_equal(kernel_functions_open_from(&sources, &functions, &diag), 0);
    struct names names = {0};
    assert_int_equal(kernel_functions_match(functions, "*", on_name, &names), 4);
    assert_string_equal(names.joined, "tcp_sendmsg vfs_open.isra.0 vfs_read vfs_write ");
    assert_int_equal(kernel_functions_match(functions, "vfs_open", NULL, NULL), 1);
    assert_int_equal(kernel_functions_match(functions, "vfs_*", NULL, NULL), 3);
    assert_int_equal(kernel_functions_match(functions, "vfs_read", NULL, NULL), 1);
    assert_int_equal(kernel_functions_match(functions, "vfs_rea", NULL, NULL), 0);
    assert_int_equal(kernel_functions_match(functions, "migrate_disable", NULL, NULL), 0);
    assert_int_equal(kernel_functions_match_denied(functions, "*", NULL, NULL), 2);
    assert_int_equal(kernel_functions_match_denied(functions, "bpf_*", NULL, NULL), 1);

    kernel_functions_suggest(functions, "vfs_raed", &diag);
    assert_memory_equal(diag.hint, "nearest names: vfs_read", 23);
    kernel_functions_suggest(functions, "migrate_disable", &diag);
    assert_non_null(strstr(diag.hint, "loris never probes it: "));
    kernel_functions_free(functions);
    close(filter.fd);
}

static void falls_back_to_symbols_that_have_btf(void **state)
{
    (void)state;
    struct text_file filter = write_text("");
    struct text_file btf = write_btf((const char *const[]){"vfs_read", "vfs_open", "init_once_more",
                                                           "module_function", "a_variable", NULL});
    struct text_file symbols = write_text("0000000000000000 T _stext\n"
                                          "0000000000000000 T vfs_read\n"
                                          "0000000000000000 t vfs_open.constprop.0\n"
                                          "0000000000000000 t no_btf\n"
                                          "0000000000000000 D a_variable\n"
                                          "garbage\n"
                                          "0000000000000000 T _sinittext\n"
                                          "0000000000000000 t init_once_more\n"
                                          "0000000000000000 T _einittext\n"
                                          "0000000000000000 t module_function\t[mod]\n");
    const struct kernel_function_sources sources = {
        .filter_functions = {filter.path}, .kallsyms = symbols.path, .btf = btf.path};
    struct kernel_functions *functions = NULL;
    struct diag diag = {0};
    assert_int_equal(kernel_functions_open_from(&sources, &functions, &diag), 0);
    struct names names = {0};
    assert_int_equal(kernel_functions_match(functions, "*", on_name, &names), 3);
    assert_string_equal(names.joined, "module_function vfs_open.constprop.0 vfs_read ");
    kernel_functions_free(functions);
    close(filter.fd);
    close(btf.fd);
    close(symbols.fd);
}

static void says_when_the_kernel_shows_nothing(void **state)
{
    (void)state;
    struct text_file garbage = write_text("garbage");
    const struct kernel_function_sources sources = {
        .filter_functions = {"/none"}, .kallsyms = "/none", .btf = garbage.path};
    struct kernel_functions *functions = NULL;
    struct diag diag = {0};
    assert_int_equal(kernel_functions_open_from(&sources, &functions, &diag), -ENOENT);
    assert_null(functions);
    assert_non_null(strstr(diag.what, "does not show its functions"));
    assert_non_null(strstr(diag.hint, "mount -t tracefs"));
    close(garbage.fd);
}

static void refuses_what_tracing_itself_runs_through(void **state)
{
    (void)state;
    static const char *const denied[] = {"bpf_get_current_pid_tgid",
                                         "__bpf_prog_enter",
                                         "ftrace_ops_list_func",
                                         "trace_event_raw_x",
                                         "ring_buffer_lock_reserve",
                                         "perf_event_output",
                                         "kprobe_ftrace_handler",
                                         "uprobe_notify_resume",
                                         "exc_int3",
                                         "asm_exc_nmi",
                                         "entry_SYSCALL_64",
                                         "do_int3",
                                         "default_do_nmi",
                                         "rcu_nmi_enter",
                                         "ct_nmi_enter",
                                         "ktime_get_mono_fast_ns",
                                         "native_sched_clock",
                                         "copy_from_kernel_nofault",
                                         "migrate_disable",
                                         "preempt_count_add",
                                         "rcu_read_lock_held",
                                         "_raw_spin_lock_irqsave",
                                         "migrate_enable.isra.0"};
    static const char *const allowed[] = {"vfs_read",          "tcp_sendmsg",      "do_sys_openat2",
                                          "schedule",          "kmem_cache_alloc", "ext4_sync_file",
                                          "blk_mq_submit_bio", "rcu_core",         "unbpf_it",
                                          "submit_bio",        "ktime_get",        "tick_nohz_idle",
                                          "do_user_thing",     "rb_insert_color"};
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
        if (!kernel_function_denied(denied[i]))
            fail_msg("%s is not denied", denied[i]);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (kernel_function_denied(allowed[i]))
            fail_msg("%s is denied", allowed[i]);
}

static void open_and_free(void *context)
{
    struct kernel_functions *functions = NULL;
    int r = kernel_functions_open_from(context, &functions, NULL);
    assert_true(r == 0 || r == -ENOMEM || r == -ENOENT);
    kernel_functions_free(functions);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct text_file filter = write_text(filter_text);
    struct kernel_function_sources sources = {
        .filter_functions = {filter.path}, .kallsyms = "/none", .btf = "/none"};
    assert_in_range(failing_alloc_each(open_and_free, &sources), 3, 1000);
    close(filter.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_ftrace_accepts),
        cmocka_unit_test(falls_back_to_symbols_that_have_btf),
        cmocka_unit_test(says_when_the_kernel_shows_nothing),
        cmocka_unit_test(refuses_what_tracing_itself_runs_through),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
