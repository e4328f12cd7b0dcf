/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an error of attaching means, in words. */
#pragma once

/* error: an errno value, of either sign; also the kernel's own, which strerror does not know. The
 * text is static or, for numbers that nobody knows, strerror's. */
const char *attach_error_text(int error);
