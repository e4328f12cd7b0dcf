/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All shared maps. The agent sets the sizes and creates the inner rings before it loads them. */
#include "maps.bpf.h"

struct sample_logs_map sample_logs SEC(".maps");
struct samples_map samples SEC(".maps");
struct ring_family_map rare_rings SEC(".maps");
struct ring_wake_map ring_wakes SEC(".maps");
struct control_map control SEC(".maps");
struct probe_knobs_map probe_knobs SEC(".maps");
struct probe_ledger_map probe_ledger SEC(".maps");
struct rare_ledger_map rare_ledger SEC(".maps");
struct sketch_dir_map sketch_dirs SEC(".maps");
struct sketch_coarse_map sketch_coarses SEC(".maps");
struct sketch_page_map sketch_pages SEC(".maps");
struct sketch_free_map sketch_free SEC(".maps");
struct filters_map filters SEC(".maps");
struct filter_pids_map filter_pids SEC(".maps");
struct open_calls_map call_stacks SEC(".maps");
struct open_calls_map mark_stacks SEC(".maps");
struct open_slots_map syscall_slots SEC(".maps");
struct open_syscall_map syscall_open SEC(".maps");
struct open_slots_map runqueue_slots SEC(".maps");
struct open_wait_map runqueue_open SEC(".maps");
struct open_wait_map request_open SEC(".maps");
struct open_interrupt_map interrupt_open SEC(".maps");
struct syscall_probes_map syscall_probes SEC(".maps");
struct span_probes_map span_probes SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
