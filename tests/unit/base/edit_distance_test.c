/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/edit_distance.h"

/* The textbook matrix. */
static unsigned plain_distance(const char *left, const char *right)
{
    unsigned cost[16][16];
    size_t rows = strlen(left), columns = strlen(right);
    for (unsigned i = 0; i <= rows; i++) {
        for (unsigned j = 0; j <= columns; j++) {
            unsigned best = i == 0   ? j
                            : j == 0 ? i
                                     : cost[i - 1][j - 1] + (left[i - 1] != right[j - 1]);
            if (i > 0 && cost[i - 1][j] + 1 < best)
                best = cost[i - 1][j] + 1;
            if (j > 0 && cost[i][j - 1] + 1 < best)
                best = cost[i][j - 1] + 1;
            cost[i][j] = best;
        }
    }
    return cost[rows][columns];
}

static void agrees_with_the_plain_matrix(void **state)
{
    (void)state;
    unsigned random = 12345;
    for (int round = 0; round < 20000; round++) {
        char words[2][12];
        for (int w = 0; w < 2; w++) {
            unsigned length = (random = random * 1103515245 + 12345) >> 16 & 7;
            for (unsigned i = 0; i < length; i++)
                words[w][i] = "abc"[((random = random * 1103515245 + 12345) >> 16) % 3];
            words[w][length] = '\0';
        }
        unsigned truth = plain_distance(words[0], words[1]);
        for (unsigned limit = 0; limit < 10; limit++)
            assert_int_equal(edit_distance(words[0], words[1], limit),
                             truth <= limit ? truth : limit + 1);
    }
    assert_int_equal(edit_distance("vfs_raed", "vfs_read", 3), 2);
    assert_int_equal(edit_distance("", "", 0), 0);
}

static void limit_is_bounded(void **state)
{
    (void)state;
    char left[200], right[200];
    memset(left, 'a', sizeof(left));
    memset(right, 'b', sizeof(right));
    left[199] = right[199] = '\0';
    assert_int_equal(edit_distance(left, right, 1000), EDIT_DISTANCE_LIMIT_MAX + 1);
    assert_int_equal(edit_distance(left, left, EDIT_DISTANCE_LIMIT_MAX), 0);
    assert_int_equal(edit_distance(left, "", EDIT_DISTANCE_LIMIT_MAX), EDIT_DISTANCE_LIMIT_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_plain_matrix),
        cmocka_unit_test(limit_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
