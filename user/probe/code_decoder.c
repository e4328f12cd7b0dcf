/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/code_decoder.h"

#include <dlfcn.h>
#include <errno.h>

/* capstone's relocations cost 3 MiB of memory that most agents never need. */
#define LIBRARY "libcapstone.so.4"

struct code_decoder {
    csh handle;
    cs_insn *instruction;
    __typeof__(cs_open) *open;
    __typeof__(cs_close) *close;
    __typeof__(cs_option) *option;
    __typeof__(cs_malloc) *allocate;
    __typeof__(cs_free) *release;
    __typeof__(cs_disasm_iter) *next;
    __typeof__(cs_insn_group) *in_group;
    __typeof__(cs_regs_access) *registers;
};

/* ISO C knows no conversion from an object pointer to a function's: POSIX promises this one. */
static bool find_symbol(void *library, const char *name, void *ret_function)
{
    void *symbol = dlsym(library, name);
    *(void **)ret_function = symbol;
    return symbol;
}

static int load(struct code_decoder *decoder)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return -ENOENT;
    bool complete = find_symbol(library, "cs_open", &decoder->open) &&
                    find_symbol(library, "cs_close", &decoder->close) &&
                    find_symbol(library, "cs_option", &decoder->option) &&
                    find_symbol(library, "cs_malloc", &decoder->allocate) &&
                    find_symbol(library, "cs_free", &decoder->release) &&
                    find_symbol(library, "cs_disasm_iter", &decoder->next) &&
                    find_symbol(library, "cs_insn_group", &decoder->in_group) &&
                    find_symbol(library, "cs_regs_access", &decoder->registers);
    dlclose(library);
    return complete ? 0 : -ENOENT;
}

/* capstone 4 does not check what it allocates when it is opened (a few KiB): ask first. */
static bool can_open(void)
{
    enum { DECODER_BYTES = 32768 };
    void *const room = malloc(DECODER_BYTES);
    /* Keeps the compiler from dropping the pair. */
    __asm__ volatile("" : : "r"(room) : "memory");
    free(room);
    return room;
}

int code_decoder_new(struct code_decoder **ret_decoder)
{
    _cleanup_(code_decoder_free_cleanup) struct code_decoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return -ENOMEM;
    int error = load(decoder);
    if (error)
        return error;
    if (!can_open() || decoder->open(CS_ARCH_X86, CS_MODE_64, &decoder->handle) != CS_ERR_OK ||
        decoder->option(decoder->handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK)
        return -ENOMEM;
    decoder->instruction = decoder->allocate(decoder->handle);
    if (!decoder->instruction)
        return -ENOMEM;
    *ret_decoder = take_ptr(decoder);
    return 0;
}

void code_decoder_free(struct code_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->instruction)
        decoder->release(decoder->instruction, 1);
    if (decoder->handle)
        decoder->close(&decoder->handle);
    free(decoder);
}

const cs_insn *code_decoder_next(struct code_decoder *decoder, const uint8_t **bytes, size_t *left,
                                 uint64_t *address)
{
    return decoder->next(decoder->handle, bytes, left, address, decoder->instruction)
               ? decoder->instruction
               : NULL;
}

bool code_decoder_in_group(const struct code_decoder *decoder, const cs_insn *instruction,
                           unsigned group)
{
    return decoder->in_group(decoder->handle, instruction, group);
}

bool code_decoder_written(const struct code_decoder *decoder, const cs_insn *instruction,
                          cs_regs written, uint8_t *ret_count)
{
    cs_regs read;
    uint8_t read_count;
    return decoder->registers(decoder->handle, instruction, read, &read_count, written,
                              ret_count) == CS_ERR_OK;
}
