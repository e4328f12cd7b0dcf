/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words for choices, as configuration and socket spell them. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "agent/config.h"
#include "agent/config_value.h"
#include "base/quantity.h"

static const char *const error_rule_names[] = {
    [LORIS_ERROR_NEVER] = "never",
    [LORIS_ERROR_NEGATIVE] = "negative",
    [LORIS_ERROR_NEGATIVE_INT] = "negative-int",
    [LORIS_ERROR_ZERO] = "zero",
    [LORIS_ERROR_NONZERO] = "nonzero",
    [LORIS_ERROR_ERRNO] = "errno",
};

static const char *const group_names[] = {
    [CONFIG_BY_PROCESS] = "process",
    [CONFIG_BY_UNIT] = "unit",
    [CONFIG_BY_NONE] = "none",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int index_of(const char *const *names, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0)
            return (int)i;
    return -EINVAL;
}

int config_error_rule_parse(const char *word, uint8_t *ret_rule)
{
    int found = index_of(error_rule_names, COUNT(error_rule_names), word);
    if (found < 0)
        return found;
    *ret_rule = (uint8_t)found;
    return 0;
}

const char *config_error_rule_name(uint8_t rule)
{
    return rule < COUNT(error_rule_names) ? error_rule_names[rule] : "?";
}

int config_sample_parse(const char *word, uint8_t *ret_shift)
{
    uint64_t calls = 0;
    if (strncmp(word, "1/", 2) != 0 || parse_u64(word + 2, &calls) || calls == 0 ||
        calls > 1u << LORIS_THIN_MAX || calls & (calls - 1))
        return -EINVAL;
    *ret_shift = (uint8_t)__builtin_ctzll(calls);
    return 0;
}

int config_budget_parse(const char *word, double *ret_ratio)
{
    uint64_t millionths = 0;
    if (strcmp(word, "none") == 0) {
        *ret_ratio = INFINITY;
        return 0;
    }
    int r = config_value_parse_percent(word, &millionths);
    if (r == 0 && (millionths < CONFIG_BUDGET_MIN || millionths > CONFIG_BUDGET_MAX))
        r = -ERANGE;
    if (r == 0)
        *ret_ratio = (double)millionths / 1e6;
    return r;
}

int config_group_parse(const char *word, enum config_group *ret_group)
{
    int found = index_of(group_names, COUNT(group_names), word);
    if (found < 0)
        return found;
    *ret_group = (enum config_group)found;
    return 0;
}

const char *config_group_name(enum config_group group)
{
    return (size_t)group < COUNT(group_names) ? group_names[group] : "?";
}
