/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lorisd: options, signals, the service manager, start and stop. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/answers.h"
#include "agent/log.h"
#include "agent/steer.h"

static const char interface_text[] = {
#include "agent_interface.inc"
};

struct options {
    const char *config_path;
    const char *socket_path;
    const char *budget; /* NULL: the configuration's */
    int client_fd;      /* private agent: serve this connection, end with it */
    bool check_only;
};

static void print_help(void)
{
    puts("lorisd: watches how long functions take, for loris(1) and other clients\n"
         "\n"
         "Usage: lorisd [OPTIONS]\n"
         "\n"
         "  -c, --config FILE      configuration (default " CONFIG_PATH_DEFAULT ")\n"
         "  -s, --socket PATH      listen here instead of where the configuration says\n"
         "      --budget SHARE     what all probes may cost, of one CPU: 5%, none\n"
         "      --client-fd N      serve the connected socket N only and end with it\n"
         "      --check-config FILE  read FILE, say what is wrong with it, and end\n"
         "  -h, --help             this text\n"
         "      --version          the version\n"
         "\n"
         "Examples:\n"
         "  lorisd --config ./loris.yaml --socket /tmp/loris.sock\n"
         "  lorisd --check-config /etc/loris/loris.yaml\n"
         "\n"
         "SIGHUP reads the configuration again; SIGTERM and SIGINT detach everything and end.\n"
         "Exit codes: 0 fine, 1 failed, 2 usage, 4 not permitted.");
}

/* 0: go on; else the exit code plus one. */
static int parse_options(int argc, char **argv, struct options *options)
{
    enum { OPTION_CLIENT_FD = 256, OPTION_CHECK, OPTION_VERSION, OPTION_BUDGET };
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'},
        {"socket", required_argument, NULL, 's'},
        {"budget", required_argument, NULL, OPTION_BUDGET},
        {"client-fd", required_argument, NULL, OPTION_CLIENT_FD},
        {"check-config", required_argument, NULL, OPTION_CHECK},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:s:h", table, NULL)) != -1;) {
        uint64_t number = 0;
        switch (option) {
        case 'c':
            options->config_path = optarg;
            break;
        case 's':
            options->socket_path = optarg;
            break;
        case OPTION_CLIENT_FD:
            if (parse_u64(optarg, &number) || number > 1023) {
                fprintf(stderr, "lorisd: --client-fd needs the number of an open socket\n");
                return 3;
            }
            options->client_fd = (int)number;
            break;
        case OPTION_BUDGET:
            options->budget = optarg;
            break;
        case OPTION_CHECK:
            options->config_path = optarg;
            options->check_only = true;
            break;
        case 'h':
            print_help();
            return 1;
        case OPTION_VERSION:
            puts("lorisd " LORIS_VERSION);
            return 1;
        default:
            fprintf(stderr, "lorisd: see lorisd --help\n");
            return 3;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "lorisd: what is '%s'? see lorisd --help\n", argv[optind]);
        return 3;
    }
    return 0;
}

static int check_config(const char *path)
{
    _cleanup_(config_free_cleanup) struct config *config = NULL;
    struct diag diag = {0};
    if (config_load(path, &config, &diag)) {
        fprintf(stderr, "%s\n", diag.what);
        if (diag.hint[0])
            fprintf(stderr, "  hint: %s\n", diag.hint);
        return 1;
    }
    printf("%s: fine, %zu target%s\n", path, config->targets_count,
           config->targets_count == 1 ? "" : "s");
    return 0;
}

/* --- signals --------------------------------------------------------------------------------- */

/* What the signal handlers work on. */
struct service {
    struct agent *agent;
    /* On the command line: the configuration's does not matter. */
    bool socket_was_given;
    bool budget_was_given;
};

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct service *service = context;
    (void)source;
    (void)info;
    sd_notify(0, "STOPPING=1");
    return sd_event_exit(service->agent->event, 0);
}

static void add_name(char *names, size_t size, bool is_different, const char *name)
{
    size_t length = strlen(names);
    if (is_different)
        snprintf(names + length, size - length, "%s%s", length ? ", " : "", name);
}

