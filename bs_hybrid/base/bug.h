/* SPDX-License-Identifier: GPL-2.0-only */
/* bug.h - deliberate bugs, in test builds only: `make bugs` switches them on one at a time; each must be caught.
 *
 * The list is bugs.def; a place in the code asks `if (BUG(EARLY_ACK))`. In a normal build BUG() is the constant 0.
 */
#ifndef HB_BASE_BUG_H
#define HB_BASE_BUG_H

enum bug {
	BUG_NONE,
#define BUG_DEF(name, by, what) BUG_##name,
#include "bugs.def"
#undef BUG_DEF
	BUG_COUNT
};

#ifdef HB_BUGS
extern enum bug bug_on; /* the one switched on */
#define BUG(name) (__builtin_expect(bug_on == BUG_##name, 0))
const char *bug_name(enum bug b); /* "EARLY_ACK" */
const char *bug_by(enum bug b); /* the case of the simulator that catches it */
const char *bug_what(enum bug b); /* one sentence */
#else
#define BUG(name) 0
#endif

#endif
