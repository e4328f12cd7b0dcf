/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lorisd: signals, start and stop. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/answers.h"
#include "agent/log.h"
#include "agent/options.h"
#include "agent/privileges.h"
#include "agent/service_manager.h"
#include "export/line_file.h"

static const char interface_text[] = {
#include "agent_interface.inc"
};

static int check_config(const char *path)
{
    _cleanup_(config_free_cleanup) struct config *config = NULL;
    struct diag diag = {0};
    if (config_load(path, &config, &diag)) {
        fprintf(stderr, "%s\n", diag.what);
        if (diag.hint[0])
            fprintf(stderr, "  hint: %s\n", diag.hint);
        return LORISD_FAILED;
    }
    printf("%s: fine, %zu target%s\n", path, config->targets_count,
           config->targets_count == 1 ? "" : "s");
    return LORISD_FINE;
}

/* --- signals --------------------------------------------------------------------------------- */

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)info;
    service_manager_stopping(agent->manager);
    return sd_event_exit(agent->event, 0);
}

static void reopen_files(struct agent *agent)
{
    if (agent->summaries && line_output_reopen(agent->summaries))
        log_line(LOG_ERR, "cannot open %s again", agent->config->summaries_path);
    alerts_reopen(agent);
}

static int on_rotated(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    (void)source;
    (void)info;
    reopen_files(context);
    return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct diag diag = {0};
    (void)source;
    (void)info;
    reopen_files(context);                       /* also when the reload fails */
    (void)!reload_configuration(context, &diag); /* which said what there is to say */
    return 0;
}

static int block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &signals, NULL) ? -errno : 0;
}

static int listen_to_signals(struct agent *agent)
{
    int error = sd_event_add_signal(agent->event, NULL, SIGTERM, on_end, agent);
    if (error >= 0)
        error = sd_event_add_signal(agent->event, NULL, SIGINT, on_end, agent);
    if (error >= 0)
        error = sd_event_add_signal(agent->event, NULL, SIGHUP, on_hangup, agent);
    if (error >= 0)
        error = sd_event_add_signal(agent->event, NULL, SIGUSR1, on_rotated, agent);
    return error < 0 ? error : 0;
}

/* --- privileges ------------------------------------------------------------------------------- */

static bool is_private(const struct agent *agent)
{
    return !agent->config_path;
}

/* Before anything is opened, so that what works at the start works after a reload, too. */
static void give_up_privileges(uint64_t keep)
{
    int error = privileges_keep(keep);
    if (error)
        log_line(LOG_WARNING, "privileges cannot be given up: %s", strerror(-error));
}

/* What is left is needed to attach later; who watches for a moment may still force any kind. */
static void settle_privileges(struct agent *agent)
{
    uint64_t keep = PRIVILEGES_ATTACH;
    if (is_private(agent) || targets_need_single_probes(agent))
        keep |= PRIVILEGES_SINGLE_PROBES;
    give_up_privileges(keep);
    _cleanup_text_ struct text held = {0};
    privileges_describe(privileges_held(), &held);
    if (!is_private(agent))
        log_line(LOG_INFO, "keeps the capabilities %s", held.failed ? "?" : held.bytes);
}

/* --- serving --------------------------------------------------------------------------------- */

