/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_source.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/json_field.h"

#define NS_PER_S    (uint64_t)1000000000
#define RETRY_NS    (NS_PER_S / 2)
#define SLOW_AFTER  (2 * NS_PER_S)  /* without an answer, from when on we say so */
#define GIVEN_UP_NS (30 * NS_PER_S) /* a new connection may find an agent that answers */

int top_source_open(struct top_source *source, const char *socket_path, struct diag *reterr_diag)
{
    *source = (struct top_source){.socket_path = socket_path, .is_forced = true};
    return query_client_open(socket_path, &source->client, reterr_diag);
}

void top_source_borrow(struct top_source *source, struct query_client *client)
{
    *source = (struct top_source){.client = client, .is_borrowed = true, .is_forced = true};
}

void top_source_done(struct top_source *source)
{
    if (!source->is_borrowed)
        query_client_free(source->client);
    source->client = NULL;
}

bool top_source_is_over(const struct top_source *source)
{
    return !source->client && !source->socket_path;
}

int top_source_fd(const struct top_source *source)
{
    return source->client && source->asked ? query_client_fd(source->client) : -1;
}

void top_source_ask_anew(struct top_source *source)
{
    source->is_forced = true;
    source->is_outdated = source->asked != NULL;
}

uint64_t top_source_due_ns(const struct top_source *source, const struct top_model *model)
{
    if (source->asked) {
        uint64_t silent_s = (uint64_t)source->silent_for_s + 1;
        uint64_t say_ns = silent_s * NS_PER_S;
        return source->asked_ns + (say_ns < SLOW_AFTER ? SLOW_AFTER : say_ns);
    }
    if (!source->client)
        return source->retry_ns;
    if (source->is_forced)
        return 0;
    return model->is_paused ? UINT64_MAX : source->refresh_ns + model->interval_ns;
}

static void lose(struct top_source *source, struct top_model *model, uint64_t now_ns,
                 const struct diag *diag)
{
    top_source_done(source);
    source->asked = NULL;
    source->retry_ns = now_ns + RETRY_NS;
    model->link = TOP_GONE;
    snprintf(model->said, sizeof(model->said), "%s%s",
             source->socket_path ? "agent gone, trying again: " : "", diag->what);
}

/* What the agent refuses it refuses again; what breaks the connection ends it. */
static void fail(struct top_source *source, struct top_model *model, uint64_t now_ns, int error,
                 const struct diag *diag)
{
    if (error != -EREMOTEIO && error != -EPERM && error != -ENOMEM) {
        lose(source, model, now_ns, diag);
        return;
    }
    source->asked = NULL;
    model->link = TOP_CONNECTED;
    snprintf(model->said, sizeof(model->said), "%s", diag->what);
}

static void ask(struct top_source *source, struct top_model *model, const char *method,
                uint64_t now_ns)
{
    struct diag diag;
    bool is_stats = strcmp(method, "Stats") == 0;
    _cleanup_json_ json_t *question = is_stats ? top_model_question(model) : json_object();
    int r = question ? query_client_ask(source->client, method, question, &diag)
                     : diag_set(&diag, ENOMEM, "no memory for the question");
    if (r < 0) {
        fail(source, model, now_ns, r, &diag);
        return;
    }
    source->asked = method;
    source->asked_ns = now_ns;
    source->silent_for_s = 0;
}

/* Each Stats is followed by a Status; both together are one refresh. */
static void hear(struct top_source *source, struct top_model *model, const json_t *reply,
                 uint64_t now_ns, uint64_t realtime_ns)
{
    char time[32];
    const char *heard = source->asked;
    source->asked = NULL;
    model->link = TOP_CONNECTED;
    model->said[0] = '\0';
    if (strcmp(heard, "Status") == 0) {
        top_model_set_agent(model, reply);
        return;
    }
    clock_format_utc(realtime_ns, time);
    if (!source->is_outdated && top_model_update(model, reply, time) < 0)
        snprintf(model->said, sizeof(model->said), "no memory for the answer");
    if (!source->is_outdated)
        ask(source, model, "Status", now_ns);
}

static bool take(struct top_source *source, struct top_model *model, uint64_t now_ns,
                 uint64_t realtime_ns)
{
    struct diag diag;
    _cleanup_json_ json_t *reply = NULL;
    int r = query_client_take(source->client, source->asked, &reply, &diag);
    if (r == 0) {
        hear(source, model, reply, now_ns, realtime_ns);
        return true;
    }
    if (r != -EAGAIN) {
        fail(source, model, now_ns, r, &diag);
        return true;
    }
    uint64_t silent_ns = now_ns - source->asked_ns;
    if (silent_ns < SLOW_AFTER)
        return false;
    if (silent_ns >= GIVEN_UP_NS) {
        diag_set(&diag, ETIMEDOUT, "it does not answer");
        lose(source, model, now_ns, &diag);
        return true;
    }
    unsigned silent_s = (unsigned)(silent_ns / NS_PER_S);
    bool is_news = silent_s != source->silent_for_s;
    source->silent_for_s = silent_s;
    model->link = TOP_SLOW;
    snprintf(model->said, sizeof(model->said), "the agent has not answered for %u s", silent_s);
    return is_news;
}

static bool connect_again(struct top_source *source, struct top_model *model, uint64_t now_ns)
{
    struct diag diag;
    if (query_client_open_now(source->socket_path, &source->client, &diag) < 0) {
        lose(source, model, now_ns, &diag);
        return true;
    }
    source->is_forced = true;
    return false;
}

bool top_source_step(struct top_source *source, struct top_model *model, uint64_t now_ns,
                     uint64_t realtime_ns)
{
    bool changed = false;
    if (source->client && source->asked)
        changed = take(source, model, now_ns, realtime_ns);
    if (!source->asked && now_ns < top_source_due_ns(source, model))
        return changed;
    if (!source->client && source->socket_path)
        changed |= connect_again(source, model, now_ns);
    if (source->client && !source->asked) {
        source->is_forced = source->is_outdated = false;
        source->refresh_ns = now_ns;
        ask(source, model, "Stats", now_ns);
        changed |= !source->asked;
    }
    return changed;
}
