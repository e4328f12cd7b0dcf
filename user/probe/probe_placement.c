/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/probe_placement.h"

#include <errno.h>
#include <string.h>

#include "probe/code_decoder.h"
#include "probe/code_entries.h"
#include "probe/emulated_instruction.h"
#include "probe/object_internal.h"
#include "probe/plain_instruction.h"

#define INSTRUCTION_BYTES_MAX 15
#define PROLOGUE_BYTES_MAX    ((PLACEMENT_SKIPPED_MAX + 1) * INSTRUCTION_BYTES_MAX)
#define SHORT_REACH_BYTES     130 /* a jump of two bytes and a distance of one */
#define WINDOW_BYTES          (SHORT_REACH_BYTES + PROLOGUE_BYTES_MAX + SHORT_REACH_BYTES)
#define NEIGHBOUR_BYTES_MAX   65536
#define HOLDER_TRIES          16

static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

struct probe_placement {
    const struct object_file *object;
    struct placement_options options;
    struct code_decoder *decoder; /* owned; NULL: not needed yet, or not installed */
    struct code_entries *entries; /* owned; NULL: not needed yet, or not known */
    int decoder_error;
    int entries_error;
};

/* The bytes around the entry of one function. */
struct window {
    uint8_t bytes[WINDOW_BYTES];
    size_t length;
    size_t entry;          /* index of the first byte of the function */
    uint64_t address;      /* of bytes[0] */
    size_t prologue_bytes; /* from the entry on, within the function */
};

int probe_placement_new(const struct object_file *object, const struct placement_options *options,
                        struct probe_placement **ret_chooser)
{
    struct probe_placement *const chooser = calloc(1, sizeof(*chooser));
    if (!chooser)
        return -ENOMEM;
    chooser->object = object;
    chooser->options = *options;
    *ret_chooser = chooser;
    return 0;
}

void probe_placement_free(struct probe_placement *chooser)
{
    if (!chooser)
        return;
    code_decoder_free(chooser->decoder);
    code_entries_free(chooser->entries);
    free(chooser);
}

static bool need_decoder(struct probe_placement *chooser)
{
    if (!chooser->decoder && !chooser->decoder_error)
        chooser->decoder_error = code_decoder_new(&chooser->decoder);
    return chooser->decoder;
}

static bool need_entries(struct probe_placement *chooser)
{
    if (!chooser->entries && !chooser->entries_error)
        chooser->entries_error = code_entries_new(chooser->object, &chooser->entries);
    return chooser->entries;
}

/* As much as lies in one piece of code in the file. */
static bool read_window(const struct object_file *object, const struct object_function *function,
                        struct window *window)
{
    const struct elf_image *const image = &object->image;
    const uint64_t entry = function->address;
    for (size_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *const segment = &image->segments[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || entry < segment->p_vaddr ||
            entry - segment->p_vaddr >= segment->p_filesz)
            continue;
        const uint64_t before = entry - segment->p_vaddr;
        const uint64_t after = segment->p_filesz - before;
        window->entry = before < SHORT_REACH_BYTES ? (size_t)before : SHORT_REACH_BYTES;
        window->length = window->entry + (after < WINDOW_BYTES - SHORT_REACH_BYTES
                                              ? (size_t)after
                                              : WINDOW_BYTES - SHORT_REACH_BYTES);
        window->address = entry - window->entry;
        const size_t behind = window->length - window->entry;
        window->prologue_bytes = behind < PROLOGUE_BYTES_MAX ? behind : PROLOGUE_BYTES_MAX;
        if (function->size_bytes && function->size_bytes < window->prologue_bytes)
            window->prologue_bytes = (size_t)function->size_bytes;
        return elf_image_read(image, segment->p_offset + (before - window->entry), window->bytes,
                              window->length) >= 0;
    }
    return false;
}

