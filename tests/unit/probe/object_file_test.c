/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "elf_fixture.h"
#include "probe/function_exits.h"
#include "probe/object_file.h"

static const uint8_t just_return[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xc3, 0x90, 0x90, 0x90};

#define CODE(at) (FIXTURE_CODE_ADDRESS + (at))

/* Functions, clones, aliases, a mark with a semaphore, a needed library: one of everything. */
static void build_rich(struct elf_fixture *elf)
{
    fixture_begin(elf);
    fixture_symbol(elf, "exported", STT_FUNC, CODE(0), 8);
    fixture_symbol(elf, "__cxa_throw", STT_FUNC, 0, 0);
    fixture_symbol_table(elf, SHT_DYNSYM);
    const Elf64_Dyn dynamic[] = {{.d_tag = DT_NEEDED, .d_un.d_val = 1}, {.d_tag = DT_NULL}};
    fixture_section(elf, ".dynamic", (Elf64_Shdr){.sh_type = SHT_DYNAMIC, .sh_link = 1}, dynamic,
                    sizeof(dynamic));
    for (unsigned i = 0; i < 10; i++)
        memcpy(elf->bytes + FIXTURE_CODE_OFFSET + 8 * i, just_return, 8);
    fixture_symbol(elf, "exported@@VERSION_1", STT_FUNC, CODE(0), 8);
    fixture_symbol(elf, "alias_of_exported", STT_FUNC, CODE(0), 8);
    fixture_symbol(elf, "work", STT_FUNC, CODE(8), 8);
    fixture_symbol(elf, "work.constprop.0", STT_FUNC, CODE(16), 8);
    fixture_symbol(elf, "work.isra.0.cold", STT_FUNC, CODE(24), 8);
    fixture_symbol(elf, "chooses", STT_GNU_IFUNC, CODE(32), 8);
    fixture_symbol(elf, "_ZN3foo3barEi", STT_FUNC, CODE(40), 8);
    fixture_symbol(elf, "twice", STT_FUNC, CODE(48), 8);
    fixture_symbol(elf, "twice", STT_FUNC, CODE(56), 8);
    fixture_symbol(elf, "a_variable", STT_OBJECT, CODE(64), 8);
    fixture_symbol(elf, "in_data", STT_FUNC, FIXTURE_DATA_ADDRESS, 8);
    fixture_symbol(elf, "elsewhere", STT_FUNC, 0x10, 8);
    fixture_symbol_table(elf, SHT_SYMTAB);

    uint8_t notes[256];
    struct {
        uint64_t addresses[3];
        char names[24];
    } mark = {{CODE(8 + 5), 0x9000, FIXTURE_DATA_ADDRESS + 0x10}, "shop\0sell__start\0"};
    size_t length = fixture_note(notes, "stapsdt", 3, &mark, sizeof(mark));
    mark.addresses[0] = CODE(8 + 6) - 0x100; /* moved by 0x100 since */
    mark.addresses[1] = 0x9000 - 0x100;
    mark.addresses[2] = 0;
    memcpy(mark.names, "shop\0sell__done\0\0", 17);
    length += fixture_note(notes + length, "stapsdt", 3, &mark, sizeof(mark));
    fixture_section(elf, ".note.stapsdt", (Elf64_Shdr){.sh_type = SHT_NOTE}, notes, length);
    fixture_section(elf, ".stapsdt.base", (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_addr = 0x9000},
                    "", 1);
    length = fixture_note(notes, "GNU", NT_GNU_BUILD_ID, "0123456789abcdefghij", 20);
    fixture_section(elf, ".note.gnu.build-id", (Elf64_Shdr){.sh_type = SHT_NOTE}, notes, length);
}

static struct object_file *open_fixture(struct elf_fixture *elf)
{
    struct object_file *object = NULL;
    struct diag diag = {0};
    if (object_file_open(fixture_end(elf), &object, &diag) < 0)
        fail_msg("%s", diag.what);
    return object;
}

