/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/object_file.h"

#include <errno.h>
#include <string.h>

#include "probe/object_internal.h"

#define DYNAMIC_BYTES_MAX (1u << 20)
#define STRINGS_BYTES_MAX (64u << 20)
#define NOTES_BYTES_MAX   (1u << 20)

/* Libraries through whose frames C++, Rust, ... unwind: whoever needs one may be unwound. */
static bool is_unwinder(const char *soname)
{
    static const char *const names[] = {"libstdc++.so", "libc++.so", "libc++abi.so", "libgcc_s.so",
                                        "libunwind.so"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strncmp(soname, names[i], strlen(names[i])))
            return true;
    return false;
}

static bool needs_unwinder(const struct elf_image *image)
{
    for (size_t i = 1; i < image->section_count; i++) {
        const Elf64_Shdr *const section = &image->sections[i];
        if (section->sh_type != SHT_DYNAMIC || section->sh_link >= image->section_count)
            continue;
        _cleanup_free_ char *entries = NULL, *strings = NULL;
        size_t entries_bytes, strings_bytes;
        if (elf_image_read_section(image, section, DYNAMIC_BYTES_MAX, &entries, &entries_bytes) <
                0 ||
            elf_image_read_section(image, &image->sections[section->sh_link], STRINGS_BYTES_MAX,
                                   &strings, &strings_bytes) < 0)
            continue;
        for (size_t at = 0; entries_bytes - at >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn)) {
            Elf64_Dyn entry;
            memcpy(&entry, entries + at, sizeof(entry));
            if ((entry.d_tag == DT_NEEDED || entry.d_tag == DT_SONAME) &&
                entry.d_un.d_val < strings_bytes && is_unwinder(strings + entry.d_un.d_val))
                return true;
        }
    }
    return false;
}

/* A static program without symbols cannot say whether it throws; frames with handlers can. */
static bool is_static_with_handlers(const struct object_file *object)
{
    return !object->has_symtab && !elf_image_find_section(&object->image, ".dynsym") &&
           elf_image_find_section(&object->image, ".gcc_except_table");
}

static bool has_go_note(const struct elf_image *image)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *const segment = &image->segments[i];
        if (segment->p_type != PT_NOTE || segment->p_filesz > NOTES_BYTES_MAX)
            continue;
        const size_t length = (size_t)segment->p_filesz;
        _cleanup_free_ char *notes = malloc(length + 1);
        if (!notes || elf_image_read(image, segment->p_offset, notes, length) < 0)
            continue;
        struct elf_note note;
        for (size_t offset = 0; elf_note_next(notes, length, &offset, &note);)
            if (!strcmp(note.name, "Go"))
                return true;
    }
    return false;
}

static bool looks_like_go(const struct elf_image *image)
{
    static const char *const sections[] = {".go.buildinfo", ".gopclntab", ".note.go.buildid",
                                           ".data.rel.ro.gopclntab"};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        if (elf_image_find_section(image, sections[i]))
            return true;
    return has_go_note(image);
}

static int load_symbols(struct object_file *object)
{
    int r = object_symbols_load(object, &object->image, SHT_SYMTAB);
    if (r < 0)
        return r;
    object->has_symtab = r > 0;
    r = object_symbols_load(object, &object->image, SHT_DYNSYM);
    if (r < 0 || object->has_symtab)
        return r;

    _cleanup_(elf_image_done) struct elf_image debug = {.fd = -1};
    if (object_debug_open(object, &debug, &object->debug_path) < 0)
        return 0;
    r = object_symbols_load(object, &debug, SHT_SYMTAB);
    if (r == -ENOMEM)
        return r;
    /* A broken debug file costs its names, not the object's. */
    object->has_symtab = r > 0;
    return 0;
}

int object_file_open(const char *path, struct object_file **ret_object, struct diag *reterr_diag)
{
    _cleanup_(object_file_free_cleanup) struct object_file *object = calloc(1, sizeof(*object));
    if (!object)
        return diag_set(reterr_diag, ENOMEM, "no memory to read %s", path);
    object->image.fd = -1;
    object->path = strdup(path);
    if (!object->path)
        return diag_set(reterr_diag, ENOMEM, "no memory to read %s", path);
    int r = elf_image_open(path, &object->image, reterr_diag);
    if (r < 0)
        return r;
    r = load_symbols(object);
    if (r >= 0)
        r = object_symbols_finish(object);
    if (r >= 0)
        r = object_marks_load(object);
    if (r == -ENOMEM)
        return diag_set(reterr_diag, ENOMEM, "no memory for the symbols of %s", path);
    if (r == -E2BIG)
        return diag_set(reterr_diag, EINVAL, "%s has more symbols than loris reads (%d functions)",
                        path, OBJECT_FUNCTIONS_MAX);
    if (r < 0)
        return diag_set(reterr_diag, EINVAL, "%s is broken: its symbol tables do not fit the file",
                        path);
    object->is_go = looks_like_go(&object->image);
    object->unwinds =
        object->unwinds || needs_unwinder(&object->image) || is_static_with_handlers(object);
    *ret_object = take_ptr(object);
    return 0;
}

void object_file_free(struct object_file *object)
{
    if (!object)
        return;
    elf_image_done(&object->image);
    for (size_t i = 0; i < object->string_table_count; i++)
        free(object->string_tables[i]);
    free(object->functions);
    free(object->by_address);
    free(object->marks);
    free(object->mark_notes);
    free(object->debug_path);
    free(object->path);
    free(object);
}

const char *object_file_path(const struct object_file *object)
{
    return object->path;
}

void object_file_inode(const struct object_file *object, dev_t *ret_device, ino_t *ret_inode)
{
    *ret_device = object->image.device;
    *ret_inode = object->image.inode;
}

size_t object_file_functions(const struct object_file *object,
                             const struct object_function **ret_functions)
{
    *ret_functions = object->functions;
    return object->function_count;
}

size_t object_file_marks(const struct object_file *object, const struct object_mark **ret_marks)
{
    *ret_marks = object->marks;
    return object->mark_count;
}

bool object_file_is_stripped(const struct object_file *object)
{
    return !object->has_symtab;
}

bool object_file_is_go(const struct object_file *object)
{
    return object->is_go;
}

bool object_file_unwinds(const struct object_file *object)
{
    return object->unwinds;
}
