/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/json_field.h"
#include "cli/series_view.h"
#include "cli/status.h"

static void append_lines(struct text *out, const json_t *output, const char *key,
                         const char *before)
{
    char number[32];
    uint64_t lines = json_field_u64(output, key);
    if (lines == 0 && strcmp(key, "written") != 0)
        return;
    series_view_format_exact(lines, number);
    text_append_format(out, "%s%s %s", before, number, key);
}

void status_outputs_print(const json_t *reply, struct text *out)
{
    const json_t *outputs = json_object_get(reply, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *output = json_array_get(outputs, i);
        const char *to = json_field_string(output, "to");
        text_append_string(out, i == 0 ? "lines     " : "          ");
        text_append_sanitized(out, json_field_string(output, "name"));
        text_append_string(out, " to ");
        text_append_sanitized(out, strcmp(to, "-") == 0 ? "stdout" : to);
        append_lines(out, output, "written", ": ");
        append_lines(out, output, "pending", ", ");
        append_lines(out, output, "failed", ", ");
        if (json_field_has(output, "failing")) {
            text_append_string(out, "; failing: ");
            text_append_sanitized(out, json_field_string(output, "failing"));
        }
        text_append(out, "\n", 1);
    }
}
