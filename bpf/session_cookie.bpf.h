/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The eight bytes that the kernel keeps for an open call of a session: when it began, and for how
 * many calls it stands. */
#pragma once

#include "vmlinux.h"

/*
 * weight << 52 | start_ns, the latter cut to 52 bits: it comes round after 52 days, and no call is
 * told to be older. Zero is no cookie, as the weight is at least one.
 */
#define SESSION_START_BITS 52
#define SESSION_START_MASK ((1ull << SESSION_START_BITS) - 1)
/* Clocks of two CPUs may disagree by so much: an age that is negative by less is zero. */
#define SESSION_SKEW_NS (1ull << 20)

static __always_inline u64 session_cookie_of(u32 weight, u64 now_ns)
{
    return (u64)weight << SESSION_START_BITS | (now_ns & SESSION_START_MASK);
}

static __always_inline u32 session_cookie_weight(u64 cookie)
{
    return cookie >> SESSION_START_BITS;
}

static __always_inline u64 session_cookie_age_ns(u64 cookie, u64 now_ns)
{
    u64 age_ns = (now_ns - cookie) & SESSION_START_MASK;
    return age_ns > SESSION_START_MASK - SESSION_SKEW_NS ? 0 : age_ns;
}
