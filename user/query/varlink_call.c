/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query/varlink_call.h"

#include <errno.h>
#include <string.h>

#define SERVICE_INTERFACE "org.varlink.service"
#define ECHO_MAX          256 /* of a client's name repeated to it */

static const char service_interface_text[] =
    "# Implemented by every varlink service: who it is and what it offers.\n"
    "interface org.varlink.service\n"
    "\n"
    "method GetInfo() -> (\n"
    "  vendor: string,\n"
    "  product: string,\n"
    "  version: string,\n"
    "  url: string,\n"
    "  interfaces: []string\n"
    ")\n"
    "\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "error InterfaceNotFound(interface: string)\n"
    "error MethodNotFound(method: string)\n"
    "error MethodNotImplemented(method: string)\n"
    "error InvalidParameter(parameter: string)\n"
    "error PermissionDenied()\n"
    "error ExpectedMore()\n";

struct varlink_call {
    const struct varlink_server_config *config;
    struct varlink_connection *connection;
    struct text text;
    struct json_writer json;
    bool oneway;
    bool answered;
};

uid_t varlink_call_uid(const struct varlink_call *call)
{
    return varlink_connection_uid(call->connection);
}

uint64_t varlink_call_connection(const struct varlink_call *call)
{
    return varlink_connection_id(call->connection);
}

static void begin_frame(struct varlink_call *call)
{
    text_done(&call->text);
    call->text = (struct text){.max_bytes = varlink_connection_room(call->connection)};
    call->json = (struct json_writer){.text = &call->text};
    json_begin_object(&call->json, NULL);
}

/* error_name NULL: within org.varlink.service by the whole name in interface_name */
static void begin_error(struct varlink_call *call, const char *interface_name,
                        const char *error_name)
{
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", interface_name, error_name);
    begin_frame(call);
    json_string_z(&call->json, "error", name);
    json_begin_object(&call->json, "parameters");
}

static void end_frame(struct varlink_call *call)
{
    json_end_object(&call->json);
    json_end_object(&call->json);
    text_append(&call->text, "", 1);
}

static void send_frame(struct varlink_call *call)
{
    if (call->answered)
        return; /* the first answer stands */
    call->answered = true;
    if (!call->oneway)
        varlink_connection_send(call->connection, &call->text);
}

struct json_writer *varlink_call_begin_reply(struct varlink_call *call)
{
    begin_frame(call);
    json_begin_object(&call->json, "parameters");
    return &call->json;
}

static void reply_too_large(struct varlink_call *call)
{
    struct diag diag;
    size_t most = call->config->max_queued_bytes;
    if (call->text.failed != -E2BIG) {
        diag_set(&diag, ENOMEM, "the agent has no memory for the answer");
    } else if (call->text.max_bytes < most / 2) {
        diag_set(&diag, EAGAIN, "other clients do not read the answers they asked for");
        diag_hint(&diag, "try again: in %d seconds they are cut off", VARLINK_STALL_S);
    } else {
        diag_set(&diag, E2BIG, "the answer is larger than %zu MiB", most / (1024 * 1024));
        diag_hint(&diag, "ask for less, with a narrower pattern or a limit, or allow the agent a "
                         "larger memory_budget");
    }
    varlink_call_error(call, "Failed", &diag);
}

void varlink_call_reply(struct varlink_call *call)
{
    end_frame(call);
    if (call->text.failed) {
        reply_too_large(call);
        return;
    }
    send_frame(call);
}

void varlink_call_error(struct varlink_call *call, const char *error_name, const struct diag *diag)
{
    begin_error(call, call->config->interface_name, error_name);
    json_string_z(&call->json, "message", diag->what);
    if (diag->hint[0])
        json_string_z(&call->json, "hint", diag->hint);
    end_frame(call);
    send_frame(call);
}

/* An error of org.varlink.service; key may be NULL. */
static void service_error(struct varlink_call *call, const char *error_name, const char *key,
                          const char *value)
{
    begin_error(call, SERVICE_INTERFACE, error_name);
    if (key)
        json_string_n(&call->json, key, value, strnlen(value, ECHO_MAX));
    end_frame(call);
    send_frame(call);
}

void varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter)
{
    service_error(call, "InvalidParameter", "parameter", parameter);
}

static void reply_info(struct varlink_call *call)
{
    const struct varlink_server_config *config = call->config;
    struct json_writer *json = varlink_call_begin_reply(call);
    json_string_z(json, "vendor", config->vendor ? config->vendor : "");
    json_string_z(json, "product", config->product ? config->product : "");
    json_string_z(json, "version", config->version ? config->version : "");
    json_string_z(json, "url", config->url ? config->url : "");
    json_begin_array(json, "interfaces");
    json_string_z(json, NULL, SERVICE_INTERFACE);
    json_string_z(json, NULL, config->interface_name);
    json_end_array(json);
    varlink_call_reply(call);
}

