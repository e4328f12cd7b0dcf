/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every workload shares: key=value options and one JSON line about what was truly done. */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A function the compiler must call as written: not inlined, cloned or found to be pure. */
#ifdef __clang__
#define PROBED __attribute__((noinline, optnone, used))
#else
#define PROBED __attribute__((noipa, used))
#endif

/*
 * Hides a value from the optimiser and makes the function save a register first: a push at the
 * entry is emulated by the kernel, stepping over a mov makes a probe ten times dearer.
 */
#ifdef __x86_64__
#define touch(value) __asm__ volatile("" : "+r"(value) : : "rbx")
#else
#define touch(value) __asm__ volatile("" : "+r"(value))
#endif

#define NS_PER_S 1000000000ULL

static int truth_argc;
static char **truth_argv;

static inline void truth_begin(int argc, char **argv)
{
    truth_argc = argc;
    truth_argv = argv;
}

/* The value of name=VALUE on the command line, or otherwise. */
static inline const char *option_text(const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (int i = 1; i < truth_argc; i++)
        if (strncmp(truth_argv[i], name, length) == 0 && truth_argv[i][length] == '=')
            return truth_argv[i] + length + 1;
    return otherwise;
}

static inline long option_number(const char *name, long otherwise)
{
    const char *text = option_text(name, NULL);
    if (!text)
        return otherwise;
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end) {
        fprintf(stderr, "%s: %s=%s is not a number\n", truth_argv[0], name, text);
        exit(2);
    }
    return value;
}

static inline uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* With pause=1 the workload says `ready` on stdout and goes on when its stdin says so or ends. */
static inline void truth_pause(const char *state)
{
    if (!option_number("pause", 0))
        return;
    char line[32]; /* no allocation, which may be what is counted */
    int length = snprintf(line, sizeof(line), "%s\n", state);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        exit(1);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        ;
}

/* Writes the one line of truth to truth=FILE, else to stderr. */
__attribute__((format(printf, 1, 2))) static inline void truth_tell(const char *format, ...)
{
    const char *path = option_text("truth", NULL);
    FILE *out = path ? fopen(path, "we") : stderr;
    if (!out) {
        fprintf(stderr, "%s: %s: %s\n", truth_argv[0], path, strerror(errno));
        exit(1);
    }
    va_list values;
    va_start(values, format);
    vfprintf(out, format, values);
    va_end(values);
    fputc('\n', out);
    if (path)
        fclose(out);
}

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", truth_argv ? truth_argv[0] : "workload", what, strerror(errno));
    exit(1);
}
