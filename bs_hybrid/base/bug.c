/* SPDX-License-Identifier: GPL-2.0-only */
/* bug.c - the names of the deliberate bugs; empty outside test builds. */
#include "base/bug.h"

#ifdef HB_BUGS

#include <assert.h>

enum bug bug_on = BUG_NONE;

static const struct {
	const char *name, *by, *what;
} bugs[BUG_COUNT] = {
	[BUG_NONE] = { "NONE", "", "no bug is switched on" },
#define BUG_DEF(name, by, what) [BUG_##name] = { #name, by, what },
#include "base/bugs.def"
#undef BUG_DEF
};

const char *bug_name(enum bug b)
{
	assert(b < BUG_COUNT);
	return bugs[b].name;
}

const char *bug_by(enum bug b)
{
	assert(b < BUG_COUNT);
	return bugs[b].by;
}

const char *bug_what(enum bug b)
{
	assert(b < BUG_COUNT);
	return bugs[b].what;
}

#endif
