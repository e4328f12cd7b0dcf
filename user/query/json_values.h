/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsed JSON: jansson, without the one name that base/json_writer.h has as well. */
#pragma once

/* Include this before anything else that brings in <jansson.h>. json_stringn() stays. */
#define json_string jansson_json_string
#include <jansson.h>
#undef json_string
