/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C++ allocations whose every number is known: n of each form of new and delete, and failures. */
#include <cstddef>
#include <new>

extern "C" {
#include "truth.h"
}

static void *volatile sink;
static volatile std::size_t hidden;

template <typename T> static T *keep(T *block)
{
    sink = block;
    return static_cast<T *>(sink);
}

static std::size_t size_of(std::size_t size)
{
    hidden = size;
    return hidden;
}

struct alignas(64) Line {
    char bytes[64];
};

static const std::size_t too_much = std::size_t{1} << 46;

/* Each form once: 8 + 40 + 64 + 128 + 16 + 24 bytes. */
static void one_of_each()
{
    delete keep(new long);
    delete[] keep(new char[size_of(40)]);
    delete keep(new Line);
    delete[] keep(new Line[2]);
    ::operator delete(keep(::operator new(size_of(16), std::nothrow)), std::nothrow);
    ::operator delete[](keep(::operator new[](size_of(24), std::nothrow)), std::nothrow);
}

static void allocate_deeper(long depth)
{
    char frame[256];
    sink = frame;
    if (depth > 0)
        allocate_deeper(depth - 1);
    else
        delete keep(new long);
}

/* An exception leaves new; what comes after it, nearer to the end of the stack, counts as well. */
static void fail_and_go_on()
{
    try {
        keep(::operator new(size_of(too_much)));
        die("new of more than there is");
    } catch (const std::bad_alloc &) {
        sink = nullptr;
    }
    allocate_deeper(20);
    if (keep(::operator new(size_of(too_much), std::nothrow)))
        die("nothrow new of more than there is");
}

int main(int argc, char **argv)
{
    truth_begin(argc, argv);
    long n = option_number("n", 100);
    long leaks = option_number("leaks", 0);
    truth_pause("ready");
    for (long i = 0; i < n; i++)
        one_of_each();
    for (long i = 0; i < option_number("failures", 0); i++)
        fail_and_go_on();
    for (long i = 0; i < leaks; i++)
        keep(new char[size_of(1000)]);
    truth_pause("done");
    truth_tell("{\"n\": %ld}", n);
    return 0;
}