/* What tables and maps were made by stays as it is, and the agent goes on to say so. */
static void keep_until_restart(const struct service *service, struct config *fresh)
{
    const struct config *now = service->agent->config;
    char names[256] = "";
#define KEEP(field, name)                                                                          \
    do {                                                                                           \
        add_name(names, sizeof(names), fresh->field != now->field, name);                          \
        fresh->field = now->field;                                                                 \
    } while (0)
    KEEP(memory_budget_bytes, "memory_budget");
    KEEP(window_slices, "window.slices");
    KEEP(window_slice_ns, "window.length");
    KEEP(idle_ttl_ns, "idle_ttl");
    KEEP(ring_latency_bytes, "rings.latency");
    KEEP(ring_rare_bytes, "rings.rare");
    KEEP(processes_max, "processes_max");
    KEEP(probes_max, "probes_max");
    KEEP(drain_min_ns, "drain.min");
    KEEP(drain_max_ns, "drain.max");
#undef KEEP
    add_name(names, sizeof(names),
             !service->socket_was_given && strcmp(fresh->socket_path, now->socket_path) != 0,
             "socket");
    add_name(names, sizeof(names), strcmp(fresh->socket_group, now->socket_group) != 0,
             "socket_group");
    memcpy(fresh->socket_path, now->socket_path, sizeof(fresh->socket_path));
    memcpy(fresh->socket_group, now->socket_group, sizeof(fresh->socket_group));
    if (names[0])
        log_line(LOG_WARNING, "a change of %s needs a restart: the old value stays", names);
}

/* Opens what the new configuration names, and only then closes the old. */
static int change_summaries(struct agent *agent, struct config *fresh, struct diag *reterr_diag)
{
    struct config *old = agent->config;
    if (strcmp(old->summaries_path, fresh->summaries_path) == 0 &&
        old->summaries_layout == fresh->summaries_layout &&
        old->summaries_journal == fresh->summaries_journal)
        return 0;
    struct line_output *output = take_ptr(agent->summaries);
    sd_event_source *timer = take_ptr(agent->summary_timer);
    agent->config = fresh;
    int error = summaries_start(agent, reterr_diag);
    agent->config = old;
    if (error) {
        summaries_stop(agent);
        agent->summaries = output;
        agent->summary_timer = timer;
        return error;
    }
    sd_event_source_disable_unref(timer);
    line_output_close(output);
    return 0;
}

static void reload(const struct service *service)
{
    struct agent *agent = service->agent;
    struct config *fresh = NULL;
    struct diag diag = {0};
    if (!agent->config_path)
        return;
    int error = config_load(agent->config_path, &fresh, &diag);
    if (!error)
        error = alerts_reload_begin(agent, fresh, &diag);
    if (!error)
        error = change_summaries(agent, fresh, &diag);
    if (error) {
        alerts_reload_cancel(agent);
        config_free(fresh);
        log_line(LOG_ERR, "the new configuration changes nothing: %s%s%s", diag.what,
                 diag.hint[0] ? "; " : "", diag.hint);
        return;
    }
    keep_until_restart(service, fresh);
    if (agent->steer && !service->budget_was_given)
        steer_set_budget(agent->steer, fresh->overhead_budget_ratio);
    if (service->budget_was_given)
        fresh->overhead_budget_ratio = agent->config->overhead_budget_ratio;
    targets_reload(agent, fresh);
    alerts_reload_finish(agent, fresh);
    bool other_interval = fresh->interval_ns != agent->config->interval_ns;
    config_free(agent->config);
    agent->config = fresh;
    alerts_wake(agent);
    if (agent->summary_timer && other_interval &&
        sd_event_source_set_time_relative(agent->summary_timer, fresh->interval_ns / 1000) < 0)
        log_line(LOG_WARNING, "the new interval of summaries holds after the next ones");
    log_line(LOG_NOTICE, "configuration read again: %zu targets", fresh->targets_count);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    const struct service *service = context;
    struct agent *agent = service->agent;
    (void)source;
    (void)info;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)agent_now_ns() / 1000);
    if (agent->summaries && line_output_reopen(agent->summaries)) /* also when a reload fails */
        log_line(LOG_ERR, "cannot open %s again", agent->config->summaries_path);
    alerts_reopen(agent);
    reload(service);
    sd_notify(0, "READY=1");
    return 0;
}

static int block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &signals, NULL) ? -errno : 0;
}

static int listen_to_signals(struct service *service)
{
    sd_event *event = service->agent->event;
    int error = sd_event_add_signal(event, NULL, SIGTERM, on_end, service);
    if (error >= 0)
        error = sd_event_add_signal(event, NULL, SIGINT, on_end, service);
    if (error >= 0)
        error = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, service);
    return error < 0 ? error : 0;
}

/* --- serving --------------------------------------------------------------------------------- */

static void on_connection_closed(uint64_t connection_id, void *context)
{
    struct agent *agent = context;
    answers_connection_closed(connection_id, context);
    if (!agent->config_path) /* the private agent's only client is gone */
        sd_event_exit(agent->event, 0);
}

