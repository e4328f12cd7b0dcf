/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what somebody typed to functions of an object, and what to say when there is none. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/glob.h"
#include "probe/clone_names.h"
#include "probe/nearest_names.h"
#include "probe/object_internal.h"
#include "probe/symbol_demangle.h"

#define BASE_NAME_BYTES   16384 /* longer symbols are never loaded */
#define SUGGEST_CPP_MAX   50000 /* symbols demangled for the sake of a hint */
#define LITERAL_BYTES_MAX 256
#define LITERAL_BYTES_MIN 3

enum name_kind { NAME_PLAIN, NAME_DEMANGLED, NAME_DEMANGLED_WITH_PARAMETERS };

struct name_pattern {
    const char *pattern;
    enum name_kind kind;
    bool is_glob;
    char literal[LITERAL_BYTES_MAX]; /* every symbol that matches contains it; may be empty */
};

/* Identifiers are spelt out in a mangled name, except the few that have abbreviations. */
static bool is_abbreviated(const char *identifier)
{
    static const char *const names[] = {
        "std",     "allocator", "basic_string",  "string",        "istream",
        "ostream", "iostream",  "basic_istream", "basic_ostream", "basic_iostream"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strstr(names[i], identifier))
            return true;
    return strstr(identifier, "operator") || strstr("operator", identifier);
}

/* Demangling costs microseconds, looking for the last identifier of the pattern in the mangled
 * name a few ns: for most symbols the second settles it. */
static void find_literal(struct name_pattern *pattern)
{
    const char *const text = pattern->pattern;
    const size_t end = strcspn(text, "(<[\\{ ");
    size_t stop = text[end] == ' ' ? 0 : end; /* "virtual thunk to ..." is not spelt out */
    size_t start;
    while (stop > 0) {
        while (stop > 0 && !isalnum((unsigned char)text[stop - 1]) && text[stop - 1] != '_')
            stop--;
        start = stop;
        while (start > 0 && (isalnum((unsigned char)text[start - 1]) || text[start - 1] == '_'))
            start--;
        const size_t length = stop - start;
        if (length >= LITERAL_BYTES_MIN && length < sizeof(pattern->literal)) {
            memcpy(pattern->literal, text + start, length);
            pattern->literal[length] = '\0';
            if (!is_abbreviated(pattern->literal))
                return;
        }
        stop = start;
    }
    pattern->literal[0] = '\0';
}

static struct name_pattern make_pattern(const char *text, enum name_kind kind)
{
    struct name_pattern pattern = {.pattern = text, .kind = kind, .is_glob = glob_is(text)};
    if (kind != NAME_PLAIN)
        find_literal(&pattern);
    return pattern;
}

static bool matches_text(const struct name_pattern *pattern, const char *name)
{
    return !strcmp(pattern->pattern, name) ||
           (pattern->is_glob && glob_matches(pattern->pattern, name));
}

/* base: room for the name without compiler suffixes; filled when it matches. */
static bool matches(const struct name_pattern *pattern, const char *name,
                    char base[BASE_NAME_BYTES])
{
    if (pattern->kind != NAME_PLAIN &&
        (!symbol_is_mangled(name) || !strstr(name, pattern->literal)))
        return false;
    bool matched = pattern->kind == NAME_PLAIN && matches_text(pattern, name);
    const bool may_be_clone = strchr(name, '.') != NULL;
    if (!matched && !may_be_clone && pattern->kind == NAME_PLAIN)
        return false;
    bool is_cold = false;
    const size_t length = may_be_clone ? clone_base_length(name, &is_cold) : strlen(name);
    if (is_cold || length >= BASE_NAME_BYTES)
        return false;
    memcpy(base, name, length);
    base[length] = '\0';
    if (matched)
        return true;
    if (pattern->kind == NAME_PLAIN)
        return matches_text(pattern, base);
    char readable[DEMANGLED_BYTES_MAX];
    return symbol_demangle(base, pattern->kind == NAME_DEMANGLED_WITH_PARAMETERS, readable) &&
           matches_text(pattern, readable);
}

/* One call for each address; of several names the one that was asked for, else the shortest. */
static size_t match_kind(const struct object_file *object, const struct name_pattern *pattern,
                         object_function_fn on_function, void *context)
{
    char base[BASE_NAME_BYTES], best_base[BASE_NAME_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < object->function_count;) {
        const struct object_function *best = NULL;
        const uint64_t address = object->functions[object->by_address[i]].address;
        for (; i < object->function_count; i++) {
            const struct object_function *const function =
                &object->functions[object->by_address[i]];
            if (function->address != address)
                break;
            if (!matches(pattern, function->name, base))
                continue;
            if (best && strcmp(function->name, pattern->pattern) != 0 &&
                (!strcmp(best->name, pattern->pattern) ||
                 strlen(function->name) >= strlen(best->name)))
                continue;
            best = function;
            strcpy(best_base, base);
        }
        if (!best)
            continue;
        count++;
        if (on_function)
            on_function(best, best_base, context);
    }
    return count;
}

