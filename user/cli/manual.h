/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of loris(1) that the command table knows, in the format of scdoc. */
#pragma once

struct text;

/* Sections of all commands and of the options that every command has. */
void manual_format(struct text *out);