static void reply_description(struct varlink_call *call, const json_t *parameters)
{
    const char *wanted = json_string_value(json_object_get(parameters, "interface"));
    if (!wanted) {
        varlink_call_invalid_parameter(call, "interface");
        return;
    }
    const char *description = NULL;
    if (strcmp(wanted, SERVICE_INTERFACE) == 0)
        description = service_interface_text;
    else if (strcmp(wanted, call->config->interface_name) == 0)
        description = call->config->interface_text;
    if (!description) {
        service_error(call, "InterfaceNotFound", "interface", wanted);
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_string_z(json, "description", description);
    varlink_call_reply(call);
}

static void dispatch_service(struct varlink_call *call, const char *full_name, const char *name,
                             const json_t *parameters)
{
    if (strcmp(name, "GetInfo") == 0)
        reply_info(call);
    else if (strcmp(name, "GetInterfaceDescription") == 0)
        reply_description(call, parameters);
    else
        service_error(call, "MethodNotFound", "method", full_name);
}

static void dispatch_method(struct varlink_call *call, const char *full_name, const char *name,
                            const json_t *parameters)
{
    const struct varlink_method *method = call->config->methods;
    while (method->name && strcmp(method->name, name) != 0)
        method++;
    if (!method->name) {
        service_error(call, "MethodNotFound", "method", full_name);
        return;
    }
    if (method->needs_root && varlink_call_uid(call) != 0 && varlink_call_uid(call) != geteuid()) {
        service_error(call, "PermissionDenied", NULL, NULL);
        return;
    }
    if (!method->on_call) {
        service_error(call, "MethodNotImplemented", "method", full_name);
        return;
    }
    method->on_call(call, parameters, call->config->context);
    if (!call->answered) /* a silent method must not leave its client waiting */
        service_error(call, "MethodNotImplemented", "method", full_name);
}

static void dispatch_name(struct varlink_call *call, const char *full_name,
                          const json_t *parameters)
{
    const char *dot = strrchr(full_name, '.');
    if (!dot || dot == full_name || !dot[1]) {
        varlink_call_invalid_parameter(call, "method");
        return;
    }
    size_t length = (size_t)(dot - full_name);
    const char *interface_name = call->config->interface_name;
    if (length == strlen(SERVICE_INTERFACE) && memcmp(full_name, SERVICE_INTERFACE, length) == 0) {
        dispatch_service(call, full_name, dot + 1, parameters);
    } else if (length == strlen(interface_name) && memcmp(full_name, interface_name, length) == 0) {
        dispatch_method(call, full_name, dot + 1, parameters);
    } else {
        char unknown[ECHO_MAX + 1];
        snprintf(unknown, sizeof(unknown), "%.*s", (int)(length < ECHO_MAX ? length : ECHO_MAX),
                 full_name);
        service_error(call, "InterfaceNotFound", "interface", unknown);
    }
}

/* Bounds what parsing may cost before jansson allocates: nesting (it recurses) and values. */
static bool is_modest(const char *frame, size_t length)
{
    unsigned depth = 0;
    unsigned values = 1;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = frame[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            values++;
            if (++depth > VARLINK_NESTING_MAX)
                return false;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
        if (values > VARLINK_VALUES_MAX)
            return false;
    }
    return true;
}

/* The flag's name when it is there and not a boolean. */
static const char *misused_flag(const json_t *request)
{
    static const char *const flags[] = {"oneway", "more", "upgrade"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const json_t *flag = json_object_get(request, flags[i]);
        if (flag && !json_is_boolean(flag) && !json_is_null(flag))
            return flags[i];
    }
    return NULL;
}

static void dispatch_request(struct varlink_call *call, const json_t *request)
{
    const char *method = json_string_value(json_object_get(request, "method"));
    if (!method) {
        varlink_call_invalid_parameter(call, "method");
        return;
    }
    const char *misused = misused_flag(request);
    if (misused) {
        varlink_call_invalid_parameter(call, misused);
        return;
    }
    call->oneway = json_is_true(json_object_get(request, "oneway"));
    if (json_is_true(json_object_get(request, "upgrade"))) { /* there is no other protocol */
        varlink_call_invalid_parameter(call, "upgrade");
        return;
    }
    const json_t *parameters = json_object_get(request, "parameters");
    json_t *none = NULL;
    if (!parameters || json_is_null(parameters))
        parameters = none = json_object();
    if (json_is_object(parameters))
        dispatch_name(call, method, parameters);
    else
        varlink_call_invalid_parameter(call, "parameters");
    json_decref(none);
}

void varlink_call_dispatch(const struct varlink_server_config *config,
                           struct varlink_connection *connection, const char *frame, size_t length)
{
    struct varlink_call call = {.config = config, .connection = connection};
    json_t *request = NULL;
    if (is_modest(frame, length))
        request = json_loadb(frame, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(request)) {
        dispatch_request(&call, request);
    } else {
        /* Whoever sends this speaks another protocol, or lost its place in the stream. */
        varlink_call_invalid_parameter(&call, "request");
        varlink_connection_end(connection);
    }
    json_decref(request);
    text_done(&call.text);
}
