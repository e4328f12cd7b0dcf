/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/invocation.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/edit_distance.h"
#include "cli/exit_code.h"
#include "cli/message.h"
#include "query/query_client.h"

#define LETTERLESS 256 /* getopt's value of an option is this plus its id */
#define FAR_NAME   3   /* edits beyond which a command's name is no likely typing error */

struct getopt_tables {
    struct option options[2 * OPTION_COUNT + 1];
    char letters[3 * 2 * OPTION_COUNT + 3];
};

static void add_options(struct getopt_tables *tables, size_t *count,
                        const struct command_option *options)
{
    char *letters = tables->letters + strlen(tables->letters);
    for (const struct command_option *option = options; option->id != OPTION_NONE; option++) {
        tables->options[(*count)++] = (struct option){
            .name = option->name,
            .has_arg = option->argument ? required_argument : no_argument,
            .val = LETTERLESS + (int)option->id,
        };
        if (!option->letter)
            continue;
        *letters++ = option->letter;
        if (option->argument)
            *letters++ = ':';
    }
    *letters = '\0';
}

static const struct command_option *option_find(const struct command *command, int value)
{
    const struct command_option *const tables[] = {command ? command->options : NULL,
                                                   command_global_options};
    for (size_t i = 0; i < 2; i++)
        for (const struct command_option *option = tables[i]; option && option->id != OPTION_NONE;
             option++)
            if (value == LETTERLESS + (int)option->id ||
                (option->letter && value == (unsigned char)option->letter))
                return option;
    return NULL;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; length > 0 && *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, value, length) == 0)
            return true;
        at += word;
    }
    return false;
}

static int take_option(struct invocation *invocation, const struct command_option *option,
                       const char *value)
{
    if (option->choices && !is_choice(option->choices, value))
        return message_usage(invocation->command, "--%s is \"%s\"; it can be one of: %s",
                             option->name, value, option->choices);
    switch (option->id) {
    case OPTION_HELP:
        invocation->help = true;
        return 0;
    case OPTION_JSON:
        invocation->json = true;
        return 0;
    case OPTION_SOCKET:
        invocation->socket_path = value;
        invocation->socket_given = true;
        return 0;
    default:
        break;
    }
    if (invocation->given_count == INVOCATION_OPTIONS_MAX)
        return message_usage(invocation->command, "more than %d options", INVOCATION_OPTIONS_MAX);
    struct given_option *grown =
        reallocarray(invocation->given, invocation->given_count + 1, sizeof(*invocation->given));
    if (!grown) {
        message_say("no memory for the options");
        return EXIT_CODE_FAILED;
    }
    invocation->given = grown;
    invocation->given[invocation->given_count++] =
        (struct given_option){.id = option->id, .value = value};
    return 0;
}

static int bad_option(const struct command *command, int kind, char *const *argv)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *given = argv[optind - 1];
    bool is_letter = optopt > 0 && optopt < LETTERLESS;
    if (kind == ':')
        return message_usage(command, "%s needs a value", is_letter ? letter : given);
    if (!is_letter && optopt >= LETTERLESS)
        return message_usage(command, "%s takes no value", given);
    if (command)
        return message_usage(command, "loris %s has no option %s", command->name,
                             is_letter ? letter : given);
    return message_usage(command, "there is no option %s before the command",
                         is_letter ? letter : given);
}

/* prefix: "+:" to stop at the first word, ":" to take options wherever they stand. */
static int parse_options(struct invocation *invocation, const char *prefix, int argc, char **argv)
{
    struct getopt_tables tables = {0};
    size_t count = 0;
    strcpy(tables.letters, prefix);
    if (invocation->command)
        add_options(&tables, &count, invocation->command->options);
    add_options(&tables, &count, command_global_options);
    opterr = 0;
    optind = 0; /* GNU: begin anew */
    int value;
    while ((value = getopt_long(argc, argv, tables.letters, tables.options, NULL)) != -1) {
        if (value == '?' || value == ':')
            return bad_option(invocation->command, value, argv);
        const struct command_option *option = option_find(invocation->command, value);
        if (!option)
            return bad_option(invocation->command, '?', argv);
        int r = take_option(invocation, option, optarg);
        if (r != 0)
            return r;
    }
    return 0;
}

static int unknown_command(const char *name)
{
    const char *nearest = NULL;
    unsigned nearest_distance = FAR_NAME;
    for (const struct command *command = command_table; command->name; command++) {
        unsigned distance = edit_distance(name, command->name, FAR_NAME);
        if (distance < nearest_distance) {
            nearest = command->name;
            nearest_distance = distance;
        }
    }
    message_say("there is no command \"%s\"", name);
    if (nearest)
        message_hint("did you mean: loris %s", nearest);
    else
        message_hint("loris --help lists the commands");
    return EXIT_CODE_USAGE;
}

static int check_arguments(const struct invocation *invocation)
{
    const struct command *command = invocation->command;
    if (invocation->help)
        return 0;
    if (invocation->argument_count < command->arguments_min)
        return message_usage(command, "loris %s needs %s", command->name, command->arguments);
    if (invocation->argument_count > command->arguments_max)
        return message_usage(command, "loris %s does not take \"%s\"", command->name,
                             invocation->arguments[command->arguments_max]);
    if (invocation->child_arguments && !invocation->child_arguments[0])
        return message_usage(command, "no COMMAND follows --");
    return 0;
}

int invocation_parse(int argc, char **argv, struct invocation *ret_invocation)
{
    struct invocation *invocation = ret_invocation;
    *invocation = (struct invocation){.socket_path = QUERY_DEFAULT_SOCKET};
    int r = parse_options(invocation, "+:", argc, argv);
    if (r != 0)
        return r;
    if (optind >= argc) {
        invocation->command = command_find("help");
        if (invocation->help)
            return 0;
        return message_usage(NULL, "no command given");
    }
    argc -= optind;
    argv += optind;
    invocation->command = command_find(argv[0]);
    if (!invocation->command)
        return unknown_command(argv[0]);
    for (int i = 1; invocation->command->takes_child && i < argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        invocation->child_arguments = argv + i + 1;
        argc = i;
    }
    r = parse_options(invocation, ":", argc, argv);
    if (r != 0)
        return r;
    invocation->arguments = argv + optind;
    invocation->argument_count = (size_t)(argc - optind);
    return check_arguments(invocation);
}

void invocation_done(struct invocation *invocation)
{
    free(invocation->given);
    *invocation = (struct invocation){0};
}

bool invocation_has(const struct invocation *invocation, enum option_id id)
{
    for (size_t i = 0; i < invocation->given_count; i++)
        if (invocation->given[i].id == id)
            return true;
    return false;
}

const char *invocation_value(const struct invocation *invocation, enum option_id id)
{
    for (size_t i = invocation->given_count; i > 0; i--)
        if (invocation->given[i - 1].id == id)
            return invocation->given[i - 1].value;
    return NULL;
}
