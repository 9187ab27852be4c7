/* SPDX-License-Identifier: GPL-2.0-only */
/* text.h - sentences into buffers of a fixed size, cut where they do not fit, always terminated. */
#ifndef HB_BASE_TEXT_H
#define HB_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Returns the length of what is in the buffer now. room > 0. */
size_t text_fmt(char *to, size_t room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
size_t text_vfmt(char *to, size_t room, const char *fmt, va_list ap);

#endif
