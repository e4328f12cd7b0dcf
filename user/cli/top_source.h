/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where `loris top` has its answers from: asks without waiting, comes back when the agent does. */
#pragma once

#include "cli/top_model.h"
#include "query/query_client.h"

struct top_source {
    const char *socket_path; /* borrowed; NULL: nothing to come back to */
    struct query_client *client;
    bool is_borrowed;      /* the client */
    const char *asked;     /* the method whose answer is awaited; NULL: none */
    uint64_t asked_ns;     /* when; all times are of one monotonic clock */
    uint64_t refresh_ns;   /* when the last refresh began */
    uint64_t retry_ns;     /* without a client: when to connect again */
    bool is_forced;        /* even if the model is paused */
    bool is_outdated;      /* the answer on its way is to a question of before */
    unsigned silent_for_s; /* as the model says it */
};

/* It must be there once, to begin with. */
int top_source_open(struct top_source *source, const char *socket_path,
                    struct diag *reterr_diag) _must_check_;
/* A client that is connected, and remains its owner's. */
void top_source_borrow(struct top_source *source, struct query_client *client);
void top_source_done(struct top_source *source);

/* There will be no more answers. */
bool top_source_is_over(const struct top_source *source);
/* To poll for input; -1: nothing is awaited. */
int top_source_fd(const struct top_source *source);
/* The question has changed: asks anew as soon as possible. */
void top_source_ask_anew(struct top_source *source);
/* When top_source_step is due at the latest; UINT64_MAX: never. */
uint64_t top_source_due_ns(const struct top_source *source, const struct top_model *model);
/* Whatever can be done now. True: the model has changed. */
bool top_source_step(struct top_source *source, struct top_model *model, uint64_t now_ns,
                     uint64_t realtime_ns);
