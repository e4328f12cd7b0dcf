/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/code_entries.h"

#include <errno.h>
#include <string.h>

#include "probe/code_entries_internal.h"

#define BLOCK_BYTES      65536
#define REACH_BYTES      8 /* of the longest form that is looked at, less its first byte */
#define CODE_BYTES_MAX   (1ull << 30)
#define MODRM_RIP        0x05 /* mod 00, rm 101, whatever the register */
#define MODRM_RIP_MASK   0xc7
#define OPCODE_LEA       0x8d
#define OPCODE_XBEGIN    0xc7 /* followed by f8 */
#define TABLE_CHUNK      256
#define TABLE_WORDS_MAX  (64u << 20) /* over all tables: a hostile file has nothing but tables */
#define TABLE_WORDS_EACH 4096

static bool has_bit(const uint8_t *bits, uint64_t index)
{
    return bits[index / 8] >> (index % 8) & 1;
}

static void set_bit(uint8_t *bits, uint64_t index)
{
    bits[index / 8] = (uint8_t)(bits[index / 8] | 1u << (index % 8));
}

static const struct code_piece *find_piece(const struct code_entries *entries, uint64_t address)
{
    for (size_t i = 0; i < entries->piece_count; i++)
        if (address - entries->pieces[i].address < entries->pieces[i].bytes)
            return &entries->pieces[i];
    return NULL;
}

bool code_entries_mark(struct code_entries *entries, uint64_t address)
{
    const struct code_piece *const piece = find_piece(entries, address);
    if (!piece || !piece->marks)
        return false;
    set_bit(piece->marks, address - piece->address);
    return true;
}

static void mark_base(struct code_entries *entries, uint64_t address)
{
    const struct code_piece *const piece = find_piece(entries, address);
    if (piece && address % 4 == 0)
        set_bit(piece->bases, (address - piece->address) / 4);
    if (piece && piece->marks)
        set_bit(piece->marks, address - piece->address);
}

static uint64_t relative_target(uint64_t next, const uint8_t *distance)
{
    int32_t value;
    memcpy(&value, distance, sizeof(value));
    return next + (uint64_t)(int64_t)value;
}

/* The forms that carry an address relative to what follows them. bytes: REACH_BYTES more than
 * counted are there. */
static void scan_code(struct code_entries *entries, const struct code_piece *home,
                      const uint8_t *bytes, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t first = bytes[i], second = bytes[i + 1];
        uint64_t target;
        if ((first & 0xfe) == 0xe8)
            target = relative_target(address + i + 5, bytes + i + 1);
        else if (first == 0x0f && (second & 0xf0) == 0x80)
            target = relative_target(address + i + 6, bytes + i + 2);
        else if (first == OPCODE_XBEGIN && second == 0xf8)
            target = relative_target(address + i + 6, bytes + i + 2);
        else if (first == OPCODE_LEA && (second & MODRM_RIP_MASK) == MODRM_RIP) {
            mark_base(entries, relative_target(address + i + 6, bytes + i + 2));
            continue;
        } else
            continue;
        if (target - home->address < home->bytes)
            set_bit(home->marks, target - home->address);
        else
            (void)!code_entries_mark(entries, target);
    }
}

/* At fixed addresses a constant in the code may be one. */
static void scan_constants(struct code_entries *entries, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        memcpy(&value, bytes + i, sizeof(value));
        if ((uint64_t)value - entries->low < entries->span)
            mark_base(entries, value);
    }
}

/* Pointers, and at fixed addresses the half-words of tables of them. */
static void scan_words(struct code_entries *entries, const uint8_t *bytes, size_t count,
                       uint64_t address)
{
    const bool is_fixed = entries->object->image.header.e_type == ET_EXEC;
    for (size_t i = (size_t)(-address & 3); i < count; i += 4) {
        uint64_t value;
        uint32_t half;
        memcpy(&value, bytes + i, sizeof(value));
        memcpy(&half, bytes + i, sizeof(half));
        if ((address + i) % 8 == 0 && value - entries->low < entries->span)
            (void)!code_entries_mark(entries, value);
        else if (is_fixed && half - entries->low < entries->span)
            (void)!code_entries_mark(entries, half);
    }
}

static int scan_piece(struct code_entries *entries, const struct code_piece *piece, uint8_t *block)
{
    const bool is_fixed = entries->object->image.header.e_type == ET_EXEC;
    for (uint64_t done = 0; done < piece->bytes; done += BLOCK_BYTES) {
        const uint64_t left = piece->bytes - done;
        const size_t count = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        const size_t got =
            left < BLOCK_BYTES + REACH_BYTES ? (size_t)left : BLOCK_BYTES + REACH_BYTES;
        memset(block + got, 0, BLOCK_BYTES + REACH_BYTES - got);
        int r = elf_image_read(&entries->object->image, piece->file_offset + done, block, got);
        if (r < 0)
            return r;
        if (piece->marks)
            scan_code(entries, piece, block, count, piece->address + done);
        if (piece->marks && is_fixed)
            scan_constants(entries, block, count);
        if (is_fixed || entries->has_packed_relocations)
            scan_words(entries, block, count, piece->address + done);
    }
    return 0;
}

