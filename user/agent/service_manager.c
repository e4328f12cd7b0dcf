/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/service_manager.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "agent/answers.h"
#include "agent/log.h"
#include "agent/watchdog.h"

#define SECOND_NS 1000000000ull

/* Numbers grow all the time, and each message wakes the service manager and who listens to it. */
#define STATUS_INTERVAL_NS (30 * SECOND_NS)
/* Whether all is well is looked at so often, and said at once when it changes. */
#define HEALTH_INTERVAL_NS (5 * SECOND_NS)
/* For one target: removing the perf-based uprobes of many functions takes minutes on some kernels.
 */
#define STEP_TIMEOUT_NS (180 * SECOND_NS)
/* Of the watchdog's period, so that one that comes late does no harm. */
#define PINGS_PER_PERIOD 3
#define STATUS_BYTES     768

struct service_manager {
    struct agent *agent;
    sd_event_source *watchdog; /* NULL: nobody asks */
    uint64_t ping_interval_us;
    struct watchdog_look looked;
    bool is_late;       /* said already */
    uint64_t health_ns; /* when it was looked at */
    bool told_healthy;
    bool is_busy;     /* starting or reloading */
    uint64_t told_ns; /* 0: not ready yet */
    char told[STATUS_BYTES];
};

/* --- STATUS= ---------------------------------------------------------------------------------- */

static bool is_healthy(struct agent *agent)
{
    _cleanup_text_ struct text unread = {0};
    struct json_writer json = {.text = &unread};
    json_begin_object(&json, NULL);
    unsigned reasons = answer_write_health(agent, &json);
    json_end_object(&json);
    return reasons == 0;
}

/* "watching 512 functions, 1.20 M calls, healthy" */
static void describe(const struct service_manager *manager, bool healthy, char out[STATUS_BYTES])
{
    const struct agent *agent = manager->agent;
    char calls[16], health[160] = "healthy";
    size_t refused = targets_refused(agent);
    uint32_t watched = agent->probes ? probe_set_attached(agent->probes) : 0;
    format_count((double)agent->calls, calls);
    if (refused)
        snprintf(health, sizeof(health),
                 "degraded: %zu of %zu targets %s not watched, see `loris status`", refused,
                 agent->targets_count, refused == 1 ? "is" : "are");
    else if (!healthy)
        snprintf(health, sizeof(health), "degraded, see `loris status`");
    const char *failure = agent->reload_failure.what;
    snprintf(out, STATUS_BYTES, "watching %u function%s, %s calls, %s%s%s", watched,
             watched == 1 ? "" : "s", calls, health,
             failure[0] ? "; the last reload changed nothing: " : "", failure);
}

/* state: lines that go with it, each with its end, or "". */
static void tell(struct service_manager *manager, const char *state)
{
    manager->is_busy = false;
    manager->told_healthy = is_healthy(manager->agent);
    manager->told_ns = manager->health_ns = agent_now_ns();
    describe(manager, manager->told_healthy, manager->told);
    (void)sd_notifyf(0, "%sSTATUS=%s", state, manager->told);
}

void service_manager_upkeep(struct service_manager *manager)
{
    char text[STATUS_BYTES];
    uint64_t now_ns = agent_now_ns();
    if (!manager || manager->is_busy || now_ns - manager->health_ns < HEALTH_INTERVAL_NS)
        return;
    manager->health_ns = now_ns;
    bool healthy = is_healthy(manager->agent);
    if (healthy == manager->told_healthy && now_ns - manager->told_ns < STATUS_INTERVAL_NS)
        return;
    describe(manager, healthy, text);
    if (strcmp(text, manager->told) != 0)
        tell(manager, "");
}

/* --- WATCHDOG= -------------------------------------------------------------------------------- */

static struct watchdog_look look(const struct agent *agent)
{
    struct watchdog_look now = {.draining = agent->drain_timer != NULL};
    if (!now.draining)
        return now;
    struct drain_figures figures = drain_figures(agent->drain);
    now.passes = figures.passes;
    now.records = figures.events.latencies + figures.events.rare + figures.events.malformed;
    now.complete_ns = drain_complete_ns(agent->drain);
    now.interval_ns = drain_interval_ns(agent->drain);
    return now;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *context)
{
    struct service_manager *manager = context;
    struct watchdog_look now = look(manager->agent);
    (void)usec;
    bool gets_on = watchdog_sees_progress(&manager->looked, &now, agent_now_ns());
    if (gets_on)
        (void)sd_notify(0, "WATCHDOG=1");
    else if (!manager->is_late)
        log_line(LOG_ERR, "records are no longer taken over: the watchdog will end this");
    manager->is_late = !gets_on;
    manager->looked = now;
    service_manager_upkeep(manager);
    int error = sd_event_source_set_time_relative(source, manager->ping_interval_us);
    return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int start_watchdog(struct service_manager *manager)
{
    uint64_t period_us = 0;
    if (sd_watchdog_enabled(0, &period_us) <= 0)
        return 0;
    manager->ping_interval_us = period_us / PINGS_PER_PERIOD;
    int error = sd_event_add_time_relative(manager->agent->event, &manager->watchdog,
                                           CLOCK_MONOTONIC, manager->ping_interval_us,
                                           manager->ping_interval_us / 4, on_watchdog, manager);
    return error < 0 ? error : 0;
}

/* --- life ------------------------------------------------------------------------------------- */

int service_manager_new(struct agent *agent, struct service_manager **ret_manager)
{
    if (!getenv("NOTIFY_SOCKET"))
        return 0;
    _cleanup_(service_manager_free_cleanup) struct service_manager *manager =
        calloc(1, sizeof(*manager));
    if (!manager)
        return -ENOMEM;
    manager->agent = agent;
    manager->is_busy = true;
    int error = start_watchdog(manager);
    if (error)
        return error;
    *ret_manager = take_ptr(manager);
    return 0;
}

void service_manager_free(struct service_manager *manager)
{
    if (!manager)
        return;
    sd_event_source_disable_unref(manager->watchdog);
    free(manager);
}

void service_manager_ready(struct service_manager *manager)
{
    if (manager)
        tell(manager, "READY=1\n");
}

void service_manager_reloading(struct service_manager *manager)
{
    if (!manager)
        return;
    manager->is_busy = true;
    /* One message: where it has the time, systemd 253 and newer can tell which reload it is about.
     */
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
                     agent_now_ns() / 1000);
}

void service_manager_reloaded(struct service_manager *manager)
{
    if (manager)
        tell(manager, "READY=1\n");
}

void service_manager_stopping(struct service_manager *manager)
{
    if (manager)
        (void)sd_notify(0, "STOPPING=1\nSTATUS=detaching");
}

void service_manager_step(struct service_manager *manager)
{
    if (!manager)
        return;
    /* Before it is ready, a ping would only set the watchdog off. */
    bool feeds = manager->watchdog && manager->told_ns != 0;
    if (manager->is_busy)
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu\n%sSTATUS=attaching, %zu targets so far",
                         STEP_TIMEOUT_NS / 1000, feeds ? "WATCHDOG=1\n" : "",
                         manager->agent->targets_count);
    else if (feeds)
        (void)sd_notify(0, "WATCHDOG=1");
}