struct found {
    size_t count;
    uint64_t addresses[8];
    char bases[8][32];
    char names[8][32];
};

static void on_found(const struct object_function *function, const char *base_name, void *context)
{
    struct found *const found = context;
    if (found->count < 8) {
        found->addresses[found->count] = function->address;
        snprintf(found->bases[found->count], 32, "%s", base_name);
        snprintf(found->names[found->count], 32, "%s", function->name);
    }
    found->count++;
}

static struct found match(const struct object_file *object, const char *pattern)
{
    struct found found = {0};
    const size_t count = object_file_match(object, pattern, on_found, &found);
    assert_int_equal(count, found.count);
    return found;
}

static void reads_functions_sorted_without_versions_and_duplicates(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    static const char *const expected[] = {
        "_ZN3foo3barEi", "alias_of_exported", "chooses",         "exported", "twice", "twice",
        "work",          "work.constprop.0",  "work.isra.0.cold"};
    const struct object_function *functions;
    assert_int_equal(object_file_functions(object, &functions), 9);
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(functions[i].name, expected[i]);
        assert_int_equal(functions[i].file_offset,
                         functions[i].address - FIXTURE_CODE_ADDRESS + FIXTURE_CODE_OFFSET);
        assert_int_equal(functions[i].is_ifunc, i == 2);
    }
    assert_false(object_file_is_stripped(object));
    assert_false(object_file_is_go(object));
    assert_true(object_file_unwinds(object));
    object_file_free(object);
    fixture_done(&elf);
}

static void matches_clones_under_their_base_name(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    struct found found = match(object, "work");
    assert_int_equal(found.count, 2);
    assert_int_equal(found.addresses[0], CODE(8));
    assert_int_equal(found.addresses[1], CODE(16));
    assert_string_equal(found.bases[0], "work");
    assert_string_equal(found.bases[1], "work");
    assert_string_equal(found.names[1], "work.constprop.0");
    assert_int_equal(match(object, "w*k").count, 2);
    assert_int_equal(match(object, "work.isra.0.cold").count, 0);
    assert_int_equal(match(object, "twice").count, 2);
    object_file_free(object);
    fixture_done(&elf);
}

static void matches_each_address_once_preferring_the_name_given(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    struct found found = match(object, "*exported");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.names[0], "exported");
    found = match(object, "alias_of_exported");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.names[0], "alias_of_exported");
    object_file_free(object);
    fixture_done(&elf);
}

static void matches_demangled_names(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    static const char *const hits[] = {"foo::bar", "foo::bar(int)", "foo::*", "foo::bar(*)",
                                       "*::bar",   "f?o::b[ab]r",   "foo::b*"};
    for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++)
        assert_int_equal(match(object, hits[i]).count, 1);
    assert_int_equal(match(object, "foo::bar(long)").count, 0);
    assert_int_equal(match(object, "foo::baz").count, 0);
    assert_int_equal(match(object, "bar").count, 0);
    object_file_free(object);
    fixture_done(&elf);
}

static void reads_marks_with_semaphores_and_undoes_prelinking(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    const struct object_mark *marks;
    assert_int_equal(object_file_marks(object, &marks), 2);
    assert_string_equal(marks[0].provider, "shop");
    assert_string_equal(marks[0].name, "sell__done");
    assert_int_equal(marks[0].file_offset, FIXTURE_CODE_OFFSET + 8 + 6);
    assert_int_equal(marks[0].semaphore_offset, 0);
    assert_string_equal(marks[1].name, "sell__start");
    assert_int_equal(marks[1].file_offset, FIXTURE_CODE_OFFSET + 8 + 5);
    assert_int_equal(marks[1].semaphore_offset, FIXTURE_DATA_OFFSET + 0x10);
    object_file_free(object);
    fixture_done(&elf);
}

