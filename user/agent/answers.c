/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/answers.h"

#include <errno.h>
#include <string.h>

#include "agent/answer_preset.h"
#include "probe/attach_survey.h"
#include "probe/hazards.h"
#include "probe/listing.h"

const struct varlink_method agent_methods[] = {
    {"Stats", answer_stats, false},   {"SetMark", answer_set_mark, true},
    {"Status", answer_status, false}, {"OpenCalls", answer_open_calls, false},
    {"List", answer_list, true},      {"Attach", answer_attach, true},
    {"Detach", answer_detach, true},  {"Doctor", answer_doctor, false},
    {"Alerts", answer_alerts, false}, {"Check", answer_check, false},
    {"Reload", answer_reload, true},  {"Heap", answer_heap, false},
    {"Kmem", answer_kmem, false},     {NULL, NULL, false},
};

/* The parameter, or NULL when it is absent or null. */
static const json_t *get_parameter(const json_t *parameters, const char *name)
{
    const json_t *value = json_object_get(parameters, name);
    return json_is_null(value) ? NULL : value;
}

bool answer_string(struct varlink_call *call, const json_t *parameters, const char *name,
                   const char **value)
{
    const json_t *given = get_parameter(parameters, name);
    if (given && !json_is_string(given)) {
        varlink_call_invalid_parameter(call, name);
        return false;
    }
    if (given)
        *value = json_string_value(given);
    return true;
}

bool answer_bool(struct varlink_call *call, const json_t *parameters, const char *name, bool *value)
{
    const json_t *given = get_parameter(parameters, name);
    if (given && !json_is_boolean(given)) {
        varlink_call_invalid_parameter(call, name);
        return false;
    }
    if (given)
        *value = json_is_true(given);
    return true;
}

bool answer_u64(struct varlink_call *call, const json_t *parameters, const char *name,
                uint64_t *value)
{
    const json_t *given = get_parameter(parameters, name);
    if (given && (!json_is_integer(given) || json_integer_value(given) < 0)) {
        varlink_call_invalid_parameter(call, name);
        return false;
    }
    if (given)
        *value = (uint64_t)json_integer_value(given);
    return true;
}

/* --- List ------------------------------------------------------------------------------------ */

void answer_write_placement(struct json_writer *json, const struct placement *placement)
{
    char reason[PLACEMENT_REASON_SIZE];
    probe_placement_reason(placement, reason);
    json_begin_object(json, "placement");
    json_u64(json, "offset", placement->offset_bytes);
    if (*placement->instruction)
        json_string_z(json, "instruction", placement->instruction);
    json_bool(json, "emulated", placement->is_emulated);
    if (*reason)
        json_string_z(json, "reason", reason);
    json_end_object(json);
}

struct listing_writer {
    struct json_writer *json;
    struct attach_survey costs; /* taken for the first function that has a place */
    bool has_costs;
    bool any_kernel;
};

/* What a call of a function probed there would cost; 0: it could not be measured. */
static uint32_t predicted_ns(struct listing_writer *writer, const struct placement *placement)
{
    enum calibration_place place = !placement->is_emulated ? CALIBRATION_STEPPED
                                   : strncmp(placement->instruction, "push", 4) == 0
                                       ? CALIBRATION_PUSH
                                       : CALIBRATION_NOP;
    if (!writer->has_costs)
        attach_survey_costs(&writer->costs);
    writer->has_costs = true;
    const struct calibration_cost *cost = &writer->costs.user_costs[place];
    return cost->source == CALIBRATION_MEASURED ? cost->cost_ns : 0;
}

static void write_listing(const struct listing *listing, void *context)
{
    struct listing_writer *writer = context;
    struct json_writer *json = writer->json;
    uint32_t cost_ns = listing->placement ? predicted_ns(writer, listing->placement) : 0;
    writer->any_kernel |= strcmp(listing->kind, target_kind_name(TARGET_KERNEL)) == 0;
    json_begin_object(json, NULL);
    json_string_z(json, "target", listing->target);
    json_string_z(json, "kind", listing->kind);
    if (listing->object) {
        json_string_z(json, "object", listing->object);
        json_u64(json, "offset", listing->file_offset);
    }
    if (listing->size_bytes)
        json_u64(json, "size_bytes", listing->size_bytes);
    if (listing->note)
        json_string_z(json, "note", listing->note);
    if (listing->placement)
        answer_write_placement(json, listing->placement);
    if (cost_ns)
        json_u64(json, "cost_ns", cost_ns);
    json_end_object(json);
}

/* A list of names that none can be watched by would mislead; without the rights to try it, nothing
 * is said. */
static void write_list_note(struct json_writer *json, const struct listing_writer *writer)
{
    struct attach_survey survey;
    if (!writer->any_kernel)
        return;
    attach_survey_kernel(&survey);
    if (survey.core.taken && !attach_survey_takes_kernel_functions(&survey))
        json_string_z(
            json, "note",
            "this kernel takes neither fentry nor kprobes: none of these kernel functions "
            "can be watched");
}

static bool nop5_becomes_call(void *hazards)
{
    return hazards_present(hazards, HAZARD_NOP5_RED_ZONE);
}

void answer_list(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    const char *pattern = NULL;
    uint64_t limit = LISTING_LIMIT_DEFAULT;
    struct diag diag = {0};
    struct listing_totals totals = {0};
    bool with_placement = false;
    if (!answer_string(call, parameters, "pattern", &pattern) ||
        !answer_u64(call, parameters, "limit", &limit) ||
        !answer_bool(call, parameters, "placement", &with_placement))
        return;
    if (!pattern) {
        varlink_call_invalid_parameter(call, "pattern");
        return;
    }
    if (answer_preset_of(pattern)) {
        answer_preset_list(call, agent, pattern, limit);
        return;
    }
    _cleanup_text_ struct text found = {0};
    struct json_writer writer = {.text = &found};
    struct listing_writer listing_writer = {.json = &writer};
    json_begin_array(&writer, NULL);
    struct hazards hazards = {0};
    const struct placement_options options = {.nop5_becomes_call = nop5_becomes_call,
                                              .context = &hazards};
    const struct listing_request request = {
        .pattern = pattern, .limit = limit, .placement = with_placement ? &options : NULL};
    int error = listing_find(&request, write_listing, &listing_writer, &totals, &diag);
    json_end_array(&writer);
    if (!error && found.failed)
        error = diag_set(&diag, -found.failed, "the list is too long; narrow the pattern");
    if (error) {
        varlink_call_error(call, "TargetFailed", &diag);
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_raw(json, "found", found.bytes);
    json_u64(json, "total", totals.matched);
    if (totals.placed) {
        json_u64(json, "placed", totals.placed);
        json_u64(json, "cheap_at_entry", totals.cheap_at_entry);
        json_u64(json, "cheap", totals.cheap);
    }
    write_list_note(json, &listing_writer);
    varlink_call_reply(call);
}
