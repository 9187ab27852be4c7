/* SPDX-License-Identifier: GPL-2.0-only */
/* text.c - sentences into buffers. */
#include "base/text.h"

#include <stdio.h>

size_t text_vfmt(char *to, size_t room, const char *fmt, va_list ap)
{
	int n = vsnprintf(to, room, fmt, ap);

	if (n < 0) {
		to[0] = 0;
		return 0;
	}
	return (size_t)n < room ? (size_t)n : room - 1;
}

size_t text_fmt(char *to, size_t room, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = text_vfmt(to, room, fmt, ap);
	va_end(ap);
	return n;
}