static void tells_stripped_and_go_objects(void **state)
{
    (void)state;
    struct elf_fixture elf;
    fixture_begin(&elf);
    fixture_function(&elf, "exported", 0, just_return, sizeof(just_return));
    fixture_symbol_table(&elf, SHT_DYNSYM);
    fixture_section(&elf, ".go.buildinfo", (Elf64_Shdr){.sh_type = SHT_PROGBITS}, "x", 1);
    struct object_file *object = open_fixture(&elf);
    assert_true(object_file_is_stripped(object));
    assert_true(object_file_is_go(object));
    assert_false(object_file_unwinds(object));
    struct diag diag = {0};
    assert_int_equal(object_file_not_found(object, "exportde", &diag), -ENOENT);
    assert_non_null(strstr(diag.what, "is stripped (no .symtab): only its 1 exported functions"));
    assert_non_null(strstr(diag.hint, "nearest names: exported"));
    assert_non_null(strstr(diag.hint, "-dbgsym"));
    object_file_free(object);
    fixture_done(&elf);
}

static void names_the_nearest_functions(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    struct object_file *object = open_fixture(&elf);
    struct diag diag = {0};
    assert_int_equal(object_file_not_found(object, "exprted", &diag), -ENOENT);
    assert_non_null(strstr(diag.what, "no function 'exprted' in /proc/self/fd/"));
    assert_string_equal(diag.hint, "nearest names: exported");
    assert_int_equal(object_file_not_found(object, "foo::bra", &diag), -ENOENT);
    assert_string_equal(diag.hint, "nearest names: foo::bar");
    assert_int_equal(object_file_not_found(object, "zzz*", &diag), -ENOENT);
    assert_non_null(strstr(diag.what, "no function matches 'zzz*'"));
    assert_string_equal(diag.hint, "");
    object_file_free(object);
    fixture_done(&elf);
}

static void refuse(const char *path, int error, const char *words)
{
    struct object_file *object = NULL;
    struct diag diag = {0};
    assert_int_equal(object_file_open(path, &object, &diag), -error);
    assert_null(object);
    if (!strstr(diag.what, words))
        fail_msg("'%s' lacks '%s'", diag.what, words);
}

static void refuses_what_is_not_a_program_and_never_blocks(void **state)
{
    (void)state;
    char folder[] = "/tmp/loris-object-XXXXXX", fifo[64];
    assert_non_null(mkdtemp(folder));
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuse(fifo, EACCES, "is not a regular file");
    refuse(folder, EACCES, "is a directory");
    unlink(fifo);
    refuse(fifo, ENOENT, "No such file");
    rmdir(folder);
    refuse("/dev/null", EACCES, "is not a regular file");

    struct elf_fixture elf;
    build_rich(&elf);
    fixture_end(&elf);
    refuse(fixture_write(&elf, 0), EINVAL, "is empty");
    refuse(fixture_write(&elf, 40), EINVAL, "is truncated");
    elf.bytes[EI_CLASS] = ELFCLASS32;
    refuse(fixture_write(&elf, elf.length), ENOEXEC, "not for this architecture");
    elf.bytes[EI_CLASS] = ELFCLASS64;
    elf.bytes[18] = EM_AARCH64;
    refuse(fixture_write(&elf, elf.length), ENOEXEC, "not for this architecture");
    memcpy(elf.bytes, "#!/bin/bash -e\n", 15);
    refuse(fixture_write(&elf, elf.length), EINVAL, "is a script");
    fixture_done(&elf);
}

static void refuses_tables_that_point_outside_the_file(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which++) {
        struct elf_fixture elf;
        build_rich(&elf);
        Elf64_Shdr *const symtab = &elf.sections[5], *const strtab = &elf.sections[4];
        assert_int_equal(symtab->sh_type, SHT_SYMTAB);
        if (which == 0)
            symtab->sh_offset = UINT64_MAX - 8;
        else if (which == 1)
            symtab->sh_size = 1ull << 60;
        else if (which == 2)
            symtab->sh_link = 1000;
        else if (which == 3)
            symtab->sh_entsize = 1;
        else if (which == 4)
            strtab->sh_size = 1ull << 40;
        else
            strtab->sh_type = SHT_NOBITS;
        refuse(fixture_end(&elf), EINVAL, "is broken");
        fixture_done(&elf);
    }
}

