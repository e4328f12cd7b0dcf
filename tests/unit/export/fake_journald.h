/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands where journald would: a socket whose queue holds a few datagrams. Include after cmocka. */
#pragma once

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/ownership.h"

struct fixture {
    char folder[64];
    struct sockaddr_un address;
    int journald;
    uint64_t received;
};

static void start_journald(struct fixture *fixture)
{
    fixture->journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fixture->journald >= 0);
    unlink(fixture->address.sun_path);
    assert_int_equal(bind(fixture->journald, (const struct sockaddr *)&fixture->address,
                          sizeof(fixture->address)),
                     0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/loris-journal-test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->address.sun_family = AF_UNIX;
    snprintf(fixture->address.sun_path, sizeof(fixture->address.sun_path), "%s/s", fixture->folder);
    start_journald(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_fd(&fixture->journald);
    unlink(fixture->address.sun_path);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}
