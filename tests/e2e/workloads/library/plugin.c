/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library that a test replaces on disk; the second version's function lies elsewhere. */
#ifdef PLUGIN_SECOND
__attribute__((noipa, aligned(4096))) long plugin_added(long value)
{
    __asm__ volatile("" : "+r"(value));
    return value * 3;
}
#endif

__attribute__((noipa)) long plugin_work(long value)
{
    __asm__ volatile("" : "+r"(value));
    return value + 1;
}