static void ignore_function(const struct object_function *function, const char *base_name,
                            void *context)
{
    (void)function;
    *(size_t *)context += strlen(base_name);
}

static size_t try_exits(const struct object_file *object)
{
    const struct object_function *functions;
    size_t used = 0;
    for (size_t i = object_file_functions(object, &functions); i-- > 0;) {
        struct function_exits exits;
        struct diag diag;
        used += (size_t)function_exits_find(object, &functions[i], &exits, &diag);
    }
    return used;
}

/* Whatever opens is used in full. */
static void try_everything(const char *path, bool with_exits)
{
    struct object_file *object = NULL;
    struct diag diag = {0};
    int r = object_file_open(path, &object, &diag);
    if (r < 0) {
        assert_null(object);
        assert_true(diag.what[0] != '\0');
        return;
    }
    const struct object_function *functions;
    const struct object_mark *marks;
    size_t used = 0;
    for (size_t i = object_file_functions(object, &functions); i-- > 0;)
        used += strlen(functions[i].name);
    if (with_exits)
        used += try_exits(object);
    for (size_t i = object_file_marks(object, &marks); i-- > 0;)
        used += strlen(marks[i].provider) + strlen(marks[i].name);
    object_file_match(object, "*", ignore_function, &used);
    object_file_match(object, "foo::*(int)", ignore_function, &used);
    used += (size_t)object_file_not_found(object, "wrok", &diag);
    object_file_free(object);
}

static void survives_every_flipped_byte(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0xff, 0x01, 0x80};
    struct elf_fixture elf;
    build_rich(&elf);
    fixture_end(&elf);
    for (size_t i = 0; i < elf.length; i++)
        for (size_t flip = 0; flip < sizeof(flips); flip++) {
            const uint8_t changed = elf.bytes[i] ^ flips[flip];
            assert_int_equal(pwrite(elf.fd, &changed, 1, (off_t)i), 1);
            try_everything(elf.path, true);
            assert_int_equal(pwrite(elf.fd, &elf.bytes[i], 1, (off_t)i), 1);
        }
    fixture_done(&elf);
}

static void survives_truncation_at_every_length(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    fixture_end(&elf);
    for (size_t length = 0; length < elf.length; length++)
        try_everything(fixture_write(&elf, length), true);
    fixture_done(&elf);
}

static void open_and_use(void *path)
{
    try_everything(path, false); /* capstone does not check what it allocates */
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct elf_fixture elf;
    build_rich(&elf);
    fixture_end(&elf);
    assert_in_range(failing_alloc_each(open_and_use, elf.path), 10, 5000);
    fixture_done(&elf);
}

