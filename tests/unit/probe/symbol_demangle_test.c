/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/symbol_demangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *symbol, const char *plain, const char *with_parameters)
{
    char name[DEMANGLED_BYTES_MAX];
    assert_true(symbol_demangle(symbol, false, name));
    assert_string_equal(name, plain);
    assert_true(symbol_demangle(symbol, true, name));
    assert_string_equal(name, with_parameters);
}

static void demangles_cpp_and_rust(void **state)
{
    (void)state;
    expect("_ZN3foo3barEi", "foo::bar", "foo::bar(int)");
    expect("_Z1fIiET_S0_", "f<int>", "f<int>(int)");
    expect("_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f", "(anonymous namespace)::f()");
    expect("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write", "core::fmt::write");
    expect("_RNvC6_123foo3bar", "123foo::bar", "123foo::bar");
}

static void leaves_other_names_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"", "_", "malloc", "_Z", "_Zqqq", "_R", "Z1fv", "_ZN3foo"};
    char name[DEMANGLED_BYTES_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(symbol_demangle(names[i], true, name));
}

/* Each parameter is twice the one before; the full text of many would fill the universe. */
static bool demangle_doubling(unsigned parameters)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char symbol[1024], name[DEMANGLED_BYTES_MAX];
    size_t length = (size_t)snprintf(symbol, sizeof(symbol), "_Z1f1AIiiE");
    for (unsigned i = 0; i < parameters; i++)
        length += (size_t)snprintf(symbol + length, sizeof(symbol) - length, "S_IS%c_S%c_E",
                                   digits[i], digits[i]);
    return symbol_demangle(symbol, true, name);
}

static void gives_up_on_names_that_explode(void **state)
{
    (void)state;
    char name[DEMANGLED_BYTES_MAX];
    assert_true(demangle_doubling(4));
    assert_false(demangle_doubling(36));
    assert_true(symbol_demangle("_Z1fv", true, name));
    assert_string_equal(name, "f()");
}

static void refuses_symbols_that_are_too_long(void **state)
{
    (void)state;
    char symbol[1100], name[DEMANGLED_BYTES_MAX];
    memset(symbol, 'x', sizeof(symbol));
    memcpy(symbol, "_Z1090", 6);
    memcpy(symbol + 6 + 1090 - 1, "v", 2);
    assert_false(symbol_demangle(symbol, true, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demangles_cpp_and_rust),
        cmocka_unit_test(leaves_other_names_alone),
        cmocka_unit_test(gives_up_on_names_that_explode),
        cmocka_unit_test(refuses_symbols_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