static bool names_parameters(const char *pattern)
{
    static const char anonymous[] = "(anonymous namespace)";
    for (const char *at = pattern; (at = strchr(at, '(')); at++)
        if (strncmp(at, anonymous, strlen(anonymous)) != 0)
            return true;
    return false;
}

size_t object_file_match(const struct object_file *object, const char *pattern,
                         object_function_fn on_function, void *context)
{
    struct name_pattern plain = make_pattern(pattern, NAME_PLAIN);
    const size_t count = match_kind(object, &plain, on_function, context);
    if (count)
        return count;
    struct name_pattern readable = make_pattern(
        pattern, names_parameters(pattern) ? NAME_DEMANGLED_WITH_PARAMETERS : NAME_DEMANGLED);
    return match_kind(object, &readable, on_function, context);
}

/* Demangled names live in one buffer, so the nearest ones are kept by copying. */
static void suggest_demangled(const struct object_file *object, const char *name, struct diag *diag)
{
    char kept[NEAREST_NAMES_MAX][NEAREST_NAME_LENGTH + 1];
    unsigned scores[NEAREST_NAMES_MAX];
    char readable[DEMANGLED_BYTES_MAX];
    struct nearest_names nearest;
    size_t count = 0, looked_at = 0;
    for (size_t i = 0; i < object->function_count && looked_at < SUGGEST_CPP_MAX; i++) {
        const char *const symbol = object->functions[i].name;
        if (!symbol_is_mangled(symbol) || strlen(symbol) > 3 * NEAREST_NAME_LENGTH)
            continue;
        looked_at++;
        nearest_names_init(&nearest, name);
        if (symbol_demangle(symbol, false, readable))
            nearest_names_offer(&nearest, readable);
        if (!nearest.count)
            continue;
        size_t slot = 0;
        for (size_t k = 1; k < count; k++)
            if (scores[k] > scores[slot])
                slot = k;
        if (count < NEAREST_NAMES_MAX)
            slot = count++;
        else if (scores[slot] <= nearest.scores[0])
            continue;
        scores[slot] = nearest.scores[0];
        strcpy(kept[slot], readable);
    }
    nearest_names_init(&nearest, name);
    for (size_t k = 0; k < count; k++)
        nearest_names_offer(&nearest, kept[k]);
    nearest_names_hint(&nearest, diag);
}

void object_file_suggest(const struct object_file *object, const char *name, struct diag *diag)
{
    if (strstr(name, "::")) {
        suggest_demangled(object, name, diag);
        return;
    }
    struct nearest_names nearest;
    nearest_names_init(&nearest, name);
    for (size_t i = 0; i < object->function_count; i++)
        if (!strchr(object->functions[i].name, '.'))
            nearest_names_offer(&nearest, object->functions[i].name);
    nearest_names_hint(&nearest, diag);
}

int object_file_not_found(const struct object_file *object, const char *name,
                          struct diag *reterr_diag)
{
    const size_t inlined = glob_is(name) ? 0 : object_debug_inlined(object, name);
    if (inlined) {
        diag_set(reterr_diag, ENOENT,
                 "'%.100s' was inlined by the compiler in %zu place%s of %.300s; it has no address "
                 "to probe",
                 name, inlined, inlined == 1 ? "" : "s", object->path);
        diag_hint(reterr_diag, "watch a function that calls it");
        return -ENOENT;
    }
    const char *const what = glob_is(name) ? "no function matches" : "no function";
    if (object->has_symtab) {
        diag_set(reterr_diag, ENOENT, "%s '%.100s' in %.300s", what, name, object->path);
        object_file_suggest(object, name, reterr_diag);
        return -ENOENT;
    }
    diag_set(reterr_diag, ENOENT,
             "%s '%.100s' in %.200s, which is stripped (no .symtab): only its %zu exported "
             "functions can be named",
             what, name, object->path, object->function_count);
    struct diag near = {0};
    object_file_suggest(object, name, &near);
    diag_hint(reterr_diag,
              "%.350s%sinstall its debug symbols (package ...-dbgsym) to name the others",
              near.hint, near.hint[0] ? "; " : "");
    return -ENOENT;
}
