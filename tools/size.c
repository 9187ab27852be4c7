/* SPDX-License-Identifier: GPL-2.0-only */
/* size.c - a size on the command line: "10G", "512MiB", "2TB", "4096B". */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "tool.h"

static const struct { const char *name; uint64_t factor; } units[] = {
	{"B", 1}, {"K", KIB(1)}, {"M", MIB(1)}, {"G", GIB(1)}, {"T", GIB(1024)}, {"KiB", KIB(1)}, {"MiB", MIB(1)},
	{"GiB", GIB(1)}, {"TiB", GIB(1024)}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", 1000000000000},
};

int tool_size(const char *text, uint64_t *ret, struct err *err)
{
	const char *s = text;
	uint64_t n = 0;

	if (!isdigit((unsigned char)*s))
		return err_set(err, -EINVAL, "size \"%.60s\": expected a size like 10GiB", text);
	for (; isdigit((unsigned char)*s); s++) {
		if (n > (INT64_MAX - 9) / 10)
			return err_set(err, -EINVAL, "size \"%.60s\": too large", text);
		n = n * 10 + (uint64_t)(*s - '0');
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(s, units[i].name))
			continue;
		if (n > INT64_MAX / units[i].factor)
			return err_set(err, -EINVAL, "size \"%.60s\": too large", text);
		*ret = n * units[i].factor;
		return 0;
	}
	return err_set(err, -EINVAL, "size \"%.60s\": expected a unit after the number: B, K, M, G, T (or KiB ... TiB; "
		       "KB ... TB are powers of 1000)", text);
}