static int make_server(struct agent *agent)
{
    const struct varlink_server_config config = {
        .vendor = "loris",
        .product = "lorisd",
        .version = LORIS_VERSION,
        .url = "",
        .interface_name = "org.loris.Agent",
        .interface_text = interface_text,
        .methods = agent_methods,
        .max_queued_bytes = agent->sizing.queued_bytes_max,
        .context = agent,
        .on_connection_closed = on_connection_closed,
    };
    return varlink_server_new(agent->event, &config, &agent->server);
}

static gid_t socket_gid(const char *group)
{
    const struct group *found = group[0] ? getgrnam(group) : NULL;
    if (group[0] && !found)
        log_line(LOG_NOTICE, "no group '%s': only root may use the socket", group);
    return found ? found->gr_gid : (gid_t)-1;
}

static int serve(struct agent *agent, const struct options *options)
{
    struct diag diag = {0};
    struct service service = {agent, options->socket_path != NULL, options->budget != NULL};
    int error = listen_to_signals(&service);
    if (!error)
        error = make_server(agent);
    if (error) {
        log_line(LOG_ERR, "cannot start: %s", strerror(-error));
        return 1;
    }
    if (options->client_fd >= 0) {
        error = varlink_server_add_connection(agent->server, options->client_fd);
        if (error)
            diag_set(&diag, -error, "cannot serve the socket I was given: %s", strerror(-error));
    } else {
        error = varlink_server_listen(agent->server, agent->config->socket_path,
                                      socket_gid(agent->config->socket_group), &diag);
        if (!error)
            error = summaries_start(agent, &diag);
        if (!error)
            error = alerts_start(agent, &diag);
        if (!error)
            error = agent_ready_kernel(agent, &diag);
    }
    if (error) {
        log_failure(error, &diag);
        return error == -EPERM || error == -EACCES ? 4 : 1;
    }
    targets_attach_configured(agent);
    sd_notify(0, "READY=1");
    if (agent->config_path)
        log_line(LOG_INFO, "listening on %s", agent->config->socket_path);
    error = sd_event_loop(agent->event);
    if (error < 0)
        log_line(LOG_ERR, "the event loop failed: %s", strerror(-error));
    return error < 0 ? 1 : agent->exit_code;
}

/* Each place of a probe that the kernel does not take in one link with others is a descriptor. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        log_line(LOG_NOTICE, "the limit of open files cannot be raised: %s", strerror(errno));
}

static int load_config(const struct options *options, struct config **ret_config)
{
    struct diag diag = {0};
    bool private = options->client_fd >= 0;
    int error = private && !options->config_path
                    ? config_default(ret_config)
                    : config_load(options->config_path ? options->config_path : CONFIG_PATH_DEFAULT,
                                  ret_config, &diag);
    if (error)
        return log_failure(error, &diag);
    struct config *config = *ret_config;
    if (options->budget && config_budget_parse(options->budget, &config->overhead_budget_ratio)) {
        diag_set(&diag, EINVAL, "'%s' is no budget", options->budget);
        diag_hint(&diag, "a share of one CPU from 0.01%% to 100%%, for example 5%%; or none");
        config_free(take_ptr(*ret_config));
        return log_failure(-EINVAL, &diag);
    }
    if (options->socket_path) {
        if (strlen(options->socket_path) >= sizeof(config->socket_path)) {
            diag_set(&diag, ENAMETOOLONG, "the socket path is longer than %zu bytes: %s",
                     sizeof(config->socket_path) - 1, options->socket_path);
            config_free(take_ptr(*ret_config));
            return log_failure(-ENAMETOOLONG, &diag);
        }
        snprintf(config->socket_path, sizeof(config->socket_path), "%s", options->socket_path);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.client_fd = -1};
    int parsed = parse_options(argc, argv, &options);
    if (parsed)
        return parsed - 1;
    if (options.check_only)
        return check_config(options.config_path);
    if (options.client_fd < 0 && geteuid() != 0) {
        fprintf(stderr, "lorisd: the agent must be started by root\n"
                        "  hint: sudo systemctl start loris, or sudo lorisd\n");
        return 4;
    }
    struct config *config = NULL;
    if (load_config(&options, &config))
        return 1;
    int error = block_signals();
    allow_many_files();
    _cleanup_(agent_free_cleanup) struct agent *agent = NULL;
    const char *config_path = options.config_path ? options.config_path : CONFIG_PATH_DEFAULT;
    if (!error)
        error = agent_new(config, options.client_fd >= 0 ? NULL : config_path, &agent);
    if (error) {
        log_line(LOG_ERR, "cannot start: %s", strerror(-error));
        return 1;
    }
    return serve(agent, &options);
}
