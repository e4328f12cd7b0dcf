/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/quantity.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60ull * 1000000000},
    {"h", 3600ull * 1000000000},
    {"d", 86400ull * 1000000000},
    {NULL, 0},
};

static const struct unit byte_units[] = {
    {"", 1},           {"B", 1},           {"kB", 1000},      {"KiB", 1u << 10}, {"MB", 1000000},
    {"MiB", 1u << 20}, {"GB", 1000000000}, {"GiB", 1u << 30}, {NULL, 0},
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Leading decimal digits; -EINVAL without any, -ERANGE beyond 64 bits. */
static int parse_digits(const char **at, uint64_t *ret_value)
{
    if (!is_digit(**at))
        return -EINVAL;
    uint64_t value = 0;
    bool overflow = false;
    for (; is_digit(**at); (*at)++) {
        overflow |= __builtin_mul_overflow(value, 10u, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value);
    }
    *ret_value = value;
    return overflow ? -ERANGE : 0;
}

int parse_u64(const char *string, uint64_t *ret_value)
{
    uint64_t value;
    int status = parse_digits(&string, &value);
    if (*string != '\0')
        return -EINVAL;
    if (status == 0)
        *ret_value = value;
    return status;
}

/* DIGITS[.DIGITS]UNIT, exact: the fraction is kept as an integer over a power of ten. */
static int parse_quantity(const char *string, const struct unit *units, uint64_t *ret_value)
{
    uint64_t whole, fraction = 0, fraction_one = 1;
    int status = parse_digits(&string, &whole);
    if (status == -EINVAL)
        return status;
    bool has_fraction = *string == '.';
    if (has_fraction) {
        const char *digits = ++string;
        if (parse_digits(&string, &fraction) != 0 || string - digits > 18)
            return -EINVAL;
        for (; digits < string; digits++)
            fraction_one *= 10;
    }
    const struct unit *unit = units;
    while (unit->name && strcmp(unit->name, string) != 0)
        unit++;
    if (!unit->name || (has_fraction && *unit->name == '\0'))
        return -EINVAL;
    if (status < 0)
        return status;
    uint64_t value;
    uint64_t part = (uint64_t)((unsigned __int128)fraction * unit->factor / fraction_one);
    if (__builtin_mul_overflow(whole, unit->factor, &value) ||
        __builtin_add_overflow(value, part, &value))
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int parse_duration_ns(const char *string, uint64_t *ret_ns)
{
    return parse_quantity(string, duration_units, ret_ns);
}

int parse_bytes(const char *string, uint64_t *ret_bytes)
{
    return parse_quantity(string, byte_units, ret_bytes);
}

/* Rounded to `decimals`; by integers, because printf's decimal point depends on the locale. */
static int put_decimal(char out[16], double value, unsigned decimals, const char *unit)
{
    static const unsigned scales[] = {1, 10, 100};
    uint64_t scaled = (uint64_t)(value * scales[decimals] + 0.5);
    unsigned long long whole = scaled / scales[decimals];
    unsigned part = (unsigned)(scaled % scales[decimals]);
    if (decimals == 0)
        return snprintf(out, 16, "%llu%s", whole, unit);
    return snprintf(out, 16, "%llu.%0*u%s", whole, (int)decimals, part, unit);
}

/* Decimals that leave three significant digits. */
static unsigned three_digits(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

void format_duration(uint64_t ns, char out[16])
{
    static const struct {
        const char *unit;
        double ns;
        double below; /* what would be rounded to this or more is told in the next unit */
    } scales[] = {
        {" us", 1e3, 999.5}, {" ms", 1e6, 999.5},   {" s", 1e9, 119.5},
        {" m", 60e9, 119.5}, {" h", 3600e9, 47.95}, {" d", 86400e9, INFINITY},
    };
    if (ns < 1000) {
        snprintf(out, 16, "%u ns", (unsigned)ns);
        return;
    }
    unsigned i = 0;
    while ((double)ns / scales[i].ns >= scales[i].below)
        i++;
    double value = (double)ns / scales[i].ns;
    put_decimal(out, value, three_digits(value), scales[i].unit);
}

void format_bytes(uint64_t bytes, char out[16])
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    double value = (double)bytes;
    unsigned i = 0;
    for (; value >= 1023.5; i++)
        value /= 1024;
    put_decimal(out, value, i > 0 && value < 99.95, units[i]);
}

void format_count(double count, char out[16])
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    if (!isfinite(count) || count < 0) {
        snprintf(out, 16, "-");
        return;
    }
    unsigned i = 0;
    for (; count >= 999.5 && i < 6; i++)
        count /= 1000;
    if (count >= 999.5)
        snprintf(out, 16, ">999 E");
    else if (i == 0 && count == (double)(unsigned)count)
        put_decimal(out, count, 0, units[i]);
    else
        put_decimal(out, count, three_digits(count), units[i]);
}

void quantity_force_decimal_point(char *number)
{
    char *to = number;
    bool in_point = false;
    for (const char *from = number; *from; from++) {
        bool ours = (*from >= '0' && *from <= '9') || strchr("+-e", *from);
        if (ours)
            *to++ = *from;
        else if (!in_point)
            *to++ = '.';
        in_point = !ours;
    }
    *to = '\0';
}
