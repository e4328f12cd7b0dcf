/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/calibration_code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "probe/emulated_instruction.h"

#define PAGE_BYTES  4096
#define SLOT_BYTES  64 /* a cache line each */
#define TWIN_OFFSET (PAGE_BYTES / 2)
#define TRAP        0xcc
#define PUSH        0x50
#define PUSH_MASK   0xf8
#define REX_B       0x41 /* before the push of one of r8 .. r15 */

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u /* since 6.3; see memfd_create(2) */
#endif

/* Hand-assembled: first instruction, mark, whatever undoes the first, return. */
struct function_bytes {
    enum calibration_place place;
    uint8_t bytes[16];
    uint8_t mark, exit;
};

static const struct function_bytes functions_bytes[] = {
    {CALIBRATION_PUSH, {0x55, 0x90, 0x5d, 0xc3}, 1, 3},             /* push %rbp */
    {CALIBRATION_PUSH, {0x41, 0x54, 0x90, 0x41, 0x5c, 0xc3}, 2, 5}, /* push %r12 */
    {CALIBRATION_NOP, {0x90, 0x90, 0xc3}, 1, 2},                    /* nop */
    {CALIBRATION_NOP, {0xeb, 0x00, 0x90, 0xc3}, 2, 3},              /* jmp . + 2 */
    {CALIBRATION_NOP5,                                              /* nopl 0(%rax,%rax) */
     {0x0f, 0x1f, 0x44, 0x00, 0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3},
     5,
     10},
    {CALIBRATION_STEPPED, {0x48, 0x89, 0xf8, 0x90, 0xc3}, 3, 4},       /* mov %rdi, %rax */
    {CALIBRATION_STEPPED, {0xf3, 0x0f, 0x1e, 0xfa, 0x90, 0xc3}, 4, 5}, /* endbr64 */
    {CALIBRATION_STEPPED,                                              /* sub $8, %rsp */
     {0x48, 0x83, 0xec, 0x08, 0x90, 0x48, 0x83, 0xc4, 0x08, 0xc3},
     4,
     9},
    {CALIBRATION_MARK, {0x90, 0x90, 0xc3}, 1, 2},
    {CALIBRATION_MARK_NOP5,
     {0x0f, 0x1f, 0x44, 0x00, 0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3},
     5,
     10},
};

#define FUNCTIONS (sizeof(functions_bytes) / sizeof(functions_bytes[0]))

_Static_assert(FUNCTIONS *SLOT_BYTES <= TWIN_OFFSET, "all fit on half a page");

const char *calibration_place_name(enum calibration_place place)
{
    static const char *const names[CALIBRATION_PLACES] = {
        [CALIBRATION_PUSH] = "push", [CALIBRATION_NOP] = "nop",
        [CALIBRATION_NOP5] = "nop5", [CALIBRATION_STEPPED] = "stepped",
        [CALIBRATION_MARK] = "mark", [CALIBRATION_MARK_NOP5] = "mark-nop5",
    };
    return place < CALIBRATION_PLACES ? names[place] : "?";
}

enum calibration_place calibration_place_of(const uint8_t *code, size_t bytes)
{
    struct emulated_instruction instruction;
    if (bytes == 0)
        return CALIBRATION_NOP;
    if (!emulated_instruction_match(code, bytes, true, &instruction))
        return CALIBRATION_STEPPED;
    if (instruction.is_nop5)
        return CALIBRATION_NOP5;
    return code[0] == REX_B || (code[0] & PUSH_MASK) == PUSH ? CALIBRATION_PUSH : CALIBRATION_NOP;
}

/* A memory file that may be executed, also where the system's default is that it may not. */
static int create_file(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("loris-calibration", flags | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* before 6.3 all may */
        fd = memfd_create("loris-calibration", flags);
    return fd < 0 ? -errno : fd;
}

static int write_pages(int fd)
{
    uint8_t page[PAGE_BYTES];
    memset(page, TRAP, sizeof(page));
    for (size_t i = 0; i < FUNCTIONS; i++) {
        size_t bytes = functions_bytes[i].exit + 1u;
        memcpy(page + i * SLOT_BYTES, functions_bytes[i].bytes, bytes);
        memcpy(page + TWIN_OFFSET + i * SLOT_BYTES, functions_bytes[i].bytes, bytes);
    }
    for (unsigned copy = 0; copy < CALIBRATION_COPIES; copy++) {
        ssize_t written = pwrite(fd, page, sizeof(page), (off_t)copy * PAGE_BYTES);
        if (written != (ssize_t)sizeof(page))
            return written < 0 ? -errno : -EIO;
    }
    /* Nobody who gets hold of it can make it other code. */
    return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) ? -errno
                                                                                            : 0;
}

int calibration_code_init(struct calibration_code *ret_code, struct diag *reterr_diag)
{
    _cleanup_close_ int fd = create_file();
    if (fd < 0)
        return diag_set(reterr_diag, -fd, "cannot create a file in memory: %s", strerror(-fd));
    int error = write_pages(fd);
    if (error)
        return diag_set(reterr_diag, -error, "cannot write a file in memory: %s", strerror(-error));
    void *pages =
        mmap(NULL, CALIBRATION_COPIES * PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (pages == MAP_FAILED)
        return diag_set(reterr_diag, errno, "code in memory is not allowed here: %s",
                        strerror(errno));
    snprintf(ret_code->path, sizeof(ret_code->path), "/proc/self/fd/%d", fd);
    ret_code->pages = pages;
    ret_code->fd = take_fd(&fd);
    return 0;
}

void calibration_code_done(struct calibration_code *code)
{
    if (code->pages)
        munmap(code->pages, CALIBRATION_COPIES * PAGE_BYTES);
    code->pages = NULL;
    close_fd(&code->fd);
}

size_t calibration_code_functions(const struct calibration_code *code, unsigned copy,
                                  enum calibration_place place,
                                  struct calibration_function functions[CALIBRATION_FUNCTIONS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < FUNCTIONS && count < CALIBRATION_FUNCTIONS_MAX; i++) {
        if (functions_bytes[i].place != place)
            continue;
        uint64_t entry = copy * PAGE_BYTES + i * SLOT_BYTES;
        functions[count++] = (struct calibration_function){
            .entry = entry,
            .mark = entry + functions_bytes[i].mark,
            .exit = entry + functions_bytes[i].exit,
            .probed = (void (*)(void))(code->pages + entry),
            .bare = (void (*)(void))(code->pages + TWIN_OFFSET + entry),
        };
    }
    return count;
}