static void copy_text(char out[PLACEMENT_INSTRUCTION_SIZE], const char *mnemonic,
                      const char *operands)
{
    snprintf(out, PLACEMENT_INSTRUCTION_SIZE, "%s%s%s", mnemonic, *operands ? " " : "", operands);
    for (char *at = out; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

static void set_obstacle(struct placement *placement, enum placement_obstacle obstacle, size_t at)
{
    placement->obstacle = (uint8_t)obstacle;
    placement->obstacle_at = (uint8_t)at;
}

static enum placement_obstacle obstacle_of(enum instruction_effect effect)
{
    switch (effect) {
    case EFFECT_PLAIN:
        return PLACEMENT_FREE;
    case EFFECT_MOVES_STACK:
        return PLACEMENT_MOVES_STACK;
    case EFFECT_WRITES_ARGUMENT:
        return PLACEMENT_WRITES_ARGUMENT;
    case EFFECT_USES_STACK:
        return PLACEMENT_USES_STACK;
    case EFFECT_LEAVES:
        return PLACEMENT_LEAVES;
    case EFFECT_UNKNOWN:
        break;
    }
    return PLACEMENT_NOT_PLAIN;
}

static bool is_endbr64(const struct window *window, size_t at)
{
    return window->prologue_bytes - at >= sizeof(endbr64) &&
           !memcmp(window->bytes + window->entry + at, endbr64, sizeof(endbr64));
}

/* Looks at the instruction that begins `at` bytes into the function, which is not emulated. Returns
 * its length, 0 when it may not be skipped (and says why). */
static size_t skip(struct probe_placement *chooser, const struct window *window, size_t at,
                   struct placement *placement)
{
    const uint8_t *bytes = window->bytes + window->entry + at;
    size_t left = window->prologue_bytes - at;
    uint64_t address = window->address + window->entry + at;
    if (is_endbr64(window, at)) {
        if (!at)
            copy_text(placement->instruction, "endbr64", "");
        return sizeof(endbr64);
    }
    if (!need_decoder(chooser)) {
        set_obstacle(placement, PLACEMENT_NO_DECODER, at);
        return 0;
    }
    const cs_insn *const instruction = code_decoder_next(chooser->decoder, &bytes, &left, &address);
    if (!instruction) {
        set_obstacle(placement, PLACEMENT_NOT_DECODED, at);
        return 0;
    }
    if (!at)
        copy_text(placement->instruction, instruction->mnemonic, instruction->op_str);
    const enum placement_obstacle obstacle = obstacle_of(
        plain_instruction_effect(chooser->decoder, instruction, chooser->options.keeps_arguments));
    set_obstacle(placement, obstacle, at);
    return obstacle == PLACEMENT_FREE ? instruction->size : 0;
}

/* Whether this kernel emulates long nops; matters where there is one: 0f 1f, or 66 0f 1f. */
static bool has_long_nops(const struct probe_placement *chooser, const struct window *window,
                          size_t at)
{
    const uint8_t *const bytes = window->bytes + window->entry + at;
    const size_t left = window->prologue_bytes - at;
    const size_t prefix = left > 0 && bytes[0] == 0x66;
    return left >= prefix + 2 && bytes[prefix] == 0x0f && bytes[prefix + 1] == 0x1f &&
           chooser->options.nop5_becomes_call &&
           chooser->options.nop5_becomes_call(chooser->options.context);
}

/* The first place that is emulated: its distance from the entry; -1: none. */
static int find_emulated(struct probe_placement *chooser, const struct window *window,
                         struct placement *placement)
{
    size_t at = 0;
    bool is_untouched = true; /* nothing but endbr64 so far */
    for (unsigned skipped = 0; at < window->prologue_bytes; skipped++) {
        struct emulated_instruction emulated;
        const bool is_emulated = emulated_instruction_match(
            window->bytes + window->entry + at, window->prologue_bytes - at,
            has_long_nops(chooser, window, at), &emulated);
        if (is_emulated && (!emulated.is_nop5 || is_untouched))
            return (int)at;
        if (skipped == PLACEMENT_SKIPPED_MAX)
            break;
        is_untouched = is_untouched && is_endbr64(window, at);
        const size_t length = is_emulated ? emulated.length : skip(chooser, window, at, placement);
        if (!length)
            return -1;
        at += length;
    }
    set_obstacle(placement, PLACEMENT_NONE_CHEAP, 0);
    return -1;
}

static bool is_short_jump(uint8_t opcode)
{
    return opcode == 0xeb || (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0;
}

/* Decodes from the start of a function on: does an instruction begin at `target`? In doubt it
 * does. */
static bool is_instruction(struct probe_placement *chooser, const uint8_t *bytes, size_t length,
                           uint64_t start, uint64_t target)
{
    uint64_t address = start;
    if (!need_decoder(chooser))
        return true;
    while (address < target)
        if (!code_decoder_next(chooser->decoder, &bytes, &length, &address))
            return true;
    return address == target;
}

/* The function that holds an address of the neighbourhood. */
static const struct object_function *find_holder(const struct object_file *object, uint64_t address)
{
    size_t i = object_first_at_or_above(object, address + 1);
    for (unsigned tries = 0; i > 0 && tries < HOLDER_TRIES; tries++) {
        const struct object_function *const function = &object->functions[object->by_address[--i]];
        if (address - function->address < function->size_bytes)
            return function;
    }
    return NULL;
}

/* What looks like a short jump at an address outside the function: may it be one? */
static bool neighbour_jumps(struct probe_placement *chooser, uint64_t address)
{
    const struct object_function *const holder = find_holder(chooser->object, address);
    if (!holder || address - holder->address >= NEIGHBOUR_BYTES_MAX)
        return true;
    uint64_t length = address - holder->address + INSTRUCTION_BYTES_MAX;
    if (length > holder->size_bytes)
        length = holder->size_bytes;
    _cleanup_free_ uint8_t *bytes = malloc((size_t)length);
    return !bytes ||
           elf_image_read(&chooser->object->image, holder->file_offset, bytes, (size_t)length) <
               0 ||
           is_instruction(chooser, bytes, (size_t)length, holder->address, address);
}

/* Where in (entry, place] a short jump may lead, as a distance from the entry; 0: none does. */
static size_t find_short_entry(struct probe_placement *chooser,
                               const struct object_function *function, const struct window *window,
                               size_t place)
{
    const uint64_t entry = function->address;
    for (size_t i = 0; i + 1 < window->length; i++) {
        const int64_t target = (int64_t)i + 2 + (int8_t)window->bytes[i + 1];
        const int64_t into = target - (int64_t)window->entry;
        if (into <= 0 || into > (int64_t)place || !is_short_jump(window->bytes[i]))
            continue;
        const uint64_t address = window->address + i;
        const bool is_own = address - entry < function->size_bytes;
        if (is_own ? is_instruction(chooser, window->bytes + window->entry,
                                    window->length - window->entry, entry, address)
                   : neighbour_jumps(chooser, address))
            return (size_t)into;
    }
    return 0;
}

/* Nothing but the entry leads to the place. */
static bool is_reached_once(struct probe_placement *chooser, const struct object_function *function,
                            const struct window *window, size_t place, struct placement *placement)
{
    if (!function->size_bytes) {
        set_obstacle(placement, PLACEMENT_SIZE_UNKNOWN, 0);
        return false;
    }
    if (!need_entries(chooser)) {
        set_obstacle(placement, PLACEMENT_ENTRIES_UNKNOWN, 0);
        return false;
    }
    const uint64_t entry = function->address;
    const uint64_t marked = code_entries_find(chooser->entries, entry, entry + place);
    const size_t into =
        marked ? (size_t)(marked - entry) : find_short_entry(chooser, function, window, place);
    if (into)
        set_obstacle(placement, PLACEMENT_IS_ENTERED, into);
    return !into;
}

int probe_placement_choose(struct probe_placement *chooser, const struct object_function *function,
                           struct placement *ret_placement)
{
    struct placement placement = {.obstacle = PLACEMENT_FREE};
    struct window window;
    if (!read_window(chooser->object, function, &window)) {
        set_obstacle(&placement, PLACEMENT_NOT_DECODED, 0);
        *ret_placement = placement;
        return 0;
    }
    const int found = find_emulated(chooser, &window, &placement);
    if (found == 0 ||
        (found > 0 && is_reached_once(chooser, function, &window, (size_t)found, &placement))) {
        char text[EMULATED_TEXT_BYTES];
        emulated_instruction_format(window.bytes + window.entry + found, (uint32_t)found, text);
        copy_text(placement.instruction, text, "");
        set_obstacle(&placement, PLACEMENT_FREE, 0);
        placement.offset_bytes = (uint8_t)found;
        placement.is_emulated = true;
        placement.is_cheap_at_entry = found == 0;
    }
    if (chooser->decoder_error == -ENOMEM || chooser->entries_error == -ENOMEM)
        return -ENOMEM;
    *ret_placement = placement;
    return 0;
}

void probe_placement_reason(const struct placement *placement,
                            char ret_reason[PLACEMENT_REASON_SIZE])
{
    static const char *const texts[] = {
        [PLACEMENT_FREE] = "",
        [PLACEMENT_NONE_CHEAP] = "none of the first instructions is emulated",
        [PLACEMENT_MOVES_STACK] = "the stack pointer moves at +%u",
        [PLACEMENT_WRITES_ARGUMENT] = "an argument register is written at +%u",
        [PLACEMENT_USES_STACK] = "the stack's address is used at +%u",
        [PLACEMENT_LEAVES] = "the function may be left at +%u",
        [PLACEMENT_NOT_PLAIN] = "the instruction at +%u is no plain one",
        [PLACEMENT_NOT_DECODED] = "the bytes at +%u do not decode",
        [PLACEMENT_IS_ENTERED] = "something leads to +%u",
        [PLACEMENT_ENTRIES_UNKNOWN] = "jumps into the function cannot be ruled out",
        [PLACEMENT_SIZE_UNKNOWN] = "the symbol does not say its size",
        [PLACEMENT_NO_DECODER] = "libcapstone4 is not installed",
    };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(ret_reason, PLACEMENT_REASON_SIZE, texts[placement->obstacle],
             (unsigned)placement->obstacle_at);
#pragma GCC diagnostic pop
}
