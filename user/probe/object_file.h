/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Executables and libraries on disk: finding the file, its functions and its static marks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

#define OBJECT_FUNCTIONS_MAX 2000000

struct object_function {
    const char *name;     /* symbol as in the table, version suffix cut; owned by the object */
    uint64_t file_offset; /* where a uprobe goes */
    uint64_t address;     /* ELF virtual address */
    uint64_t size_bytes;  /* 0 when the symbol does not say */
    bool is_ifunc;        /* a resolver (STT_GNU_IFUNC): measuring it measures nothing useful */
};

struct object_mark { /* an SDT note (.note.stapsdt) */
    const char *provider;
    const char *name;
    uint64_t file_offset;
    uint64_t semaphore_offset; /* file offset of the semaphore, 0 without one */
};

struct object_file;

/*
 * Finds the file of an OBJECT: a path (with a slash; relative to the working directory), or a
 * soname as ld.so would find it for a program of this machine (ld.so.cache, then the default
 * directories), or a bare command name, searched in PATH when no library has that name.
 * root: "" or "/proc/N/root", put before absolute results. ret_path: PATH_MAX bytes, resolved.
 * -ENOENT with the nearest sonames as a hint.
 */
int object_file_resolve(const char *object, const char *root, char *ret_path,
                        struct diag *reterr_diag) _must_check_;

/*
 * Reads an ELF file. Hostile input: sizes are checked against the file, counts bounded; a broken
 * file is -EINVAL, a foreign architecture -ENOEXEC, not a regular file -EACCES, each with a diag.
 * Functions come from .symtab and .dynsym (deduplicated by name and address, sorted by name);
 * a file without .symtab also tries its separate debug file by build-id and .gnu_debuglink
 * below /usr/lib/debug. Duplicate names at different addresses all stay.
 */
int object_file_open(const char *path, struct object_file **ret_object,
                     struct diag *reterr_diag) _must_check_;
void object_file_free(struct object_file *object);
DEFINE_CLEANUP(struct object_file *, object_file_free);

const char *object_file_path(const struct object_file *object);
/* Identity for "was the file replaced": device and inode at open. */
void object_file_inode(const struct object_file *object, dev_t *ret_device, ino_t *ret_inode);
size_t object_file_functions(const struct object_file *object,
                             const struct object_function **ret_functions);
size_t object_file_marks(const struct object_file *object, const struct object_mark **ret_marks);
bool object_file_is_stripped(const struct object_file *object); /* no .symtab anywhere */
bool object_file_is_go(const struct object_file *object);
/* True when C++ (or another language's) exceptions may be thrown through this object's frames: it
 * is or needs libstdc++/libc++/libgcc_s's unwinder or imports __cxa_throw, _Unwind_*,
 * __gxx_personality_*, or defines them. A return probe would end such a program. */
bool object_file_unwinds(const struct object_file *object);

/*
 * Functions of the object that a NAME pattern means, clones included: a symbol matches when it,
 * or it without a compiler suffix (.constprop.N .isra.N .part.N .cold .lto_priv.N), or its
 * demangled name (when the pattern has "::", "(" or no symbol matched) matches the pattern.
 * `.cold` parts are never probed by themselves and are left out. Calls back once per address;
 * base_name is the name without compiler suffix, under which clones are one probe; it is valid
 * during the callback only. Called in the order of addresses.
 * Returns the number of matches.
 */
typedef void (*object_function_fn)(const struct object_function *function, const char *base_name,
                                   void *context);
size_t object_file_match(const struct object_file *object, const char *pattern,
                         object_function_fn on_function, void *context);

/* Up to max names nearest to a misspelt one, nearest first; fills a hint such as
 * "nearest names: foo, bar". */
void object_file_suggest(const struct object_file *object, const char *name, struct diag *diag);

/* Says why a name or pattern that object_file_match knows nothing of cannot be watched: misspelt,
 * stripped, inlined away (DWARF is looked at, in bounded work). Always -ENOENT. */
int object_file_not_found(const struct object_file *object, const char *name,
                          struct diag *reterr_diag);

/*
 * The distinct executable files that a process has mapped. path opens the file now: the path
 * itself where this mount namespace has the same file there, else below /proc/N/root, and
 * /proc/N/map_files/... for deleted and replaced files. seen_path: as the process has it.
 * -ESRCH: no such process; -EACCES: its mappings may not be read.
 */
typedef void (*object_path_fn)(const char *path, const char *seen_path, void *context);
int object_files_of_pid(int32_t pid, object_path_fn on_object, void *context,
                        struct diag *reterr_diag) _must_check_;