static void on_connection_closed(uint64_t connection_id, void *context)
{
    struct agent *agent = context;
    answers_connection_closed(connection_id, context);
    if (is_private(agent)) /* its only client is gone */
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

/* For a path of the configuration: whether a restart may mend it. */
static int exit_code_of_path(int error)
{
    switch (-error) {
    case EPERM:
    case EACCES:
        return LORISD_NOT_PERMITTED;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EMLINK:
    case EINVAL:
    case ENOTSOCK:
    case ENAMETOOLONG:
        return LORISD_NOT_CONFIGURED;
    default:
        return LORISD_FAILED;
    }
}

/* Returns the exit code. */
static int open_socket(struct agent *agent, int client_fd)
{
    struct diag diag = {0};
    int error = make_server(agent);
    if (error) {
        diag_set(&diag, -error, "cannot start: %s", strerror(-error));
    } else if (client_fd >= 0) {
        error = varlink_server_add_connection(agent->server, client_fd);
        if (error)
            diag_set(&diag, -error, "cannot serve the socket I was given: %s", strerror(-error));
    } else {
        error = varlink_server_listen(agent->server, agent->config->socket_path,
                                      socket_gid(agent->config->socket_group), &diag);
    }
    return error ? exit_code_of_path(log_failure(error, &diag)) : LORISD_FINE;
}

/* Returns the exit code. A private agent opens the kernel side when its client asks for something.
 */
static int open_stages(struct agent *agent)
{
    struct diag diag = {0};
    if (is_private(agent))
        return LORISD_FINE;
    int error = summaries_start(agent, &diag);
    if (!error)
        error = alerts_start(agent, &diag);
    if (error)
        return exit_code_of_path(log_failure(error, &diag));
    error = agent_ready_kernel(agent, &diag);
    if (!error)
        return LORISD_FINE;
    log_failure(error, &diag);
    return error == -EPERM || error == -EACCES ? LORISD_NOT_PERMITTED : LORISD_FAILED;
}

/* Returns the exit code. */
static int serve(struct agent *agent, int client_fd)
{
    int error = listen_to_signals(agent);
    if (!error && !is_private(agent)) /* that one's is its caller's */
        error = service_manager_new(agent, &agent->manager);
    if (error) {
        log_line(LOG_ERR, "cannot start: %s", strerror(-error));
        return LORISD_FAILED;
    }
    int code = open_socket(agent, client_fd);
    if (code == LORISD_FINE)
        code = open_stages(agent);
    if (code != LORISD_FINE)
        return code;
    targets_attach_configured(agent);
    settle_privileges(agent);
    service_manager_ready(agent->manager);
    if (!is_private(agent))
        log_line(LOG_INFO, "listening on %s", agent->config->socket_path);
    error = sd_event_loop(agent->event);
    if (error < 0)
        log_line(LOG_ERR, "the event loop failed: %s", strerror(-error));
    return error < 0 ? LORISD_FAILED : agent->exit_code;
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

/* What the command line says goes before the file. */
static int apply_options(const struct options *options, struct config *config,
                         struct diag *reterr_diag)
{
    if (options->budget && config_budget_parse(options->budget, &config->overhead_budget_ratio)) {
        diag_set(reterr_diag, EINVAL, "'%s' is no budget", options->budget);
        diag_hint(reterr_diag,
                  "a share of one CPU from 0.01%% to 100000%%, for example 5%%; or none");
        return -EINVAL;
    }
    if (!options->socket_path)
        return 0;
    if (strlen(options->socket_path) >= sizeof(config->socket_path))
        return diag_set(reterr_diag, ENAMETOOLONG, "the socket path is longer than %zu bytes: %s",
                        sizeof(config->socket_path) - 1, options->socket_path);
    snprintf(config->socket_path, sizeof(config->socket_path), "%s", options->socket_path);
    return 0;
}

/* Returns the exit code. */
static int load_config(const struct options *options, struct config **ret_config)
{
    _cleanup_(config_free_cleanup) struct config *config = NULL;
    struct diag diag = {0};
    const char *path = options->config_path ? options->config_path : CONFIG_PATH_DEFAULT;
    bool from_file = options->config_path || options->client_fd < 0;
    int error = from_file ? config_load(path, &config, &diag) : config_default(&config);
    int code = error ? LORISD_NOT_CONFIGURED : LORISD_USAGE;
    if (!error)
        error = apply_options(options, config, &diag);
    if (error) {
        log_failure(error, &diag);
        return code;
    }
    *ret_config = take_ptr(config);
    return LORISD_FINE;
}

static int make_agent(const struct options *options, struct config *config,
                      struct agent **ret_agent)
{
    const char *config_path = options->config_path ? options->config_path : CONFIG_PATH_DEFAULT;
    int error = agent_new(config, options->client_fd >= 0 ? NULL : config_path, ret_agent);
    if (error)
        return error;
    (*ret_agent)->socket_was_given = options->socket_path;
    (*ret_agent)->budget_was_given = options->budget;
    return 0;
}

int main(int argc, char **argv)
{
    struct options options;
    int code = LORISD_FINE;
    if (!options_parse(argc, argv, &options, &code))
        return code;
    if (options.check_only)
        return check_config(options.config_path);
    if (options.client_fd < 0 && geteuid() != 0) {
        fprintf(stderr, "lorisd: the agent must be started by root\n"
                        "  hint: sudo systemctl start loris, or sudo lorisd\n");
        return LORISD_NOT_PERMITTED;
    }
    struct config *config = NULL;
    code = load_config(&options, &config);
    if (code != LORISD_FINE)
        return code;
    if (options.client_fd < 0)
        line_file_own_stdout();
    give_up_privileges(PRIVILEGES_ATTACH | PRIVILEGES_LISTEN | PRIVILEGES_SINGLE_PROBES);
    int error = privileges_forbid_new();
    if (!error)
        error = block_signals();
    allow_many_files();
    _cleanup_(agent_free_cleanup) struct agent *agent = NULL;
    if (!error)
        error = make_agent(&options, config, &agent);
    if (error) {
        log_line(LOG_ERR, "cannot start: %s", strerror(-error));
        return LORISD_FAILED;
    }
    return serve(agent, options.client_fd);
}
