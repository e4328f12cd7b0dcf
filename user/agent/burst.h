/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes that are attached for part of the time: how long, how often, and how much it says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Each burst stands for the time since the one before. The gaps are drawn at random, so that no
 * rhythm of the program can hide in them or fill them.
 *
 * A program that has no time to spare makes fewer calls while a probe costs it some: what a burst
 * sees is not what goes on in the gap. So bursts come in two arms, in random order, whose calls
 * cost c0 and c1, and the time between calls, the inverse of their rate, is taken as linear in the
 * cost: y = a + k c. A program that waits for something else has k = 0; one that does nothing but
 * call has k = 1. At no cost its calls are a apart, and that is what a gap is filled with. Where
 * both arms cost the same there is nothing to tell the two programs apart, and all that may have
 * been missed is in doubt.
 *
 * Older bursts are forgotten exponentially, so that about BURST_MEMORY of an arm count, and all at
 * once when the load is another: arms of different loads are not to be compared.
 */
#define BURST_MEMORY 8
#define BURST_ARMS   2

struct burst_arm {
    double cost_ns; /* of a call */
    double weight;  /* of the bursts so far */
    double mean;    /* of their rates, calls a second */
    double square;  /* of their deviations */
};

/* Zero but for the costs at first. */
struct burst {
    struct burst_arm arms[BURST_ARMS];
    unsigned arm;          /* of the burst that goes on, or went on last */
    uint64_t on_since_ns;  /* of the burst that goes on; 0: none does */
    uint64_t off_since_ns; /* when the last one ended; 0: there was none */
    double length_ns;      /* that a burst really has, smoothed; 0: not known yet */
};

/* Lengths for one of 2^duty_log2 of the time, when `units` share the agent. random: any 64 bits. */
uint64_t burst_on_ns(uint8_t duty_log2, uint32_t units);
uint64_t burst_off_ns(uint8_t duty_log2, uint32_t units, uint64_t random);

/* It is attached from now on, for about planned_ns, in this arm. Returns what each of its calls
 * stands for, itself included: at most BURST_STRETCH_MAX. */
#define BURST_STRETCH_MAX (1u << 19) /* times LORIS_WEIGHT_MAX is below 2^32 */
uint32_t burst_begin(struct burst *burst, uint64_t now_ns, uint64_t planned_ns, unsigned arm);
/* It is detached from now on, after so many calls. Returns how long it was attached. */
uint64_t burst_end(struct burst *burst, uint64_t now_ns, uint64_t calls);

/* How far what a burst of this arm stands for may be off, as a share of it: by chance, which evens
 * out (a standard deviation), and by what is not known of the program, which does not (95 %). */
struct burst_error {
    double chance;
    double doubt;
    bool compared; /* the arms are; without that nothing is known of the program, and doubt is 0 */
    /* What a burst whose arms were not compared yet may have missed beside, by what is known now.
     */
    double missed;
};
struct burst_error burst_error(const struct burst *burst);