/* Follows one possible table for as long as its distances lead to code. */
static int follow_table(struct code_entries *entries, uint64_t base)
{
    int32_t distances[TABLE_CHUNK];
    const struct code_piece *const piece = find_piece(entries, base);
    uint64_t room = piece ? (piece->address + piece->bytes - base) / sizeof(*distances) : 0;
    if (room > TABLE_WORDS_EACH)
        room = TABLE_WORDS_EACH;
    for (uint64_t at = 0; at < room; at += TABLE_CHUNK) {
        const size_t count = room - at < TABLE_CHUNK ? (size_t)(room - at) : TABLE_CHUNK;
        if (elf_image_read(&entries->object->image,
                           piece->file_offset + (base - piece->address) + at * sizeof(*distances),
                           distances, count * sizeof(*distances)) < 0)
            return -EOPNOTSUPP;
        for (size_t i = 0; i < count; i++) {
            if (entries->table_words++ == TABLE_WORDS_MAX)
                return -EOPNOTSUPP;
            if (!code_entries_mark(entries, base + (uint64_t)(int64_t)distances[i]))
                return 0;
        }
    }
    return 0;
}

/* Most addresses that code takes are of strings and variables, whose first word tells. */
static int follow_tables(struct code_entries *entries, const struct code_piece *piece,
                         uint8_t *block)
{
    for (uint64_t done = 0; done < piece->bytes; done += BLOCK_BYTES) {
        const uint64_t left = piece->bytes - done;
        const size_t got = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        bool is_read = false;
        for (size_t at = 0; at + 4 <= got; at += 4) {
            const uint64_t index = (done + at) / 4;
            if (index % 8 == 0 && !piece->bases[index / 8]) {
                at += 7 * 4;
                continue;
            }
            if (!has_bit(piece->bases, index))
                continue;
            int r = is_read ? 0
                            : elf_image_read(&entries->object->image, piece->file_offset + done,
                                             block, got);
            is_read = true;
            const uint64_t base = piece->address + done + at;
            const struct code_piece *const code =
                r < 0 ? NULL : find_piece(entries, relative_target(base, block + at));
            if (r >= 0 && code && code->marks)
                r = follow_table(entries, base);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int add_piece(struct code_entries *entries, const Elf64_Phdr *segment)
{
    const struct elf_image *const image = &entries->object->image;
    if (segment->p_type != PT_LOAD || !segment->p_filesz)
        return 0;
    if (segment->p_offset > image->file_bytes ||
        segment->p_filesz > image->file_bytes - segment->p_offset ||
        segment->p_vaddr + segment->p_filesz < segment->p_vaddr || segment->p_vaddr % 4 ||
        segment->p_filesz > CODE_BYTES_MAX - entries->total_bytes)
        return -EOPNOTSUPP;
    entries->total_bytes += segment->p_filesz;
    struct code_piece piece = {
        .address = segment->p_vaddr, .bytes = segment->p_filesz, .file_offset = segment->p_offset};
    piece.bases = calloc(piece.bytes / 32 + 1, 1);
    if (segment->p_flags & PF_X)
        piece.marks = calloc(piece.bytes / 8 + 1, 1);
    entries->pieces[entries->piece_count++] = piece;
    if (!piece.bases || ((segment->p_flags & PF_X) && !piece.marks))
        return -ENOMEM;
    if (entries->piece_count == 1 || piece.address < entries->low)
        entries->low = piece.address;
    if (piece.address + piece.bytes > entries->high)
        entries->high = piece.address + piece.bytes;
    return 0;
}

static int scan_all(struct code_entries *entries)
{
    const struct elf_image *const image = &entries->object->image;
    _cleanup_free_ uint8_t *block = malloc(BLOCK_BYTES + REACH_BYTES);
    int r = block ? 0 : -ENOMEM;
    if (!r && !image->section_count)
        r = -EOPNOTSUPP;
    for (size_t i = 0; r >= 0 && i < image->segment_count; i++)
        r = add_piece(entries, &image->segments[i]);
    entries->span = entries->high - entries->low;
    if (r >= 0)
        r = code_entries_mark_listed(entries);
    for (size_t i = 0; r >= 0 && i < entries->piece_count; i++)
        r = scan_piece(entries, &entries->pieces[i], block);
    for (size_t i = 0; r >= 0 && i < entries->piece_count; i++)
        r = follow_tables(entries, &entries->pieces[i], block);
    return r;
}

int code_entries_new(const struct object_file *object, struct code_entries **ret_entries)
{
    _cleanup_(code_entries_free_cleanup) struct code_entries *entries = calloc(1, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    entries->object = object;
    int r = scan_all(entries);
    if (r < 0)
        return r == -ENOMEM ? r : -EOPNOTSUPP;
    for (size_t i = 0; i < entries->piece_count; i++) {
        free(entries->pieces[i].bases);
        entries->pieces[i].bases = NULL;
    }
    *ret_entries = take_ptr(entries);
    return 0;
}

void code_entries_free(struct code_entries *entries)
{
    if (!entries)
        return;
    for (size_t i = 0; i < entries->piece_count; i++) {
        free(entries->pieces[i].marks);
        free(entries->pieces[i].bases);
    }
    free(entries);
}

uint64_t code_entries_find(const struct code_entries *entries, uint64_t first, uint64_t last)
{
    const struct code_piece *const piece = find_piece(entries, first);
    if (!piece || !piece->marks || last < first || last - piece->address >= piece->bytes)
        return first + 1;
    for (uint64_t at = first + 1; at <= last; at++)
        if (has_bit(piece->marks, at - piece->address))
            return at;
    return 0;
}
