/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One series as a JSON object: the same shape in answers, summaries and files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/rollup.h"
#include "base/json_writer.h"

#define SERIES_JSON_SCHEMA "loris.series/1"

struct series_json {
    const char *probe;
    const char *time; /* when the answer was made, as clock_format_utc */
    const struct rollup_row *row;
    bool grouped;       /* the row is about somebody; else about everybody */
    uint32_t pid;       /* PROCESS rows */
    const char *comm;   /* PROCESS and NAME rows; NULL: unknown */
    const char *unit;   /* PROCESS, NAME and UNIT rows; NULL: unknown */
    double time_share;  /* of the summed time of all rows of the answer */
    uint64_t lost;      /* calls of the probe that could not be measured */
    uint64_t waiting;   /* calls of the probe that no timed one stands for yet */
    double observed;    /* share of the time in which the probe was attached */
    double count_error; /* 95 % half-width of count, as a share of it; 0: it is exact */
    bool has_in_flight;
    uint64_t in_flight; /* of the probe */
    uint64_t oldest_ns; /* age of the oldest open call, 0: none */
    bool final;
};

void series_json_write(struct json_writer *json, const char *key, const struct series_json *series);
