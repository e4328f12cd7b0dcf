/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions of an object, out of its symbol tables. */
#include <errno.h>
#include <string.h>

#include "probe/object_internal.h"

#define SYMBOLS_MAX       (32u << 20)
#define STRINGS_BYTES_MAX (256u << 20)
#define NAME_BYTES_MAX    16384 /* longer names are left out: nobody can type them */
#define SYMBOLS_AT_ONCE   2048

/* Many symbols that share the tail of one huge name would make sorting take forever: all names
 * together may be this much longer than the table that holds them. */
#define NAMES_PER_TABLE_BYTE 16
#define NAMES_EXTRA_BYTES    (16u << 20)

struct symbol_table {
    const struct elf_image *image;
    const Elf64_Shdr *section;
    char *strings; /* owned by the object */
    size_t strings_bytes;
    uint64_t names_left; /* bytes of names that may still come */
};

static bool tells_of_unwinding(const char *name)
{
    return !strncmp(name, "_Unwind_", 8) || !strncmp(name, "__gxx_personality_", 18) ||
           !strcmp(name, "__cxa_throw");
}

static int add_function(struct object_file *object, struct object_function function)
{
    if (object->function_count == object->function_capacity) {
        if (object->function_capacity >= OBJECT_FUNCTIONS_MAX)
            return -E2BIG;
        size_t capacity = object->function_capacity ? object->function_capacity * 2 : 256;
        if (capacity > OBJECT_FUNCTIONS_MAX)
            capacity = OBJECT_FUNCTIONS_MAX;
        struct object_function *functions =
            reallocarray(object->functions, capacity, sizeof(*functions));
        if (!functions)
            return -ENOMEM;
        object->functions = functions;
        object->function_capacity = capacity;
    }
    object->functions[object->function_count++] = function;
    return 0;
}

static int add_symbol(struct object_file *object, struct symbol_table *table,
                      const Elf64_Sym *symbol)
{
    if (!symbol->st_name || symbol->st_name >= table->strings_bytes)
        return 0;
    char *const name = table->strings + symbol->st_name;
    /* Local names say nothing: libc carries a hidden _Unwind_Resume that only forwards. */
    if (ELF64_ST_BIND(symbol->st_info) != STB_LOCAL && *name == '_' && tells_of_unwinding(name))
        object->unwinds = true;

    const unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol->st_shndx == SHN_UNDEF)
        return 0;
    uint64_t file_offset;
    if (elf_image_file_offset(&object->image, symbol->st_value, PF_X, &file_offset) < 0)
        return 0;
    const size_t length = strnlen(name, NAME_BYTES_MAX);
    if (length == NAME_BYTES_MAX)
        return 0;
    if (length > table->names_left)
        return -EINVAL;
    table->names_left -= length;
    char *const version = memchr(name, '@', length);
    if (version == name)
        return 0;
    if (version)
        *version = '\0';
    return add_function(object, (struct object_function){.name = name,
                                                         .file_offset = file_offset,
                                                         .address = symbol->st_value,
                                                         .size_bytes = symbol->st_size,
                                                         .is_ifunc = type == STT_GNU_IFUNC});
}

/* Takes the strings over even when it fails: functions already point into them. */
static int open_table(struct object_file *object, struct symbol_table *table)
{
    const struct elf_image *const image = table->image;
    const Elf64_Shdr *const section = table->section;
    if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_link >= image->section_count ||
        image->sections[section->sh_link].sh_type != SHT_STRTAB ||
        section->sh_offset > image->file_bytes ||
        section->sh_size > image->file_bytes - section->sh_offset)
        return -EINVAL;
    if (section->sh_size / sizeof(Elf64_Sym) > SYMBOLS_MAX)
        return -E2BIG;
    int r = elf_image_read_section(image, &image->sections[section->sh_link], STRINGS_BYTES_MAX,
                                   &table->strings, &table->strings_bytes);
    if (r < 0)
        return r == -ENOENT ? -EINVAL : r;
    object->string_tables[object->string_table_count++] = table->strings;
    table->names_left = (uint64_t)table->strings_bytes * NAMES_PER_TABLE_BYTE + NAMES_EXTRA_BYTES;
    return 0;
}

int object_symbols_load(struct object_file *object, const struct elf_image *symbols, uint32_t type)
{
    struct symbol_table table = {.image = symbols};
    for (size_t i = 1; i < symbols->section_count && !table.section; i++)
        if (symbols->sections[i].sh_type == type)
            table.section = &symbols->sections[i];
    if (!table.section || object->string_table_count == OBJECT_STRING_TABLES_MAX)
        return 0;
    int r = open_table(object, &table);
    if (r < 0)
        return r;

    _cleanup_free_ Elf64_Sym *block = calloc(SYMBOLS_AT_ONCE, sizeof(*block));
    if (!block)
        return -ENOMEM;
    const uint64_t count = table.section->sh_size / sizeof(Elf64_Sym);
    for (uint64_t done = 0; done < count;) {
        const size_t now =
            count - done < SYMBOLS_AT_ONCE ? (size_t)(count - done) : SYMBOLS_AT_ONCE;
        r = elf_image_read(symbols, table.section->sh_offset + done * sizeof(Elf64_Sym), block,
                           now * sizeof(Elf64_Sym));
        for (size_t i = 0; r >= 0 && i < now; i++)
            r = add_symbol(object, &table, &block[i]);
        if (r < 0)
            return r;
        done += now;
    }
    return 1;
}

static int compare_names(const void *left, const void *right)
{
    const struct object_function *const a = left, *const b = right;
    if (a->name != b->name) {
        const int order = strcmp(a->name, b->name);
        if (order)
            return order;
    }
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    /* The better-informed of two equals first: it stays. */
    if (a->size_bytes != b->size_bytes)
        return a->size_bytes > b->size_bytes ? -1 : 1;
    return 0;
}

static int compare_addresses(const void *left, const void *right, void *context)
{
    const struct object_function *const functions = context;
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (functions[a].address != functions[b].address)
        return functions[a].address < functions[b].address ? -1 : 1;
    return a < b ? -1 : a > b;
}

int object_symbols_finish(struct object_file *object)
{
    struct object_function *functions = object->functions;
    if (!object->function_count)
        return 0;
    qsort(functions, object->function_count, sizeof(*functions), compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < object->function_count; i++)
        if (functions[i].address != functions[kept - 1].address ||
            strcmp(functions[i].name, functions[kept - 1].name) != 0)
            functions[kept++] = functions[i];
    object->function_count = kept;
    functions = reallocarray(functions, kept, sizeof(*functions));
    if (functions) {
        object->functions = functions;
        object->function_capacity = kept;
    }

    object->by_address = calloc(kept, sizeof(*object->by_address));
    if (!object->by_address)
        return -ENOMEM;
    for (size_t i = 0; i < kept; i++)
        object->by_address[i] = (uint32_t)i;
    qsort_r(object->by_address, kept, sizeof(*object->by_address), compare_addresses,
            object->functions);
    return 0;
}

size_t object_first_at_or_above(const struct object_file *object, uint64_t address)
{
    size_t low = 0, high = object->function_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (object->functions[object->by_address[middle]].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
