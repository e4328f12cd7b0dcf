/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Static marks (SystemTap's SDT): notes of <sys/sdt.h>,
 * https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation */
#include <errno.h>
#include <string.h>

#include "probe/object_internal.h"

#define MARKS_MAX            65536
#define MARK_NOTES_BYTES_MAX (32u << 20)
#define NT_STAPSDT           3

/* What a prelinker moved since the assembler wrote the note. */
static uint64_t moved_by(const Elf64_Shdr *base_section, uint64_t base)
{
    return base && base_section ? base_section->sh_addr - base : 0;
}

static bool decode(const struct object_file *object, const Elf64_Shdr *base_section,
                   const struct elf_note *note, struct object_mark *ret_mark)
{
    uint64_t addresses[3]; /* of the nop, of the base, of the semaphore */
    if (note->type != NT_STAPSDT || strcmp(note->name, "stapsdt") != 0 ||
        note->description_bytes < sizeof(addresses))
        return false;
    memcpy(addresses, note->description, sizeof(addresses));
    const char *const provider = note->description + sizeof(addresses);
    size_t left = note->description_bytes - sizeof(addresses);
    const char *const provider_end = memchr(provider, '\0', left);
    if (!provider_end)
        return false;
    left -= (size_t)(provider_end + 1 - provider);
    if (!left || !memchr(provider_end + 1, '\0', left))
        return false;

    const uint64_t moved = moved_by(base_section, addresses[1]);
    struct object_mark mark = {.provider = provider, .name = provider_end + 1};
    if (elf_image_file_offset(&object->image, addresses[0] + moved, PF_X, &mark.file_offset) < 0)
        return false;
    /* A mark whose semaphore cannot be raised would stay silent: better not offered. */
    if (addresses[2] && elf_image_file_offset(&object->image, addresses[2] + moved, PF_W,
                                              &mark.semaphore_offset) < 0)
        return false;
    *ret_mark = mark;
    return true;
}

static int compare_marks(const void *left, const void *right)
{
    const struct object_mark *const a = left, *const b = right;
    int order = strcmp(a->provider, b->provider);
    if (!order)
        order = strcmp(a->name, b->name);
    if (!order && a->file_offset != b->file_offset)
        order = a->file_offset < b->file_offset ? -1 : 1;
    return order;
}

int object_marks_load(struct object_file *object)
{
    const Elf64_Shdr *const section = elf_image_find_section(&object->image, ".note.stapsdt");
    if (!section)
        return 0;
    size_t length;
    int r = elf_image_read_section(&object->image, section, MARK_NOTES_BYTES_MAX,
                                   &object->mark_notes, &length);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    const Elf64_Shdr *const base = elf_image_find_section(&object->image, ".stapsdt.base");
    struct elf_note note;
    size_t count = 0;
    for (size_t offset = 0; elf_note_next(object->mark_notes, length, &offset, &note);)
        count++;
    if (count > MARKS_MAX)
        count = MARKS_MAX;
    if (!count)
        return 0;
    object->marks = calloc(count, sizeof(*object->marks));
    if (!object->marks)
        return -ENOMEM;
    for (size_t offset = 0;
         object->mark_count < count && elf_note_next(object->mark_notes, length, &offset, &note);)
        if (decode(object, base, &note, &object->marks[object->mark_count]))
            object->mark_count++;
    if (object->mark_count)
        qsort(object->marks, object->mark_count, sizeof(*object->marks), compare_marks);
    return 0;
}