/* Many names that end in one long string: a table of a few KiB must not mean gigabytes of names. */
static void refuses_names_out_of_proportion_to_their_table(void **state)
{
    (void)state;
    enum { NAME_BYTES = 16000, SYMBOLS = 4096, HEAD = 0x1000 };
    const size_t symbols_at = HEAD + NAME_BYTES + 8;
    const size_t sections_at = symbols_at + SYMBOLS * sizeof(Elf64_Sym);
    struct elf_fixture elf;
    fixture_begin(&elf);
    fixture_write(&elf, HEAD);
    char *name = malloc(NAME_BYTES);
    memset(name, 'a', NAME_BYTES);
    name[NAME_BYTES - 1] = '\0';
    assert_int_equal(pwrite(elf.fd, name, NAME_BYTES, HEAD), NAME_BYTES);
    free(name);
    for (size_t i = 0; i < SYMBOLS; i++) {
        const Elf64_Sym symbol = {.st_name = 1 + (uint32_t)(i % 8),
                                  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                  .st_shndx = 1,
                                  .st_value = CODE(i % 512)};
        assert_int_equal(
            pwrite(elf.fd, &symbol, sizeof(symbol), (off_t)(symbols_at + i * sizeof(symbol))),
            sizeof(symbol));
    }
    const Elf64_Shdr sections[3] = {
        {0},
        {.sh_type = SHT_STRTAB, .sh_offset = HEAD, .sh_size = NAME_BYTES},
        {.sh_type = SHT_SYMTAB,
         .sh_offset = symbols_at,
         .sh_size = SYMBOLS * sizeof(Elf64_Sym),
         .sh_link = 1,
         .sh_entsize = sizeof(Elf64_Sym)}};
    assert_int_equal(pwrite(elf.fd, sections, sizeof(sections), (off_t)sections_at),
                     sizeof(sections));
    Elf64_Ehdr header;
    memcpy(&header, elf.bytes, sizeof(header));
    header.e_shoff = sections_at;
    header.e_shnum = 3;
    assert_int_equal(pwrite(elf.fd, &header, sizeof(header), 0), sizeof(header));
    refuse(elf.path, EINVAL, "is broken");
    fixture_done(&elf);
}

static void opens_the_running_program(void **state)
{
    (void)state;
    struct object_file *object = NULL;
    struct diag diag = {0};
    assert_int_equal(object_file_open("/proc/self/exe", &object, &diag), 0);
    assert_false(object_file_is_stripped(object));
    struct found found = match(object, "opens_the_running_program");
    assert_int_equal(found.count, 1);
    const struct object_function *functions;
    const size_t count = object_file_functions(object, &functions);
    /* The bytes at the file offset are the code that runs here. */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(functions[i].name, "opens_the_running_program") != 0)
            continue;
        uint8_t code[16];
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, code, sizeof(code), (off_t)functions[i].file_offset), 16);
        close(fd);
        assert_memory_equal(code, (const void *)(uintptr_t)opens_the_running_program, 16);
    }
    dev_t device;
    ino_t inode;
    struct stat status;
    object_file_inode(object, &device, &inode);
    assert_int_equal(stat("/proc/self/exe", &status), 0);
    assert_int_equal(device, status.st_dev);
    assert_int_equal(inode, status.st_ino);
    object_file_free(object);
}

static inline __attribute__((always_inline)) unsigned inlined_away(unsigned value)
{
    return value * 2654435761u ^ value >> 7;
}

static void explains_functions_that_were_inlined_away(void **state)
{
    (void)state;
    volatile unsigned result = inlined_away((unsigned)getpid());
    result = inlined_away(result + 1);
    struct object_file *object = NULL;
    struct diag diag = {0};
    assert_int_equal(object_file_open("/proc/self/exe", &object, &diag), 0);
    assert_int_equal(object_file_not_found(object, "inlined_away", &diag), -ENOENT);
    object_file_free(object);
    if (!strstr(diag.what, "'inlined_away' was inlined by the compiler in "))
        skip(); /* this build has no debug information */
    assert_non_null(strstr(diag.what, "it has no address to probe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_functions_sorted_without_versions_and_duplicates),
        cmocka_unit_test(matches_clones_under_their_base_name),
        cmocka_unit_test(matches_each_address_once_preferring_the_name_given),
        cmocka_unit_test(matches_demangled_names),
        cmocka_unit_test(reads_marks_with_semaphores_and_undoes_prelinking),
        cmocka_unit_test(tells_stripped_and_go_objects),
        cmocka_unit_test(names_the_nearest_functions),
        cmocka_unit_test(refuses_what_is_not_a_program_and_never_blocks),
        cmocka_unit_test(refuses_tables_that_point_outside_the_file),
        cmocka_unit_test(survives_every_flipped_byte),
        cmocka_unit_test(survives_truncation_at_every_length),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(refuses_names_out_of_proportion_to_their_table),
        cmocka_unit_test(opens_the_running_program),
        cmocka_unit_test(explains_functions_that_were_inlined_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
