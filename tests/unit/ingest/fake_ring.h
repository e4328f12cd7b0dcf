/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A BPF ring buffer in a memfd, and its producer. Where the kernel maps the bytes twice, every byte
 * is written twice, so that a record that crosses the end can be read in one piece as there.
 */
#pragma once

#include <assert.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake_ring {
    int fd;
    uint32_t size_bytes;
    uint64_t page_bytes;
    unsigned char *memory; /* consumer page, producer page, bytes, bytes again */
};

static inline uint64_t *fake_ring_consumed(const struct fake_ring *ring)
{
    return (uint64_t *)(void *)ring->memory;
}

static inline uint64_t *fake_ring_produced(const struct fake_ring *ring)
{
    return (uint64_t *)(void *)(ring->memory + ring->page_bytes);
}

static inline uint64_t fake_ring_file_bytes(const struct fake_ring *ring)
{
    return 2 * ring->page_bytes + 2 * (uint64_t)ring->size_bytes;
}

static inline void fake_ring_init(struct fake_ring *ring, uint32_t size_bytes)
{
    ring->size_bytes = size_bytes;
    ring->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    ring->fd = memfd_create("ring", MFD_CLOEXEC);
    assert(ring->fd >= 0);
    int status = ftruncate(ring->fd, (off_t)fake_ring_file_bytes(ring));
    assert(status == 0);
    (void)status;
    void *memory =
        mmap(NULL, fake_ring_file_bytes(ring), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    assert(memory != MAP_FAILED);
    ring->memory = memory;
}

static inline void fake_ring_done(struct fake_ring *ring)
{
    munmap(ring->memory, fake_ring_file_bytes(ring));
    close(ring->fd);
}

/* Both rings begin at this position, a multiple of eight, as after so many bytes. */
static inline void fake_ring_begin_at(struct fake_ring *ring, uint64_t position)
{
    *fake_ring_consumed(ring) = position;
    *fake_ring_produced(ring) = position;
}

static inline void fake_ring_write(struct fake_ring *ring, uint64_t position, const void *bytes,
                                   uint64_t length)
{
    unsigned char *data = ring->memory + 2 * ring->page_bytes;
    for (uint64_t i = 0; i < length; i++) {
        uint64_t at = (position + i) & (ring->size_bytes - 1);
        data[at] = data[at + ring->size_bytes] = ((const unsigned char *)bytes)[i];
    }
}

/* The header of the record at this position: its length and flags. */
static inline void fake_ring_set_header(struct fake_ring *ring, uint64_t position, uint32_t header)
{
    fake_ring_write(ring, position, &header, sizeof(header));
}

static inline uint64_t fake_ring_step(uint64_t length)
{
    return (length + BPF_RINGBUF_HDR_SZ + 7) & ~7ull;
}

/* Reserves, as the kernel does: false without room; the record is busy until it is committed. */
static inline bool fake_ring_reserve(struct fake_ring *ring, const void *bytes, uint32_t length,
                                     uint64_t *ret_position)
{
    uint64_t position = *fake_ring_produced(ring);
    uint64_t end = position + fake_ring_step(length);
    if (end - *fake_ring_consumed(ring) > ring->size_bytes - 1)
        return false;
    fake_ring_write(ring, position + BPF_RINGBUF_HDR_SZ, bytes, length);
    fake_ring_set_header(ring, position, length | BPF_RINGBUF_BUSY_BIT);
    *fake_ring_produced(ring) = end;
    *ret_position = position;
    return true;
}

static inline void fake_ring_commit(struct fake_ring *ring, uint64_t position, uint32_t length)
{
    fake_ring_set_header(ring, position, length);
}

static inline void fake_ring_discard(struct fake_ring *ring, uint64_t position, uint32_t length)
{
    fake_ring_set_header(ring, position, length | BPF_RINGBUF_DISCARD_BIT);
}

/* A record from begin to end. */
static inline bool fake_ring_submit(struct fake_ring *ring, const void *bytes, uint32_t length)
{
    uint64_t position = 0;
    if (!fake_ring_reserve(ring, bytes, length, &position))
        return false;
    fake_ring_commit(ring, position, length);
    return true;
}
