/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/doctor_report.h"

#include <errno.h>
#include <string.h>

#include "cli/exit_code.h"
#include "cli/json_field.h"

#define RESULT_WIDTH 9 /* "warning" and two blanks */
#define NAME_WIDTH   27
#define INDENT       (RESULT_WIDTH + NAME_WIDTH)
#define TEXT_LEAST   24 /* columns; a narrower terminal wraps by itself */

static const char *const results[] = {"fail", "warning", "unknown", "absent", "ok"};
#define RESULT_COUNT (sizeof(results) / sizeof(results[0]))

static size_t count_of(const json_t *checks, const char *result)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(checks); i++)
        count += strcmp(json_field_string(json_array_get(checks, i), "result"), result) == 0;
    return count;
}

/* Where the line ends that begins at `from`: behind the last word that fits. */
static size_t line_end(const char *from, size_t columns)
{
    size_t length = strlen(from);
    if (length <= columns)
        return length;
    for (size_t end = columns; end > 0; end--)
        if (from[end] == ' ')
            return end;
    return strcspn(from, " "); /* a word that is too long stays whole */
}

/* The text after a lead that was just written, further lines indented below it. */
static void wrap(const char *text, size_t indent, unsigned width, struct text *out)
{
    size_t columns = width > indent + TEXT_LEAST ? width - indent : SIZE_MAX;
    while (*text) {
        size_t end = line_end(text, columns);
        text_append(out, text, end);
        text_append(out, "\n", 1);
        text += end;
        text += strspn(text, " ");
        if (*text)
            text_append_format(out, "%*s", (int)indent, "");
    }
}

static void print_more(const char *lead, const char *text, unsigned width, struct text *out)
{
    if (!*text)
        return;
    text_append_format(out, "%*s%s", RESULT_WIDTH + 2, "", lead);
    wrap(text, RESULT_WIDTH + 2 + strlen(lead), width, out);
}

/* Words of the agent, which has them from files of the machine: a terminal must not obey them. */
enum { RESULT, CHECK, FOUND, CONSEQUENCE, REMEDY, WORDS };

static void print_words(char *const words[WORDS], unsigned width, bool emphasise, struct text *out)
{
    bool is_trouble = strcmp(words[RESULT], "fail") == 0 || strcmp(words[RESULT], "warning") == 0;
    bool is_bold = emphasise && is_trouble;
    text_append_format(out, "%s%-*.*s%s%-*s", is_bold ? "\033[1m" : "", RESULT_WIDTH,
                       RESULT_WIDTH - 1, words[RESULT], is_bold ? "\033[0m" : "", NAME_WIDTH,
                       words[CHECK]);
    wrap(*words[FOUND] ? words[FOUND] : "-", INDENT, width, out);
    print_more("so     ", words[CONSEQUENCE], width, out);
    print_more("to do  ", words[REMEDY], width, out);
}

static void print_check(const json_t *check, unsigned width, bool emphasise, struct text *out)
{
    static const char *const keys[WORDS] = {"result", "check", "found", "consequence", "remedy"};
    char *words[WORDS];
    bool has_memory = true;
    for (size_t i = 0; i < WORDS; i++) {
        const char *raw = json_field_string(check, keys[i]);
        words[i] = malloc(strlen(raw) + 1);
        has_memory &= words[i] != NULL;
        if (words[i])
            text_sanitize(raw, strlen(raw), words[i]);
    }
    if (has_memory)
        print_words(words, width, emphasise, out);
    else
        out->failed = -ENOMEM;
    for (size_t i = 0; i < WORDS; i++)
        free(words[i]);
}

int doctor_report_exit_code(const json_t *reply)
{
    if (count_of(json_object_get(reply, "checks"), "fail") > 0)
        return EXIT_CODE_FAILED;
    return json_field_bool(reply, "limited") ? EXIT_CODE_NOT_PERMITTED : EXIT_CODE_FINE;
}

/* "47 checks: 1 fail, 2 warning, 44 ok" */
static void print_sum(const json_t *checks, struct text *out)
{
    size_t all = json_array_size(checks);
    const char *separator = " ";
    text_append_format(out, "%zu check%s:", all, all == 1 ? "" : "s");
    for (size_t i = 0; i < RESULT_COUNT; i++) {
        size_t count = count_of(checks, results[i]);
        if (count == 0)
            continue;
        text_append_format(out, "%s%zu %s", separator, count, results[i]);
        separator = ", ";
    }
}

void doctor_report_print(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    const json_t *checks = json_object_get(reply, "checks");
    for (size_t i = 0; i < json_array_size(checks); i++)
        print_check(json_array_get(checks, i), width, emphasise, out);
    print_sum(checks, out);
    int code = doctor_report_exit_code(reply);
    text_append_string(out, code == EXIT_CODE_FINE ? "; loris can work here\n"
                            : code == EXIT_CODE_FAILED
                                ? "; what fails keeps loris from working as it was asked to\n"
                                : "; whether loris can work here shows as root only\n");
}
