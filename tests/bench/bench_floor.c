/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaches one kind of empty program until its stdin ends:
 *
 *   bench_floor session|session_skip|session_clock|multi|perf PATH OFFSET...
 *   bench_floor syscall|syscall_clock
 *
 * Prints `attached NS` and, at the end, `detached NS`: how long each took.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/ownership.h"
#include "probe/bpf_link.h"
#include "probe/kernel_side.h"

#include "floor.skel.h"

#define PLACES_MAX 4096
#define LINKS_MAX  (2 * PLACES_MAX)

enum floor_link {
    FLOOR_SESSION,
    FLOOR_MULTI,
    FLOOR_PERF,
    FLOOR_SYSCALL,
};

static const struct floor_kind {
    const char *name;
    const char *program;
    enum floor_link link;
    int attach_type; /* 0: what its section says */
} kinds[] = {
    {"session", "on_session", FLOOR_SESSION, KERNEL_ATTACH_UPROBE_SESSION},
    {"session_skip", "on_session_skip", FLOOR_SESSION, KERNEL_ATTACH_UPROBE_SESSION},
    {"session_clock", "on_session_clock", FLOOR_SESSION, KERNEL_ATTACH_UPROBE_SESSION},
    {"multi", "on_pair", FLOOR_MULTI, KERNEL_ATTACH_UPROBE_MULTI},
    {"perf", "on_pair", FLOOR_PERF, 0},
    {"syscall", "on_syscall", FLOOR_SYSCALL, 0},
    {"syscall_clock", "on_syscall_clock", FLOOR_SYSCALL, 0},
};

struct floor {
    const struct floor_kind *kind;
    const char *path;
    uint64_t offsets[PLACES_MAX];
    uint32_t places;
    int program_fd;
    int links[LINKS_MAX];
    uint32_t links_count;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Only the wanted program is loaded, so that what this kernel lacks costs the others nothing. */
static int floor_load(struct floor *self, struct bpf_object *object)
{
    struct bpf_program *program;
    bpf_object__for_each_program(program, object)
    {
        int wanted = strcmp(bpf_program__name(program), self->kind->program) == 0;
        int error = bpf_program__set_autoload(program, wanted);
        if (!error && wanted && self->kind->attach_type)
            error = bpf_program__set_expected_attach_type(
                program, (enum bpf_attach_type)self->kind->attach_type);
        if (error)
            return error;
    }
    int error = bpf_object__load(object);
    if (error)
        return error;
    program = bpf_object__find_program_by_name(object, self->kind->program);
    self->program_fd = bpf_program__fd(program);
    return 0;
}

static int floor_keep(struct floor *self, int link_fd)
{
    if (link_fd >= 0)
        self->links[self->links_count++] = link_fd;
    return link_fd < 0 ? link_fd : 0;
}

static int floor_attach_multi(struct floor *self)
{
    const struct bpf_link_uprobes places = {
        .path = self->path, .offsets = self->offsets, .count = self->places};
    if (self->kind->link == FLOOR_SESSION)
        return floor_keep(self,
                          bpf_link_uprobe_multi(self->program_fd, &places, BPF_LINK_EDGE_SESSION));
    int error =
        floor_keep(self, bpf_link_uprobe_multi(self->program_fd, &places, BPF_LINK_EDGE_ENTRY));
    return error ? error
                 : floor_keep(self, bpf_link_uprobe_multi(self->program_fd, &places,
                                                          BPF_LINK_EDGE_RETURN));
}

static int floor_attach(struct floor *self)
{
    int error = 0;
    if (self->kind->link == FLOOR_SYSCALL) {
        error = floor_keep(self, bpf_link_raw_tracepoint(self->program_fd, "sys_enter"));
        return error ? error
                     : floor_keep(self, bpf_link_raw_tracepoint(self->program_fd, "sys_exit"));
    }
    if (self->kind->link != FLOOR_PERF)
        return floor_attach_multi(self);
    for (uint32_t i = 0; i < 2 * self->places && !error; i++)
        error = floor_keep(self, bpf_link_perf_uprobe(self->program_fd, self->path,
                                                      self->offsets[i / 2], 0, 0, i % 2));
    return error;
}

static int parse_arguments(int argc, char **argv, struct floor *ret_floor)
{
    for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            ret_floor->kind = &kinds[i];
    if (!ret_floor->kind)
        return -EINVAL;
    if (ret_floor->kind->link == FLOOR_SYSCALL)
        return argc == 2 ? 0 : -EINVAL;
    if (argc < 4 || argc - 3 > PLACES_MAX)
        return -EINVAL;
    ret_floor->path = argv[2];
    for (int i = 3; i < argc; i++) {
        char *end = NULL;
        ret_floor->offsets[ret_floor->places++] = strtoull(argv[i], &end, 0);
        if (*end || end == argv[i])
            return -EINVAL;
    }
    return 0;
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(-error));
    return 1;
}

static int silent(enum libbpf_print_level level, const char *format, va_list values)
{
    (void)level;
    (void)format;
    (void)values;
    return 0;
}

int main(int argc, char **argv)
{
    static struct floor self; /* too large for the stack */
    int error = parse_arguments(argc, argv, &self);
    if (error) {
        fprintf(stderr, "usage: bench_floor KIND [PATH OFFSET...]\n");
        return 2;
    }
    libbpf_set_print(silent);
    struct floor_bpf *skeleton = floor_bpf__open();
    if (!skeleton)
        return fail("open", -errno);
    error = floor_load(&self, skeleton->obj);
    if (error)
        return fail("this kernel refuses the program", error);
    uint64_t begin_ns = clock_ns();
    error = floor_attach(&self);
    if (error)
        return fail("attach", error);
    printf("attached %" PRIu64 "\n", clock_ns() - begin_ns);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    begin_ns = clock_ns();
    for (uint32_t i = 0; i < self.links_count; i++)
        close(self.links[i]);
    printf("detached %" PRIu64 "\n", clock_ns() - begin_ns);
    floor_bpf__destroy(skeleton);
    return 0;
}
